"""Recommendations written out: for a person and a filter, with products and reasons.

In: :class:`~engine.recommend.request.RecommendRequest`. Out: :class:`~engine.recommend.request.RecommendResponse`. What is out
of stock is not recommended; what somebody bought counts only where they allow it. Where nothing at all is known, a product of
each of the largest categories stands for the shop. Thread-safe. Knows nothing of HTTP.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.errors import RequestError
from engine.index.documents import Documents
from engine.index.filters import parse_filter
from engine.index.snapshot import Snapshot
from engine.index.table import Table
from engine.index.vectors import VectorIndex
from engine.personal import Remembered
from engine.recommend.history import read_history
from engine.recommend.request import Recommended, RecommendRequest, RecommendResponse, Why
from engine.recommend.saved import load_model
from engine.recommend.serving import Pick, Recommender, Rest
from engine.recommend.wording import rest_text
from engine.shopper import Shopper

__all__ = ["Recommendations"]

_TOLD = 2
_SAYING = 0.25
"""A reason that brings less than this share of the weightiest one is not told."""


class Recommendations:
    """Recommends from one snapshot. ``recall`` says what is remembered of whoever asks."""

    def __init__(self, snapshot: Snapshot, table: Table, vectors: VectorIndex, documents: Documents) -> None:
        base, dead = snapshot.parts[0], snapshot.dead
        model = load_model(snapshot.path / "recommend", base.size)
        if snapshot.rows > base.size or len(dead):
            to = np.arange(base.size)
            now = [documents.row_of(documents.ids[row]) for row in dead.tolist()]
            to[dead] = [-1 if row is None else row for row in now]
            model = model.moved(to, snapshot.rows)
        self._recommender = Recommender(model, vectors, table.groups())
        self._table, self._documents, self._snapshot_id = table, documents, snapshot.manifest.id
        self._in_stock = ~table.labelled("availability", ("out_of_stock",))
        self._in_stock[dead] = False

    def answer(self, request: RecommendRequest, recall: Callable[[Shopper], Remembered | None]) -> RecommendResponse:
        """Return what is recommended.

        Raises:
            FilterError: ``filter_by`` cannot be read.
            NotFoundError: an id is not in this snapshot.
            RequestError: the kind needs ``ids``, and there are none.
        """
        rows = self._documents.rows_of(request.ids)
        if request.kind not in ("for_you", "buy_again") and not rows:
            raise RequestError(f"`{request.kind}` needs `ids`: the product that is looked at, or those in the basket.")
        remembered = recall(request)
        events = remembered.history if remembered else ()
        history, did = read_history(events, self._documents.row_of, int(1000 * time.time()))
        picks = self._recommender.recommend(
            request.kind, rows, history, request.k, self._allowed(request.filter_by), request.discover
        )
        if not picks and request.kind == "for_you":
            picks = self._of_each_category(request.k, self._allowed(request.filter_by))
        return RecommendResponse(
            kind=request.kind,
            snapshot=self._snapshot_id,
            hits=[self._written(pick, did, request.language) for pick in picks],
            orders=self._recommender.model.orders,
            events=len(events),
        )

    def _allowed(self, filter_by: str) -> NDArray[np.bool_]:
        tree = parse_filter(filter_by)
        return self._in_stock.copy() if tree is None else self._in_stock & self._table.allow(tree)

    def _written(self, pick: Pick, did: dict[int, str], language: str) -> Recommended:
        told = [r for r in pick.rests if r.weight >= _SAYING * pick.rests[0].weight or r.signal in ("now", "new", "discover")]
        because = [self._why(rest, did, language, pick.row) for rest in told[:_TOLD]]
        return Recommended(document=self._documents.document(pick.row), score=round(pick.score, 6), because=because)

    def _why(self, rest: Rest, did: dict[int, str], language: str, row: int) -> Why:
        documents = self._documents

        def title_of(at: int) -> str:
            return str(documents.head(at)["title"])

        category = ""
        if rest.signal == "category":
            category = str(documents.document(row)["category"][-1])
        return Why(
            signal=rest.signal,
            text=rest_text(rest, did.get(rest.row, ""), language, title_of, category),
            product_id=documents.ids[rest.row] if rest.row >= 0 and rest.row != row else "",
            buyers=rest.buyers if rest.signal == "together" else 0,
        )

    def _of_each_category(self, k: int, allowed: NDArray[np.bool_]) -> list[Pick]:
        """Return the first product of each of the largest categories, of those that have none below them."""
        first: dict[str, int] = {}
        held: Counter[str] = Counter()
        for column in (c for c in self._table.fields.get("category", ()) if not c.unit):
            cells = column.cells(allowed)
            codes, places, counts = np.unique(column.codes[cells], return_index=True, return_counts=True)
            for code, place, count in zip(codes.tolist(), places.tolist(), counts.tolist(), strict=True):
                label = column.labels[code]
                first.setdefault(label, int(column.rows[cells[place]]))
                held[label] += count
        above = {label.rpartition(" > ")[0] for label in held}
        found = {first[label]: held[label] for label in sorted(held) if label not in above}
        largest = sorted(found, key=lambda row: (-found[row], row))
        return [Pick(row, 0.0, [Rest("category", 0.0, row)]) for row in largest[:k]]
