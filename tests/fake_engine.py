"""An engine without a catalogue, for the tests of the HTTP side: what it answers depends on its snapshot's id alone.

``FAKE_POINTER`` names a file whose text is the current snapshot id; ``fake_app`` is a worker's application for
``api.server.serve(app="fake_engine:fake_app")``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from api.reload import Engines
from engine.errors import FilterError, NotFoundError, SnapshotError
from engine.explain import Done
from engine.guide import Comparison, GuideReply, GuideRequest, Piece
from engine.recommend.request import Recommended, RecommendRequest, RecommendResponse
from engine.schema import (
    Answer,
    Applied,
    Capabilities,
    Citation,
    Claim,
    ExplainRequest,
    Hit,
    Scores,
    SearchRequest,
    SearchResponse,
    SimilarResponse,
    Suggestion,
    SuggestResponse,
)
from engine.settings import Settings, load_settings


def product_ids(snapshot: str) -> list[str]:
    return [f"{snapshot}/{i}" for i in range(10)]


class FakeEngine:
    """Answers from its snapshot's id. Use after closing, and closing while in use, are errors it remembers."""

    faults: ClassVar[list[str]] = []

    def __init__(self, snapshot_id: str) -> None:
        self.snapshot_id = snapshot_id
        self.model_name = "toy"
        self.product_count = len(product_ids(snapshot_id))
        self.closed = False
        self.batches: list[list[str]] = []
        self.in_use = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()

    def _enter(self) -> None:
        with self._lock:
            self.in_use += 1
            if self.closed:
                self.faults.append(f"{self.snapshot_id} used after closing")

    def _leave(self) -> None:
        with self._lock:
            if self.closed:
                self.faults.append(f"{self.snapshot_id} closed while in use")
            self.in_use -= 1

    def close(self) -> None:
        with self._lock:
            if self.in_use:
                self.faults.append(f"{self.snapshot_id} closed with {self.in_use} users")
            if self.closed:
                self.faults.append(f"{self.snapshot_id} closed twice")
            self.closed = True

    def _hits(self, count: int) -> list[Hit]:
        ids = product_ids(self.snapshot_id)[:count]
        return [Hit(document={"id": i, "title": "外套"}, scores=Scores(fused=1.0, lexical=1.0)) for i in ids]

    def search(self, request: SearchRequest) -> SearchResponse:
        self._enter()
        try:
            if request.q == "explode":
                raise ValueError(f"cannot search {request.q} secret")
            if "?" in request.filter_by:
                raise FilterError("`?` is no operator.", request.filter_by.index("?"))
            time.sleep({"slow": 0.05, "a second": 1}.get(request.q, 0))
            hits = [] if request.q == "nothing" else self._hits(request.per_page)
            return SearchResponse(
                query_id="1",
                snapshot=self.snapshot_id,
                model=self.model_name,
                found=0 if request.q == "nothing" else 10,
                found_relation="eq",
                page=request.page,
                per_page=request.per_page,
                hits=hits,
                facet_counts=[],
                applied=Applied(q=request.q, language="", alpha=0.7 if request.alpha is None else request.alpha),
                search_time_ms=float("nan") if request.q == "nan" else 0.1,
            )
        finally:
            self._leave()

    def search_many(self, requests: Sequence[SearchRequest]) -> Iterator[Answer | Exception]:
        self._enter()
        try:
            self.batches.append([request.q for request in requests])
            for request in requests:
                try:
                    found = self.search(request)
                    yield Answer(found.model_dump_json().encode(), found.found)
                except Exception as error:
                    yield error
        finally:
            self._leave()

    def suggest(self, q: str, limit: int = 8) -> SuggestResponse:
        found = [Suggestion(text=q + str(i), kind="phrase", spans=[(0, len(q))]) for i in range(limit)]
        return SuggestResponse(q=q, snapshot=self.snapshot_id, suggestions=found)

    def recommend(self, request: RecommendRequest) -> RecommendResponse:
        hits = [Recommended(document=hit.document, score=1.0) for hit in self._hits(request.k)]
        return RecommendResponse(kind=request.kind, snapshot=self.snapshot_id, hits=hits, orders=0, events=0)

    forgot = 0

    def forget_words(self) -> None:
        self.forgot += 1

    def has_product(self, product_id: str) -> bool:
        return product_id in product_ids(self.snapshot_id)

    def document(self, product_id: str) -> dict[str, object]:
        if product_id not in product_ids(self.snapshot_id):
            raise NotFoundError(f"There is no product {product_id!r} in this snapshot.")
        return {"id": product_id, "weight": float("nan")}

    def similar(self, product_id: str, k: int = 10) -> SimilarResponse:
        self.document(product_id)
        return SimilarResponse(id=product_id, snapshot=self.snapshot_id, hits=self._hits(k))

    def guide(self, request: GuideRequest) -> GuideReply:
        self._enter()
        try:
            if request.choice and "?" in request.choice.filter:
                raise FilterError("`?` is no operator.", request.choice.filter.index("?"))
            pieces = [*request.state.pieces, *([Piece(kind="word", text=request.text[:120])] if request.text else [])][-24:]
            state = request.state.model_copy(update={"pieces": pieces, "turns": min(request.state.turns + 1, 10_000)})
            return GuideReply(say=[request.text], state=state, hits=self._hits(2), found=2, snapshot=self.snapshot_id)
        finally:
            self._leave()

    def capabilities(self) -> Capabilities:
        return Capabilities(snapshot=self.snapshot_id, products=10, currencies=["CNY"], languages=["zh"], fields=[])

    def compare(self, request: ExplainRequest) -> Comparison:
        for product_id in request.ids:
            self.document(product_id)
        return Comparison(rows=[], verdicts=[])

    def explain(self, request: ExplainRequest) -> Iterator[Claim | Done]:
        for product_id in request.ids:
            self.document(product_id)
        return self._claims(request)

    def _claims(self, request: ExplainRequest) -> Iterator[Claim | Done]:
        self._enter()
        try:
            for product_id in request.ids:
                yield Claim(
                    product_id=product_id,
                    text="防水\n第二行",
                    citations=[Citation(field="title", value="外套")],
                    generator="template",
                )
                if request.q == "break":
                    raise ValueError("the generator's secret")
            while request.q == "endless":
                time.sleep(0.02)
                yield Claim(product_id=request.ids[0], text="more", citations=[], generator="template")
            yield Done(generator="template", checked=3, dropped=1, replaced=1, reasons={"number": 1}, degraded=True)
        finally:
            self._leave()
            self.ended.set()
            if mark := os.environ.get("FAKE_ENDED"):
                Path(mark).write_text("ended")


