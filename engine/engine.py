"""The engine: open a published snapshot and answer. Read this file first.

In: a :class:`~engine.settings.Settings` and requests. Out: responses. What is found, and in which order, is
:class:`~engine.pipeline.Pipeline`'s; here it is written out with products, facets and explanations. Nothing on the read
path writes. Thread-safe. Knows nothing of HTTP, raw feeds or metrics.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.encoder.card import Source, read_card
from engine.errors import FilterError
from engine.explain import Done, Explainer, Need, endpoint_of, make_generator, voice_of
from engine.explain.wording import load_wording
from engine.facets import count_facets, filterable
from engine.forgetting import forget_texts
from engine.guide import Comparison, Guide, GuideReply, GuideRequest, GuideState, ProposedTurns, Turn, compare_products
from engine.index.documents import Documents
from engine.index.prefix import PrefixIndex
from engine.index.snapshot import Snapshot, open_snapshot
from engine.index.vectors import Neighbours
from engine.language import is_stop
from engine.laps import Laps, unwatched
from engine.match import MatchSet
from engine.outcome import outcome
from engine.personal import Personally, PersonalResults, Remembered
from engine.pipeline import BY_RELEVANCE, FirstHits, Pipeline, Plan, Vectors
from engine.query import ParsedQuery
from engine.rank import APART, Ranking, sort_rows
from engine.recommend.answering import Recommendations
from engine.recommend.request import RecommendRequest, RecommendResponse
from engine.reranker import Reranker
from engine.schema import (
    Answer,
    Capabilities,
    Claim,
    ExplainRequest,
    Facet,
    Hit,
    Product,
    Scores,
    SearchRequest,
    SearchResponse,
    SimilarResponse,
    SuggestResponse,
    Understood,
)
from engine.settings import Settings
from engine.shopper import Shopper
from engine.written import written_applied, written_hits, written_nearest

__all__ = ["Engine"]

_MOST_FIELDS = 100
_MOST_VALUES = 30


class Engine:
    """One open snapshot and everything needed to answer from it."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        folder = snapshot.path
        self.settings = settings
        self.on_stage: Callable[[str, float], None] = unwatched
        """Is told the seconds of each stage: ``understand``, ``encode`` and ``nearest`` once a batch, ``rank``, ``facets`` and
        ``write`` once a search."""
        self.snapshot = snapshot
        self.snapshot_id = snapshot.manifest.id
        self.model_name = snapshot.manifest.model
        self._encoder_fingerprint = snapshot.manifest.encoder
        self._folder = folder
        self.product_count = snapshot.manifest.products
        self._documents = Documents(snapshot.parts, snapshot.dead)
        self._prefix = PrefixIndex(snapshot.parts)
        self._pipeline = Pipeline(snapshot, settings, self._documents)
        table, nearest = self._pipeline.table, self._pipeline.vectors
        self._personal = PersonalResults(settings, table, nearest, self._documents)
        self._recommendations = Recommendations(snapshot, table, nearest, self._documents)
        self.languages = self._pipeline.languages
        endpoint = endpoint_of(settings)
        self._reader = ProposedTurns(endpoint, self) if endpoint and settings.guide == "endpoint" else None
        self._explainer = Explainer(
            make_generator(settings, endpoint),
            timeout_s=settings.generator_timeout_s,
            snapshot=self.snapshot_id,
            wording=load_wording(voice_of(settings)),
            opinions=settings.opinions,
        )

    @classmethod
    def open(cls, settings: Settings, snapshot_id: str = "", sharing: Engine | None = None) -> Engine:
        """Open the current snapshot of ``settings.store``, or the one named; files it shares with an engine that is open are
        not verified again.

        Raises:
            SnapshotError: there is none, or it is damaged.
            EncoderError: the model is not the one the vectors were made with.
        """
        return cls(open_snapshot(Path(settings.store), snapshot_id, sharing.snapshot if sharing else None), settings)

    @property
    def model_source(self) -> Source:
        """What the encoder was exported from, by the name or path it was asked for, with the files it had."""
        return read_card(self._folder / "encoder").source

    def close(self) -> None:
        """Let go of the snapshot and the event log. Memory maps end with the last reference to them."""
        self._personal.memory.close()

    def forget_words(self) -> None:
        """Let go of every remembered query and what was written for it: whoever asked to be forgotten may have typed it."""
        self._pipeline.encoder.forget()
        self._explainer.forget()
        forget_texts()

    def search(self, request: SearchRequest) -> SearchResponse:
        """Answer one search.

        Raises:
            FilterError: ``filter_by``, ``sort_by`` or ``facet_by`` is wrong.
        """
        (answer,) = self.search_many([request])
        if isinstance(answer, Exception):
            raise answer
        return answer.response()

    def search_many(self, requests: Sequence[SearchRequest]) -> Iterator[Answer | Exception]:
        """Yield the answer of each request in turn, or its error; one request's error touches no other.

        Their queries are encoded together and their vectors searched together, which costs half of one by one; an
        answer is the same in any company up to the rounding of the vectors (below 1e-6).
        """
        started = time.perf_counter()
        lap = Laps(self.on_stage)
        plans = [outcome(self._pipeline.plan, request) for request in requests]
        lap.done("understand")
        vectors = self._pipeline.encoded(plans)
        lap.done("encode")
        near = self._pipeline.nearest(vectors)
        lap.done("nearest")
        for plan in plans:
            yield plan if isinstance(plan, Exception) else outcome(self._answer, plan, vectors, near, started)

    def _answer(
        self,
        plan: Plan,
        vectors: Vectors,
        near: Mapping[str, Neighbours],
        started: float,
    ) -> Answer:
        """Find, rank, cut to the page and write it: what ``SearchResponse`` describes, products as they are stored."""
        request, query, lap = plan.request, plan.query, Laps(self.on_stage)
        first = (request.page - 1) * request.per_page
        most = first + request.per_page if request.sort_by in BY_RELEVANCE else 0
        weight = self.settings.personal if most else 0.0
        taste = self._personal.taste(request) if weight else None
        found, ranking = self._pipeline.ranked(plan, vectors, near, max(most, APART) if taste else most)
        ranking, said = self._sorted(ranking, request.sort_by), Personally()
        if taste:
            ranking, said = self._personal.order(taste, ranking, weight, query.language)
        lap.done("rank")
        facets = self._facets(request, found)
        lap.done("facets")
        query_id = uuid.uuid4().hex
        written = {
            "query_id": query_id,
            "snapshot": self.snapshot_id,
            "model": self.model_name,
            "found": len(found.rows),
            "found_relation": "eq" if found.complete else "gte",
            "page": request.page,
            "per_page": request.per_page,
            "hits": written_hits(self._documents, query, ranking, found, first, request.per_page, said.hits),
            "nearest": written_nearest(self._documents, query, found),
            "facet_counts": facets,
            "applied": written_applied(query, plan.filter_by, request.sort_by, plan.alpha, found, said.whole),
            "search_time_ms": round(1000 * (time.perf_counter() - started), 3),
        }
        ids = tuple(self._documents.ids[int(row)] for row in ranking.rows[first : first + request.per_page])
        answer = Answer(orjson.dumps(written), len(found.rows), query_id, ids)
        lap.done("write")
        return answer

    def signals(self, q: str, product_ids: Sequence[str]) -> NDArray[np.float32]:
        """Return what a calibration weighs for products, found or not: nearness, coverage, agrees, differs, other.

        float32 ``(len(product_ids), 5)``, see :class:`engine.match.Calibration`.

        Raises:
            NotFoundError: an id is not in this snapshot.
        """
        return self._pipeline.signals(q, np.array(self._documents.rows_of(list(product_ids)), np.int64))

    def features(self, q: str) -> tuple[list[str], NDArray[np.float32]]:
        """Return the ids of the first hits, and what a ranker is given of them (:data:`engine.ranker.FEATURES`)."""
        rows, given = self._pipeline.features(q)
        return [self._documents.ids[int(row)] for row in rows], given

    def order(self, q: str, product_ids: Sequence[str]) -> list[str]:
        """Return these products alone in the order a search gives them, limits and exclusions left aside; those that share
        neither words nor meaning with ``q`` come last, by id.

        Raises:
            NotFoundError: an id is not in this snapshot.
        """
        rows = self._documents.rows_of(list(product_ids))
        ids = dict(zip(rows, product_ids, strict=True))
        found = [ids[int(row)] for row in self._pipeline.order(q, np.array(rows, np.int64))]
        return found + sorted(set(product_ids) - set(found))

    def best_relevance(self, q: str) -> float:
        """Return the probability that the most likely product of the shop is what ``q`` asks for, filters aside."""
        return self.search(SearchRequest(q=q, per_page=0)).applied.best_relevance

    def understand(self, q: str) -> list[Understood]:
        """Return what is read out of a query, left to right."""
        return list(self._pipeline.understood(q).understood)

    def tuned(self, **changes: object) -> Engine:
        """Return an engine over the same open snapshot with other search settings (``alpha``, ``feedback`` …)."""
        other = copy.copy(self)
        other.settings = self.settings.model_copy(update=changes)
        other._pipeline = self._pipeline.tuned(other.settings)
        return other

    def with_reranker(self, reranker: Reranker | None) -> Engine:
        """Return an engine over the same open snapshot whose first hits this reranker puts in order, or none does."""
        other = copy.copy(self)
        other._pipeline = self._pipeline.with_reranker(reranker)
        return other

    def remembering(self, recall: Callable[[Shopper], Remembered | None], clock: Callable[[], int] | None = None) -> Engine:
        """Return an engine over the same open snapshot that remembers people by other means than the event log; ``clock`` gives
        milliseconds since 1970."""
        other = copy.copy(self)
        other._personal = self._personal.remembering(recall, clock)
        return other

    @property
    def encoder_fingerprint(self) -> str:
        """What tells this snapshot's vectors from those of another encoder."""
        return self._encoder_fingerprint

    def meant(self, q: str) -> str:
        """Return what of a query is encoded: limits and exclusions left out, slips mended; empty where nothing is."""
        return self._pipeline.understood(q).meant

    def first_hits(self, q: str, most: int, languages: Sequence[str]) -> FirstHits:
        """Return what a reranker of these languages would read of a search."""
        return self._pipeline.first_hits(q, most, languages)

    def suggest(self, q: str, limit: int = 8) -> SuggestResponse:
        """Return completions of what has been typed so far, from the catalogue."""
        return SuggestResponse(q=q, snapshot=self.snapshot_id, suggestions=self._prefix.suggest(q, limit))

    def similar(self, product_id: str, k: int = 10) -> SimilarResponse:
        """Return the products nearest in meaning to one product, its own variants left out.

        Raises:
            NotFoundError: no product has that id.
        """
        (row,) = self._documents.rows_of([product_id])
        allowed = self._pipeline.living.copy()
        allowed[row] = False
        group = self._documents.document(row).get("item_group_id", "")
        for column in self._pipeline.table.fields.get("item_group_id", ()) if group else ():
            if not column.unit:
                allowed[column.rows[column.codes == column.labels.find(group)]] = False
        near = self._pipeline.vectors.search(self._pipeline.vectors.vectors(np.array([row]))[0], k, allowed)
        hits = [
            Hit(document=self._documents.document(int(r)), scores=Scores(fused=float(s), lexical=0.0, semantic=float(s)))
            for r, s in zip(near.rows, near.scores, strict=True)
        ]
        return SimilarResponse(id=product_id, snapshot=self.snapshot_id, hits=hits)

    def recommend(self, request: RecommendRequest) -> RecommendResponse:
        """Return what a shopper may want next.

        Raises:
            FilterError: ``filter_by`` cannot be read.
            NotFoundError: an id is not in this snapshot.
            RequestError: the kind needs ``ids``, and there are none.
        """
        return self._recommendations.answer(request, self._personal.recall)

    def explain(self, request: ExplainRequest) -> Iterator[Claim | Done]:
        """Explain why these products answer this query; the claims come one by one, each already checked.

        Raises:
            NotFoundError: an id is not in this snapshot; raised at once, before anything is written.
        """
        rows = self._documents.rows_of(request.ids)
        return self._explainer.explain(
            self.need(request.q, request.language), [self._documents.product(row) for row in rows]
        )

    def guide(self, request: GuideRequest) -> GuideReply:
        """Answer one turn of a conversation.

        Raises:
            FilterError: a choice's filter cannot be read.
        """
        return Guide(self, self._reader, request).answer(request)

    def read_turn(self, text: str, state: GuideState) -> Turn:
        """Return what words do to a conversation, before anything is searched for."""
        return Guide(self, self._reader).read(text, state, self.known_products(state.shown))

    def compare(self, request: ExplainRequest) -> Comparison:
        """Return what differs between products, and what speaks for each where ``q`` is wanted.

        Raises:
            NotFoundError: an id is not in this snapshot.
        """
        products = [self._documents.product(row) for row in self._documents.rows_of(list(dict.fromkeys(request.ids)))]
        return compare_products(self.need(request.q, request.language), products, self.snapshot_id)

    def capabilities(self) -> Capabilities:
        """Return what this shop can be asked for: fields with their commonest values and ranges, currencies, languages."""
        return self._capabilities

    @cached_property
    def _capabilities(self) -> Capabilities:
        table = self._pipeline.table
        everything = self._pipeline.living
        names = filterable(table, _MOST_FIELDS)
        fields = [Facet.model_validate(f) for n in names for f in count_facets(table, everything, n, _MOST_VALUES)]
        n, currencies = self.product_count, table.currencies
        return Capabilities(snapshot=self.snapshot_id, products=n, currencies=currencies, languages=["en", "zh"], fields=fields)

    def parsed(self, q: str) -> ParsedQuery:
        """Return a query taken apart."""
        return self._pipeline.understood(q)

    def known_products(self, ids: Sequence[str]) -> list[Product]:
        """Return those of these products that this snapshot has, in this order."""
        rows = (self._documents.row_of(i) for i in ids)
        return [self._documents.product(row) for row in rows if row is not None]

    def need(self, q: str, language: str = "") -> Need:
        """Return what a shopper's words ask for; ``language`` is that of the answer, empty follows the words."""
        query = self.parsed(q)
        return Need(
            text=q,
            language=language or query.language or "en",
            terms=tuple(query.text[w.start : w.end] for w in query.words if not is_stop(w)),
            understood=query.understood,
        )

    def document(self, product_id: str) -> dict[str, Any]:
        """Return one product as JSON values.

        Raises:
            NotFoundError: no product has that id.
        """
        (row,) = self._documents.rows_of([product_id])
        return self._documents.document(row)

    def product_vectors(self) -> NDArray[np.float32]:
        """Return the unit vectors of all products, by id, float32 ``(n, d)``."""
        return self._pipeline.vectors.vectors(np.fromiter(self._documents.living(), np.int64, self.product_count))

    @property
    def product_ids(self) -> frozenset[str]:
        """The ids of every product."""
        return frozenset(self._documents.ids[row] for row in self._documents.living())

    def has_product(self, product_id: str) -> bool:
        """Return whether this snapshot has a product of this id."""
        return self._documents.row_of(product_id) is not None

    def products(self) -> Iterator[Product]:
        """Yield every product, by id."""
        return (self._documents.product(row) for row in self._documents.living())

    def _sorted(self, ranking: Ranking, sort_by: str) -> Ranking:
        name, _, direction = sort_by.partition(":")
        if name in BY_RELEVANCE:
            return ranking
        if direction not in ("asc", "desc"):
            raise FilterError(f"{sort_by[:60]!r} is no order. Write a field and a direction, like `price:asc`.")
        return sort_rows(ranking, self._pipeline.table.sort_keys(name, ranking.rows), direction == "desc")

    def _facets(self, request: SearchRequest, found: MatchSet) -> list[dict[str, Any]]:
        if not request.facet_by:
            return []
        return count_facets(self._pipeline.table, found.mask, request.facet_by, request.max_facet_values)
