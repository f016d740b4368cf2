"""The order of a match set: codes first, then words and meaning fused, ties by product id.

Fusion is a convex combination of min-max normalised scores (Bruch, Gai and Ingber, *An Analysis of Fusion Functions
for Hybrid Retrieval*, 2023): it needs one weight, and beats reciprocal ranks on our data. Rows are sorted by id, so
ties by row are ties by id. Knows nothing of queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.index.vectors import VectorIndex
from engine.match import MatchSet
from engine.retrieve import Candidates, feedback_vector

__all__ = ["APART", "Ranking", "apart", "rank", "sort_rows", "taken"]

_FEEDBACK_PRODUCTS = 3
APART = 100
"""Near duplicates are held back among the first of this many, whichever page is asked for."""
_DUPLICATE = 0.95
_NORMALISED = 200
"""Scores are scaled between the best and the 200th, as deep as anyone looks."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """``rows`` int64 ``(m,)`` best first, with their scores in the same order; ``semantic`` is NaN where unknown."""

    rows: NDArray[np.int64]
    fused: NDArray[np.float32]
    lexical: NDArray[np.float32]
    semantic: NDArray[np.float32]
    code: NDArray[np.bool_]


def rank(
    candidates: Candidates,
    found: MatchSet,
    alpha: float,
    vector: NDArray[np.float32] | None,
    index: VectorIndex,
    gain: NDArray[np.float32] | None = None,
    feedback: float = 0.0,
    most: int = 0,
) -> Ranking:
    """Order a match set, or its best ``most`` where that is not 0.

    ``alpha`` weighs meaning against words; ``gain`` is added for each row of the set. With ``feedback`` the query's
    vector moves that far towards the best three, and those whose cosines are known are compared with it again.
    """
    rows = found.rows
    lexical = candidates.lexical.score[rows]
    semantic = _semantic(candidates, rows, lexical, vector, index)
    words = _scaled(lexical, candidates.lexical.score[np.flatnonzero(candidates.lexical.score)])
    code = np.isin(rows, candidates.codes) if candidates.codes.size else np.zeros(len(rows), bool)
    rest = (np.float32(1 - alpha) * words + 2 * code).astype(np.float32)
    if gain is not None:
        rest += gain
    fused = rest + np.float32(alpha) * np.nan_to_num(_scaled(semantic, candidates.dense.scores))
    if vector is not None and feedback and len(rows):
        best = rows[_best(rows, fused, _FEEDBACK_PRODUCTS)[:_FEEDBACK_PRODUCTS]]
        moved = feedback_vector(vector, best, feedback, index)
        known = np.flatnonzero(~np.isnan(semantic))
        semantic = semantic.copy()
        semantic[known] = index.scores(moved, rows[known])
        nearest = index.scores(moved, candidates.dense.rows[:_NORMALISED])
        fused = rest + np.float32(alpha) * np.nan_to_num(_scaled(semantic, nearest))
    order = _best(rows, fused, most)
    return Ranking(rows[order], fused[order], lexical[order], semantic[order], code[order])


def apart(
    ranking: Ranking, index: VectorIndex, groups: NDArray[np.int32], held_back: float
) -> Ranking:
    """Return the first hundred of a ranking with near duplicates of better hits held back by ``held_back``.

    A near duplicate has a cosine of 0.95 or more with a hit before it, or its group: ``groups`` int32 ``(n,)`` of every
    row, -1 for none. Greedy, as in maximal marginal relevance (Carbonell and Goldstein, *The Use of MMR*, SIGIR 1998), with
    a step instead of the cosine: products of one kind are alike without being the same. No hit is lost.
    """
    rows = ranking.rows[:APART]
    vectors = index.vectors(rows)
    same = vectors @ vectors.T >= _DUPLICATE
    group = groups[rows]
    same |= (group[:, None] == group) & (group >= 0)[:, None]
    scores = ranking.fused[:APART].astype(np.float64)
    order: list[int] = []
    waiting = np.ones(len(rows), bool)
    held = np.zeros(len(rows), bool)
    for _ in range(len(rows)):
        best = int(np.argmax(np.where(waiting, scores - held_back * held, -np.inf)))
        order.append(best)
        waiting[best] = False
        held |= same[best]
    places = np.concatenate([np.array(order, np.int64), np.arange(len(rows), len(ranking.rows))])
    return taken(ranking, places)


def taken(ranking: Ranking, places: NDArray[np.int64] | slice) -> Ranking:
    """Return the hits at ``places``, in that order."""
    return Ranking(*(getattr(ranking, name)[places] for name in ("rows", "fused", "lexical", "semantic", "code")))


def _best(rows: NDArray[np.int64], fused: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """Return the places of the best ``most`` by score, ties by row; of all where it is 0."""
    if not most or len(rows) <= 2 * most:
        return np.lexsort((rows, -fused))
    least = np.partition(fused, len(fused) - most)[len(fused) - most]
    places = np.flatnonzero(fused >= least)
    return np.asarray(places[np.lexsort((rows[places], -fused[places]))][:most], np.int64)


def _semantic(
    candidates: Candidates,
    rows: NDArray[np.int64],
    lexical: NDArray[np.float32],
    vector: NDArray[np.float32] | None,
    index: VectorIndex,
) -> NDArray[np.float32]:
    """Return the cosine of each row: from the nearest, and computed for the best by words that are not among them."""
    known = np.full(len(candidates.lexical.score), np.nan, np.float32)
    known[candidates.dense.rows] = candidates.dense.scores
    out = known[rows]
    if vector is not None and (unknown := np.flatnonzero(np.isnan(out))).size:
        best = unknown[np.argsort(-lexical[unknown], kind="stable")[:_NORMALISED]]
        out[best] = index.scores(vector, rows[best])
    return out


def _scaled(values: NDArray[np.float32], of: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale ``values`` to [0, 1] between the best of ``of`` and its 200th."""
    if len(of) == 0:
        return np.zeros(len(values), np.float32)
    place = max(0, len(of) - _NORMALISED)
    low, high = float(np.partition(of, place)[place]), float(of.max())
    scaled = np.clip((values - low) / (high - low), 0, 1) if high > low else values >= high
    return np.asarray(scaled, np.float32)


def sort_rows(ranking: Ranking, keys: list[NDArray[np.float64]], descending: bool) -> Ranking:
    """Order a ranking by a number instead: products without one last, ties as they were.

    ``keys`` hold one array per unit, the most common first; a product is placed by the first unit it has.
    """
    order = np.arange(len(ranking.rows))
    group = np.full(len(order), len(keys))
    value = np.zeros(len(order))
    for unit, numbers in reversed(list(enumerate(keys))):
        has = ~np.isnan(numbers)
        group[has], value[has] = unit, numbers[has]
    order = np.lexsort((order, -value if descending else value, group))
    return taken(ranking, order)
