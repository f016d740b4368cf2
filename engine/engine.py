"""The engine: open a published snapshot and answer. Read this file first.

In: a :class:`~engine.settings.Settings` and requests. Out: responses. :meth:`Engine.search` is a straight line
through the stages; each stage takes values and returns values, and none calls another. Nothing on the read path
writes. Thread-safe. Knows nothing of HTTP, raw feeds or metrics.
"""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.encoder import CachingEncoder, Encoder, open_encoder
from engine.encoder.words import whole_words
from engine.errors import FilterError
from engine.explain import Done, Explainer, Need, make_generator
from engine.facets import count_facets
from engine.fit import Evidence, Fitting
from engine.index.codes import CodeIndex
from engine.index.documents import Documents
from engine.index.faiss_index import FaissVectors
from engine.index.filters import join_filters, parse_filter
from engine.index.lexical import LexicalIndex
from engine.index.prefix import PrefixIndex
from engine.index.snapshot import Snapshot, open_snapshot
from engine.index.table import Table
from engine.index.values import ValuesIndex
from engine.index.vectors import Neighbours
from engine.index.vocabulary import VocabularyIndex
from engine.language import is_stop
from engine.lexicon import Lexicon
from engine.match import SPOKEN, Calibration, MatchSet, match, nearness
from engine.query import Knowledge, ParsedQuery, parse_query
from engine.rank import Ranking, rank, sort_rows
from engine.retrieve import Candidates, restrict, retrieve_dense, retrieve_lexical
from engine.schema import (
    Answer,
    Claim,
    ExplainRequest,
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
from engine.written import written_applied, written_hits, written_nearest

__all__ = ["Engine"]

_CACHED_QUERIES = 10_000
_BY_RELEVANCE = ("", "relevance", "_text_match")

_Args = TypeVarTuple("_Args")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Plan:
    """A request understood: what is searched, what the filters leave (``None``: all) and the weight of meaning."""

    request: SearchRequest
    query: ParsedQuery
    filter_by: str
    allowed: NDArray[np.bool_] | None
    alpha: float


class Engine:
    """One open snapshot and everything needed to answer from it."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        folder, n = snapshot.path, snapshot.manifest.products
        self.settings = settings
        self.snapshot_id = snapshot.manifest.id
        self.model_name = snapshot.manifest.model
        self.product_count = n
        self._documents = Documents(folder / "documents", n)
        self._table = Table(folder / "table", n, settings.exchange_rates)
        self._vectors = FaissVectors(folder / "vectors", threads=settings.threads)
        self._lexical = LexicalIndex(folder / "lexical", n)
        self._codes = CodeIndex(folder / "codes")
        self._prefix = PrefixIndex(folder / "prefix")
        self._known = Knowledge(
            codes=self._codes,
            lexical=self._lexical,
            values=ValuesIndex(folder / "values"),
            vocabulary=VocabularyIndex(folder / "vocabulary"),
            lexicon=Lexicon.open(folder / "lexicon"),
            currencies=self._table.currencies,
            semantic_languages=settings.semantic_languages,
            english=whole_words(folder / "encoder"),
        )
        self._fitting = Fitting(self._table)
        self._calibration = Calibration(*settings.calibration)
        encoder = open_encoder(folder / "encoder", threads=settings.threads, expect=snapshot.manifest.encoder)
        self._encoder: Encoder = CachingEncoder(encoder, _CACHED_QUERIES)
        self._min_similarity = settings.min_similarity or float(snapshot.manifest.report.get("similarity", 0.0))
        self._explainer = Explainer(
            make_generator(settings), timeout_s=settings.generator_timeout_s, snapshot=self.snapshot_id
        )

    @classmethod
    def open(cls, settings: Settings, snapshot_id: str = "") -> Engine:
        """Open the current snapshot of ``settings.store``, or the one named.

        Raises:
            SnapshotError: there is none, or it is damaged.
            EncoderError: the model is not the one the vectors were made with.
        """
        return cls(open_snapshot(Path(settings.store), snapshot_id), settings)

    def close(self) -> None:
        """Let go of the snapshot. Memory maps end with the last reference to them."""

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
        plans = [_outcome(self._plan, request) for request in requests]
        meant = [plan for plan in plans if isinstance(plan, _Plan) and plan.alpha > 0]
        vectors = self._encoded([plan.query.meant for plan in meant])
        near = self._nearest([plan.query.meant for plan in meant], vectors)
        for plan in plans:
            yield plan if isinstance(plan, Exception) else _outcome(self._answer, plan, vectors, near, started)

    def _plan(self, request: SearchRequest) -> _Plan:
        """Understand a request as far as that goes without its vector."""
        query = parse_query(request.q, self._known, request.understand, request.correct)
        filter_by = join_filters(request.filter_by, *query.filters)
        return _Plan(request, query, filter_by, self._allowed(query, filter_by), self._alpha(query, request.alpha))

    def _encoded(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32] | Exception]:
        """Return the vector of each text, all in one batch; should that fail, one by one, to find whose fault it is."""
        if len(texts) > 1 and not isinstance(rows := _outcome(self._encoder.encode_queries, texts), Exception):
            return dict(zip(texts, rows, strict=True))
        return {text: _outcome(lambda text: self._encoder.encode_queries([text])[0], text) for text in texts}

    def _nearest(
        self, texts: Sequence[str], vectors: Mapping[str, NDArray[np.float32] | Exception]
    ) -> dict[str, Neighbours]:
        """Return the products nearest in meaning to each text, all in one search; a text left out is searched alone."""
        known = {text: vector for text in texts if not isinstance(vector := vectors[text], Exception)}
        if not known:
            return {}
        found = _outcome(self._vectors.search_many, np.stack(list(known.values())), self.settings.depth)
        return {} if isinstance(found, Exception) else dict(zip(known, found, strict=True))

    def _answer(
        self,
        plan: _Plan,
        vectors: Mapping[str, NDArray[np.float32] | Exception],
        near: Mapping[str, Neighbours],
        started: float,
    ) -> Answer:
        """Find, rank, cut to the page and write it: what ``SearchResponse`` describes, products as they are stored."""
        request, query, allowed, alpha = plan.request, plan.query, plan.allowed, plan.alpha
        vector = vectors[query.meant] if alpha > 0 else None
        if isinstance(vector, Exception):
            raise vector
        nearest = near.get(query.meant) if vector is not None else None
        if nearest is None:
            nearest = retrieve_dense(vector, self._vectors, self.settings.depth, None)
        everywhere = Candidates(retrieve_lexical(query, self._lexical), nearest, self._coded(query))
        dense = nearest if allowed is None else retrieve_dense(vector, self._vectors, self.settings.depth, allowed)
        candidates = restrict(everywhere, dense, allowed)
        evidence = self._fitting.weigh(query)
        found = self._match(query, everywhere, dense, evidence, allowed, vector is not None)
        gain = self._fitting.gain(query, evidence, found.rows)
        feedback = 0.0 if query.codes else self.settings.feedback
        first = (request.page - 1) * request.per_page
        most = first + request.per_page if request.sort_by in _BY_RELEVANCE else 0
        ranking = rank(candidates, found, alpha, vector, self._vectors, gain, feedback, most)
        ranking = self._sorted(ranking, request.sort_by)
        written = {
            "query_id": uuid.uuid4().hex,
            "snapshot": self.snapshot_id,
            "model": self.model_name,
            "found": len(found.rows),
            "found_relation": "eq" if found.complete else "gte",
            "page": request.page,
            "per_page": request.per_page,
            "hits": written_hits(self._documents, query, ranking, found, first, request.per_page),
            "nearest": written_nearest(self._documents, query, found),
            "facet_counts": self._facets(request, found),
            "applied": written_applied(query, plan.filter_by, request.sort_by, alpha, found),
            "search_time_ms": round(1000 * (time.perf_counter() - started), 3),
        }
        return Answer(orjson.dumps(written), len(found.rows))

    def signals(self, q: str, product_ids: Sequence[str]) -> NDArray[np.float32]:
        """Return what a calibration weighs for products, found or not: nearness, coverage, agrees, differs, other.

        float32 ``(len(product_ids), 5)``, see :class:`engine.match.Calibration`.

        Raises:
            NotFoundError: an id is not in this snapshot.
        """
        rows = np.array(self._documents.rows_of(list(product_ids)), np.int64)
        query = parse_query(q, self._known)
        evidence = self._fitting.weigh(query)
        coverage = retrieve_lexical(query, self._lexical).coverage[rows] if query.words else np.ones(len(rows), np.float32)
        near = np.float32(SPOKEN) * coverage
        if query.meant and query.words and not query.only_codes:
            vector = self._encoder.encode_queries([query.meant])[0]
            near = nearness(self._vectors.scores(vector, rows), self._min_similarity)
        near = np.where(np.isin(rows, self._coded(query)), np.float32(1), near)
        return np.stack([near, coverage, evidence.agrees[rows], evidence.differs[rows], evidence.other[rows]], axis=1)

    def best_relevance(self, q: str) -> float:
        """Return the probability that the most likely product of the shop is what ``q`` asks for, filters aside."""
        return self.search(SearchRequest(q=q, per_page=0)).applied.best_relevance

    def understand(self, q: str) -> list[Understood]:
        """Return what is read out of a query, left to right."""
        return list(parse_query(q, self._known).understood)

    def tuned(self, **changes: object) -> Engine:
        """Return an engine over the same open snapshot with other search settings (``alpha``, ``feedback`` …)."""
        other = copy.copy(self)
        other.settings = self.settings.model_copy(update=changes)
        return other

    def suggest(self, q: str, limit: int = 8) -> SuggestResponse:
        """Return completions of what has been typed so far, from the catalogue."""
        return SuggestResponse(q=q, snapshot=self.snapshot_id, suggestions=self._prefix.suggest(q, limit))

    def similar(self, product_id: str, k: int = 10) -> SimilarResponse:
        """Return the products nearest in meaning to one product, its own variants left out.

        Raises:
            NotFoundError: no product has that id.
        """
        (row,) = self._documents.rows_of([product_id])
        allowed = np.ones(self.product_count, bool)
        allowed[row] = False
        group = self._documents.document(row).get("item_group_id", "")
        for column in self._table.fields.get("item_group_id", ()) if group else ():
            allowed[column.rows[column.codes == column.labels.index(group)]] = False
        near = self._vectors.search(self._vectors.vectors(np.array([row]))[0], k, allowed)
        hits = [
            Hit(document=self._documents.document(int(r)), scores=Scores(fused=float(s), lexical=0.0, semantic=float(s)))
            for r, s in zip(near.rows, near.scores, strict=True)
        ]
        return SimilarResponse(id=product_id, snapshot=self.snapshot_id, hits=hits)

    def explain(self, request: ExplainRequest) -> Iterator[Claim | Done]:
        """Explain why these products answer this query; the claims come one by one, each already checked.

        Raises:
            NotFoundError: an id is not in this snapshot; raised at once, before anything is written.
        """
        rows = self._documents.rows_of(request.ids)
        query = parse_query(request.q, self._known)
        need = Need(
            text=request.q,
            language=request.language or query.language or "en",
            terms=tuple(query.text[w.start : w.end] for w in query.words if not is_stop(w)),
            understood=query.understood,
        )
        return self._explainer.explain(need, [self._documents.product(row) for row in rows])

    def document(self, product_id: str) -> dict[str, Any]:
        """Return one product as JSON values.

        Raises:
            NotFoundError: no product has that id.
        """
        (row,) = self._documents.rows_of([product_id])
        return self._documents.document(row)

    def products(self) -> Iterator[Product]:
        """Yield every product, by id."""
        return (self._documents.product(row) for row in range(self.product_count))

    def _allowed(self, query: ParsedQuery, filter_by: str) -> NDArray[np.bool_] | None:
        """Return the mask of rows that filters and exclusions leave, or ``None`` for all."""
        tree = parse_filter(filter_by)
        allowed = None if tree is None else self._table.allow(tree)
        for group in (group for groups in query.exclusions for group in groups):
            keep = ~self._lexical.affirming(group)
            allowed = keep if allowed is None else allowed & keep
        return allowed

    def _alpha(self, query: ParsedQuery, asked: float | None) -> float:
        """Return the weight of meaning: none for a bare code or a language the model does not know."""
        if not query.words or query.only_codes or not query.meant:
            return 0.0
        return self.settings.alpha if asked is None else asked

    def _coded(self, query: ParsedQuery) -> NDArray[np.int64]:
        """Return the rows that bear a code of the query, in the order of the query."""
        rows = dict.fromkeys(
            r for c in query.codes for r in c.rows if self._fitting.may_bear(query, c, r)
        )
        return np.array(list(rows), np.int64)

    def _match(
        self,
        query: ParsedQuery,
        everywhere: Candidates,
        dense: Neighbours,
        evidence: Evidence,
        allowed: NDArray[np.bool_] | None,
        meant: bool,
    ) -> MatchSet:
        """Return the match set; without words everything allowed matches."""
        if not query.words:
            mask = np.ones(self.product_count, bool) if allowed is None else allowed
            whole = mask.astype(np.float32)
            return MatchSet(np.flatnonzero(mask), mask, whole, whole, 1.0, complete=True)
        return match(
            everywhere,
            dense,
            evidence,
            allowed,
            self._calibration,
            threshold=min(self.settings.tail_relevance, self.settings.min_relevance),
            suitable=0.0 if query.vague else self.settings.min_relevance,
            background=self._min_similarity,
            depth=self.settings.depth,
            meant=meant,
        )

    def _sorted(self, ranking: Ranking, sort_by: str) -> Ranking:
        name, _, direction = sort_by.partition(":")
        if name in _BY_RELEVANCE:
            return ranking
        if direction not in ("asc", "desc"):
            raise FilterError(f"{sort_by[:60]!r} is no order. Write a field and a direction, like `price:asc`.")
        return sort_rows(ranking, self._table.sort_keys(name, ranking.rows), direction == "desc")

    def _facets(self, request: SearchRequest, found: MatchSet) -> list[dict[str, Any]]:
        if not request.facet_by:
            return []
        return count_facets(self._table, found.mask, request.facet_by, request.max_facet_values)


def _outcome(step: Callable[[*_Args], _T], *args: *_Args) -> _T | Exception:
    """Return what the step returns, or the error it raises."""
    try:
        return step(*args)
    except Exception as error:
        return error
