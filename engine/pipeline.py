"""From a request to an order: understand, find, match, rank. What :class:`~engine.engine.Engine` answers is written from
what comes out here.

In: the indexes of a snapshot and requests. Out: :class:`Plan`, then the match set and its :class:`~engine.rank.Ranking`,
both in rows. A straight line through the stages; each stage takes values and returns values, and none calls another.
Thread-safe. Knows nothing of how an answer is written.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.encoder import CachingEncoder, open_encoder
from engine.encoder.words import whole_words
from engine.errors import SettingsError
from engine.fit import Evidence, Fitting
from engine.index.codes import CodeIndex
from engine.index.documents import Documents
from engine.index.engines import open_all_vectors
from engine.index.filters import Filter, join_filters, parse_filter
from engine.index.lexical import LexicalIndex
from engine.index.snapshot import Snapshot
from engine.index.table import Table
from engine.index.values import ValuesIndex
from engine.index.vectors import Neighbours
from engine.index.vocabulary import VocabularyIndex
from engine.lexicon import Lexicon
from engine.match import SPOKEN, Calibration, MatchSet, match, nearness
from engine.outcome import outcome
from engine.query import Knowledge, ParsedQuery, parse_query
from engine.rank import APART, Ranking, apart, rank, taken
from engine.ranker import Ranker, features
from engine.reranker import Reranker
from engine.retrieve import Candidates, restrict, retrieve_dense, retrieve_lexical
from engine.schema import SearchRequest
from engine.settings import Settings
from engine.text import embedding_text, glossing

__all__ = ["BY_RELEVANCE", "FirstHits", "Pipeline", "Plan", "Vectors"]

BY_RELEVANCE = ("", "relevance", "_text_match")
"""What a request calls the order of relevance."""
_CACHED_QUERIES = 10_000

Vectors = Mapping[str, NDArray[np.float32] | Exception]
"""Text → its vector, or why it has none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A request understood: what is searched, the filters, what they and the exclusions leave (``None``: all) and the weight of
    meaning."""

    request: SearchRequest
    query: ParsedQuery
    filter_by: str
    tree: Filter | None
    allowed: NDArray[np.bool_] | None
    alpha: float


@dataclass(frozen=True, slots=True)
class FirstHits:
    """What a reranker reads: the query as it is meant, the first hits' ids and texts, and their ranking."""

    query: str
    ids: Sequence[str]
    texts: Sequence[str]
    ranking: Ranking