class FakeStore:
    """A pointer, and the engines opened from it. ``broken`` ids do not open."""

    def __init__(self, current: str = "s1") -> None:
        self.current = current
        self.broken: set[str] = set()
        self.opened: list[FakeEngine] = []

    def pointer(self, _store: Path) -> str:
        return self.current

    def open(self, _settings: Settings, _serving: object = None) -> FakeEngine:
        name = self.current
        if not name or name in self.broken:
            raise SnapshotError(f"Snapshot {name} is corrupt.")
        self.opened.append(FakeEngine(name))
        return self.opened[-1]


def engines_of(store: FakeStore, on_failure: Callable[[], None] = lambda: None) -> Engines:
    """Return what opens and lends the engines of a store, without polling it."""
    settings = Settings()
    return Engines(lambda _: store.open(settings), lambda: store.pointer(settings.store), 0.001, on_failure)


def fake_app():
    from api.app import create_app
    from api.server import begin_worker

    settings = begin_worker()
    file = Path(os.environ["FAKE_POINTER"])
    read = file.read_text
    return create_app(settings, lambda _settings, _serving: FakeEngine(read()), lambda _store: read() if file.exists() else "")


if __name__ == "__main__":
    import sys

    from api.server import serve
    from engine.errors import DaogouError

    try:
        serve(load_settings(), app="fake_engine:fake_app", log_requests=True)
    except DaogouError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
