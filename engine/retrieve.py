"""Candidates: what the words, the meaning and the codes of a query say of every product.

In: a parsed query, its vector and the rows allowed. Out: :class:`Candidates`. Finds nothing out about relevance:
what counts as found is :mod:`engine.match`'s, and in which order is :mod:`engine.rank`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.fit import Evidence
from engine.index.filters import Filter
from engine.index.lexical import LexicalIndex, LexicalScores, Measured
from engine.index.vectors import NO_NEIGHBOURS, Neighbours, VectorIndex
from engine.query import ParsedQuery

__all__ = ["Candidates", "feedback_vector", "restrict", "retrieve_dense", "retrieve_lexical"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """``lexical`` scores every row (0 where not allowed); ``dense`` are the nearest allowed rows; ``codes`` the rows
    that bear a code of the query, in the order of the query."""

    lexical: LexicalScores
    dense: Neighbours
    codes: NDArray[np.int64]


def retrieve_lexical(query: ParsedQuery, index: LexicalIndex, evidence: Evidence) -> LexicalScores:
    """Score every product by words; a measure counts as said by every product that has it, in whatever unit."""
    measured = []
    for start, end, has in evidence.measured:
        inside = [i for i, word in enumerate(query.words) if start <= word.start and word.end <= end]
        if inside:
            measured.append(Measured(inside[0], inside[-1] + 1, has))
    return index.search(query.words, query.concepts, measured)


def restrict(candidates: Candidates, dense: Neighbours, allowed: NDArray[np.bool_] | None) -> Candidates:
    """Return the candidates among the rows ``allowed``, of which ``dense`` are the nearest; others score 0."""
    if allowed is None:
        return candidates
    lexical = candidates.lexical
    kept = LexicalScores(np.where(allowed, lexical.score, 0), np.where(allowed, lexical.coverage, 0))
    return Candidates(kept, dense, candidates.codes[allowed[candidates.codes]])


def retrieve_dense(
    vector: NDArray[np.float32] | None,
    index: VectorIndex,
    depth: int,
    allowed: NDArray[np.bool_] | None = None,
    tree: Filter | None = None,
) -> Neighbours:
    """Return the ``depth`` products nearest in meaning, or nothing without a vector; all ``allowed`` pass ``tree``."""
    return NO_NEIGHBOURS if vector is None else index.search(vector, depth, allowed, tree)


def feedback_vector(
    vector: NDArray[np.float32], best: NDArray[np.int64], weight: float, index: VectorIndex
) -> NDArray[np.float32]:
    """Return the query moved by ``weight`` towards the mean of its best products, unit length.

    Pseudo-relevance feedback after Rocchio (*Relevance feedback in information retrieval*, 1971), positive part only.
    """
    moved = (1 - weight) * vector + weight * index.vectors(best).mean(axis=0)
    return np.asarray(moved / max(float(np.linalg.norm(moved)), 1e-9), np.float32)