class Pipeline:
    """The indexes of one open snapshot, and the stages of a search over them; of ``documents`` only a reranker reads."""

    def __init__(self, snapshot: Snapshot, settings: Settings, documents: Documents) -> None:
        folder, parts, dead = snapshot.path, snapshot.parts, snapshot.dead
        self._documents = documents
        self.settings = settings
        self.table = Table(parts, settings.exchange_rates)
        self.living = np.ones(snapshot.rows, bool)
        self.living[dead] = False
        self.vectors = open_all_vectors(parts, dead, settings)
        self.languages = tuple(settings.semantic_languages or snapshot.manifest.report.get("languages", ["en"]))
        self._all_live = not len(dead)
        self._lexical = LexicalIndex(parts, dead)
        self._known = Knowledge(
            codes=CodeIndex(parts, dead),
            lexical=self._lexical,
            values=ValuesIndex(parts),
            vocabulary=VocabularyIndex(parts),
            lexicon=Lexicon.open(folder / "lexicon"),
            currencies=self.table.currencies,
            semantic_languages=self.languages,
            english=whole_words(folder / "encoder"),
        )
        self._groups = self.table.groups()
        if settings.ranker and settings.reranker:
            raise SettingsError("`ranker` and `reranker` are both set, and each would undo the other's order. Unset one.")
        self._ranker = Ranker(Path(settings.ranker)) if settings.ranker else None
        self._reranker = _reranker(Path(settings.reranker), snapshot, self.languages) if settings.reranker else None
        self._fitting = Fitting(self.table)
        self._calibration = Calibration(*settings.calibration)
        encoder = open_encoder(folder / "encoder", threads=settings.threads, expect=snapshot.manifest.encoder)
        self.encoder = CachingEncoder(encoder, _CACHED_QUERIES)
        self._min_similarity = settings.min_similarity or float(snapshot.manifest.report.get("similarity", 0.0))

    def tuned(self, settings: Settings) -> Pipeline:
        """Return a pipeline over the same open indexes with other search settings."""
        other = copy.copy(self)
        other.settings = settings
        other._calibration = Calibration(*settings.calibration)
        return other

    def understood(self, q: str) -> ParsedQuery:
        """Return a query taken apart."""
        return parse_query(q, self._known)

    def plan(self, request: SearchRequest) -> Plan:
        """Understand a request as far as that goes without its vector."""
        query = parse_query(request.q, self._known, request.understand, request.correct)
        filter_by = join_filters(request.filter_by, *query.filters)
        tree = parse_filter(filter_by)
        return Plan(request, query, filter_by, tree, self._allowed(query, tree), self._alpha(query, request.alpha))

    def placed(self, plans: Sequence[Plan | Exception]) -> tuple[Vectors, Mapping[str, Neighbours]]:
        """Return the vectors of the plans' texts and what is nearest to each, encoded together and searched together."""
        vectors = self.encoded(plans)
        return vectors, self.nearest(vectors)

    def encoded(self, plans: Sequence[Plan | Exception]) -> Vectors:
        """Return the vector of each plan's text, all in one batch; should that fail, one by one, to find whose fault it is."""
        texts = [plan.query.meant for plan in plans if isinstance(plan, Plan) and plan.alpha > 0]
        if len(texts) > 1 and not isinstance(rows := outcome(self.encoder.encode_queries, texts), Exception):
            return dict(zip(texts, rows, strict=True))
        return {text: outcome(lambda text: self.encoder.encode_queries([text])[0], text) for text in texts}

    def nearest(self, vectors: Vectors) -> dict[str, Neighbours]:
        """Return the products nearest in meaning to each text, all in one search; a text left out is searched alone."""
        known = {text: vector for text, vector in vectors.items() if not isinstance(vector, Exception)}
        if not known:
            return {}
        found = outcome(self.vectors.search_many, np.stack(list(known.values())), self.settings.depth)
        return {} if isinstance(found, Exception) else dict(zip(known, found, strict=True))

    def ranked(
        self, plan: Plan, vectors: Vectors, near: Mapping[str, Neighbours], most: int
    ) -> tuple[MatchSet, Ranking]:
        """Return the match set and its order, or its best ``most`` where that is not 0."""
        query, allowed, alpha = plan.query, plan.allowed, plan.alpha
        vector = vectors[query.meant] if alpha > 0 else None
        if isinstance(vector, Exception):
            raise vector
        nearest = near.get(query.meant) if vector is not None else None
        if nearest is None:
            nearest = retrieve_dense(vector, self.vectors, self.settings.depth)
        evidence = self._fitting.weigh(query)
        everywhere = Candidates(retrieve_lexical(query, self._lexical, evidence), nearest, self._coded(query))
        dense = nearest if allowed is None else retrieve_dense(vector, self.vectors, self.settings.depth, allowed, plan.tree)
        candidates = restrict(everywhere, dense, allowed)
        found = self._match(query, everywhere, dense, evidence, allowed, vector is not None)
        gain = self._fitting.gain(query, evidence, found.rows)
        feedback = 0.0 if query.codes else self.settings.feedback
        held_back = self.settings.near_duplicates
        if most and (held_back or self._ranker or self._reranker):
            most = max(most, APART)
        ranking = rank(candidates, found, alpha, vector, self.vectors, gain, feedback, most)
        if self._ranker:
            ranking = self._ranker.reorder(ranking, features(query, ranking, found, evidence, self._fitting.prices))
        if self._reranker and query.words and query.meant and plan.request.sort_by.partition(":")[0] in BY_RELEVANCE:
            texts = self._texts(ranking.rows[: self._reranker.card.depth], self._reranker.card.languages)
            ranking = self._reranker.reorder(ranking, self._reranker.scores(query.meant, texts))
        return found, apart(ranking, self.vectors, self._groups, held_back) if held_back else ranking

    def signals(self, q: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return nearness, coverage, agrees, differs and other of ``rows`` int64 ``(m,)``, float32 ``(m, 5)``."""
        query = self.understood(q)
        evidence = self._fitting.weigh(query)
        coverage = np.ones(len(rows), np.float32)
        if query.words:
            coverage = retrieve_lexical(query, self._lexical, evidence).coverage[rows]
        near = np.float32(SPOKEN) * coverage
        if query.meant and query.words and not query.only_codes:
            vector = self.encoder.encode_queries([query.meant])[0]
            near = nearness(self.vectors.scores(vector, rows), self._min_similarity)
        near = np.where(np.isin(rows, self._coded(query)), np.float32(1), near)
        return np.stack([near, coverage, evidence.agrees[rows], evidence.differs[rows], evidence.other[rows]], axis=1)

    def features(self, q: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the first hits, as rows, and what a ranker is given of them, no ranker having put them in order."""
        plain = self.with_reranker(None)
        plain._ranker = None
        plan = plain.plan(SearchRequest(q=q))
        found, ranking = plain.ranked(plan, *plain.placed([plan]), APART)
        rows = ranking.rows[:APART]
        return rows, features(plan.query, ranking, found, self._fitting.weigh(plan.query), self._fitting.prices)

    def with_reranker(self, reranker: Reranker | None) -> Pipeline:
        """Return a pipeline over the same open indexes whose first hits this reranker puts in order, or none does."""
        other = copy.copy(self)
        other._reranker = reranker
        return other

    def first_hits(self, q: str, most: int, languages: Sequence[str]) -> FirstHits:
        """Return the first hits of a search, no reranker having put them in order; no texts where none would."""
        plain = self.with_reranker(None)
        plan = plain.plan(SearchRequest(q=q))
        ranking = taken(plain.ranked(plan, *plain.placed([plan]), most)[1], np.s_[:most])
        ids = [self._documents.ids[int(row)] for row in ranking.rows]
        read = ranking.rows if plan.query.words and plan.query.meant else ranking.rows[:0]
        return FirstHits(plan.query.meant, ids, self._texts(read, languages), ranking)

    def _texts(self, rows: NDArray[np.int64], languages: Sequence[str]) -> list[str]:
        """Return the texts of products as a model of these languages reads them."""
        lexicon = glossing(languages, self._known.lexicon)
        return [embedding_text(self._documents.product(int(row)), lexicon) for row in rows]

    def order(self, q: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of ``rows`` that share words or meaning with ``q``, best first, limits and exclusions left aside."""
        allowed = np.zeros(len(self.living), bool)
        allowed[rows] = True
        every = self.tuned(self.settings.model_copy(update={"min_relevance": 0.0, "tail_relevance": 0.0}))
        plan = replace(every.plan(SearchRequest(q=q)), tree=None, allowed=allowed)
        return every.ranked(plan, *every.placed([plan]), 0)[1].rows

    def _allowed(self, query: ParsedQuery, tree: Filter | None) -> NDArray[np.bool_] | None:
        """Return the mask of rows that filters and exclusions leave, or ``None`` for all."""
        allowed = None if tree is None else self.table.allow(tree)
        for group in (group for groups in query.exclusions for group in groups):
            keep = ~self._lexical.affirming(group)
            allowed = keep if allowed is None else allowed & keep
        return allowed if allowed is None or self._all_live else allowed & self.living

    def _alpha(self, query: ParsedQuery, asked: float | None) -> float:
        """Return the weight of meaning: none for a bare code or a language the model does not know."""
        if not query.words or query.only_codes or not query.meant:
            return 0.0
        return self.settings.alpha if asked is None else asked

    def _coded(self, query: ParsedQuery) -> NDArray[np.int64]:
        """Return the rows that bear a code of the query, in the order of the query."""
        rows = dict.fromkeys(r for c in query.codes for r in c.rows if self._fitting.may_bear(query, c, r))
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
            mask = self.living.copy() if allowed is None else allowed
            whole = mask.astype(np.float32)
            return MatchSet(np.flatnonzero(mask), mask, whole, whole, 1.0, complete=True)
        return match(
            everywhere,
            dense,
            evidence,
            allowed,
            self._calibration,
            threshold=min(self.settings.tail_relevance, self.settings.min_relevance),
            fill=self.settings.fill_relevance,
            suitable=0.0 if query.vague else self.settings.min_relevance,
            background=self._min_similarity,
            depth=self.settings.depth,
            meant=meant,
        )


def _reranker(folder: Path, snapshot: Snapshot, languages: Sequence[str]) -> Reranker:
    """Return the reranker of a folder, if it pays for searches of this snapshot.

    Raises:
        SettingsError: it was measured with another encoder, or cannot read what this one reads.
    """
    reranker = Reranker.open(folder)
    if reranker.card.encoder != snapshot.manifest.encoder:
        raise SettingsError(f"The reranker in {folder} was measured with another encoder than serves. Train it again, or unset it.")
    if unread := sorted(set(languages) - set(reranker.card.languages)):
        raise SettingsError(f"The reranker in {folder} does not read {', '.join(unread)}, which this shop does. Train another.")
    return reranker
