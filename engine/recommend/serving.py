"""Recommendations of each kind: scored by orders where there are any, by content where there are none, in stock, no two the same.

In: what is asked, what somebody bought, and which rows may be shown. Out: :class:`Pick` values, best first, each with what it rests
on. Thread-safe. Knows nothing of people, words or HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.index.vectors import VectorIndex
from engine.recommend.known import Known
from engine.recommend.model import DAY_S, Bought, Model
from engine.recommend.request import Kind

__all__ = ["NEW_DAYS", "NEW_WORTH", "Pick", "Recommender", "Rest", "new_places", "with_new"]

NEW_DAYS = 30.0
"""As many days after it was first sold a product is new."""
NEW_WORTH = 0.4
"""A new product takes the place of one that scores higher where it scores at least this share of it."""
_DUPLICATE = 0.97
_DEEP = 8
_CONTENT = 0.3
_LOOKED_UP = 50
_MOST_ALIKE = 20
_KNOWN_ENOUGH = 0.5
_ALIKE = 0.3
"""Products of a smaller cosine are not alike: without a bound a filter makes anything the nearest."""
_FRESH_DAYS = 45.0
"""Older orders say nothing of what is bought now or new."""
_MANY, _MANY_BUYERS = 0.05, 20
"""Many are buying what is among the best-selling twentieth now, and was bought by so many people."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What a recommendation rests on: another product's row and how many people bought both, the product it is like, or itself."""

    signal: Literal["together", "alike", "again", "now", "new", "content", "category", "bought", "discover"]
    weight: float
    row: int = -1
    like: int = -1
    buyers: int = 0


@dataclass(frozen=True, slots=True)
class Pick:
    """A recommended row, its score, and what it rests on, the weightiest first."""

    row: int
    score: float
    rests: Sequence[Rest]


def new_places(k: int) -> int:
    """Return how many of ``k`` places new products may take: a quarter."""
    return k // 4


def with_new(
    scores: NDArray[np.float32], best: NDArray[np.int64], new: NDArray[np.bool_], k: int, places: int, worth: float
) -> NDArray[np.int64]:
    """Return the first ``k`` of ``best``, where the last that are not ``new`` give way to the best new ones, each to one whose
    score is at least ``worth`` times its own, until ``places`` are new. ``best`` are rows by score; rows of no finite score are
    nowhere."""
    shown = best[:k]
    need = max(places - int(new[shown].sum()), 0)
    fresh = np.setdiff1d(np.flatnonzero(new & np.isfinite(scores)), shown)
    fresh = fresh[np.lexsort((fresh, -scores[fresh]))][:need]
    last = np.flatnonzero(~new[shown])[::-1][: len(fresh)]
    fresh = fresh[: len(last)]
    good = int(np.logical_and.accumulate(scores[fresh] >= worth * scores[shown[last]]).sum())
    return np.concatenate([np.delete(shown, last[:good]), fresh[:good]])


class Recommender:
    """Recommends products of one snapshot. ``groups`` int32 ``(n,)`` number variants of one thing, -1 for none."""

    def __init__(
        self, model: Model, vectors: VectorIndex, groups: NDArray[np.int32], clock: Callable[[], float] = time.time
    ) -> None:
        self.model, self._vectors, self._groups = model, vectors, groups
        self._new = model.new(NEW_DAYS) if model.orders else np.zeros(model.size, bool)
        fresh = 0 <= clock() - model.now_s <= _FRESH_DAYS * DAY_S
        selling = np.quantile(model.now, 1 - _MANY) if model.orders and fresh else np.inf
        self._selling = (model.now > selling) & (model.buyers >= _MANY_BUYERS)
        # how long the orders go back tells whether something is new or the shop has only begun to count
        counted = np.isfinite(model.first_s) & (model.first_s >= model.first_s.min(initial=np.inf) + NEW_DAYS * DAY_S)
        self._begun = self._new & counted & fresh

    def recommend(
        self,
        kind: Kind,
        rows: Sequence[int],
        history: Mapping[int, Bought],
        k: int,
        allowed: NDArray[np.bool_],
        discover: bool = False,
    ) -> list[Pick]:
        """Return up to ``k`` picks of ``allowed`` rows ``(n,)``. ``rows`` are those looked at or in the basket."""
        given = {row: Bought(1.0, 0.0) for row in rows}
        if kind == "similar":
            mine = allowed.copy()
            mine[list(history) if discover else []] = False
            return self._similar(rows, k, mine)
        if kind == "buy_again":
            again = {row: bought for row, bought in history.items() if bought.fresh}
            return self._again(again, k, allowed)
        places = 0
        if kind == "for_you":
            told, places = dict(history), new_places(k)
        else:
            told = given
        scores, rests = self._scores(told, kind)
        scores = np.where(allowed, scores, -np.inf).astype(np.float32)
        scores[[*rows, *(history if discover else ())]] = -np.inf
        scores[scores <= 0] = -np.inf
        best = np.argsort(-scores, kind="stable")[: _DEEP * k + _LOOKED_UP]
        best = best[np.isfinite(scores[best])]
        best = self._apart(best, rows, k + places)
        chosen = with_new(self._apart_only(scores, best, k), best, self._new, k, places, NEW_WORTH)
        known = Known(self.model, told, chosen)
        return [Pick(int(row), float(scores[row]), self._told(int(row), known, rests)) for row in chosen]

    def _scores(self, told: Mapping[int, Bought], kind: Kind) -> tuple[NDArray[np.float32], dict[int, dict[int, float]]]:
        """Return the scores of all rows, and for those that content speaks for, which products it does so by."""
        parts = self.model.parts(told if kind == "for_you" else {row: replace(b, fresh=0.0) for row, b in told.items()})
        scores = parts.together + parts.lent
        if kind == "for_you":
            scores = parts.score if self.model.orders else scores  # what is bought again, orders have to tell
        by_content: dict[int, dict[int, float]] = {}
        unknown = [row for row in told if self.model.own[row] < _KNOWN_ENOUGH][:_MOST_ALIKE] if kind == "for_you" else []
        for row in unknown:
            near = self._vectors.search(self._vectors.vectors(np.array([row]))[0], _LOOKED_UP)
            weight = _CONTENT * float((1 - self.model.own[row]) * np.log2(1 + told[row].orders))
            for other, cosine in zip(near.rows.tolist(), near.scores.tolist(), strict=True):
                if other != row and cosine >= _ALIKE:
                    by_content.setdefault(other, {})[row] = weight * cosine**2
        for other, given in by_content.items():
            scores[other] += max(given.values())
        return scores, by_content

    def _told(self, row: int, known: Known, by_content: Mapping[int, Mapping[int, float]]) -> list[Rest]:
        """Return what a row rests on, the weightiest first."""
        model, rests = self.model, list[Rest]()
        if known.fresh(row):
            rests.append(Rest("again", 1.0, row))
        if together := known.strongest(row, known.counts):
            weight, other, buyers = together
            rests.append(Rest("together", float(model.own[row]) * weight, other, buyers=buyers))
        rests += self._lent(row, known)
        rests += [Rest("content", weight, other) for other, weight in by_content.get(row, {}).items()]
        if self._selling[row]:
            rests.append(Rest("now", 0.0, row))
        if self._begun[row]:
            rests.append(Rest("new", 0.0, row))
        elif self._new[row]:
            rests.append(Rest("discover", 0.0, row))
        return sorted(rests, key=lambda r: (-r.weight, r.row)) or [Rest("bought", 0.0, row, buyers=int(model.buyers[row]))]

    def _lent(self, row: int, known: Known) -> list[Rest]:
        """Return that a new product is like one that goes with what was bought."""
        found = []
        for like in self.model.lenders_of(row).tolist():
            if with_like := known.strongest(like):
                weight, other, buyers = with_like
                found.append((weight, other, like, buyers))
            found += [(0.01, like, like, 0)] if like in known.told else []
        if not found or self.model.own[row] > 1 - 1e-3:
            return []
        weight, other, like, buyers = max(found, key=lambda f: (f[0], -f[1], -f[2]))
        return [Rest("alike", float(1 - self.model.own[row]) * weight, other, like, buyers)]

    def _similar(self, rows: Sequence[int], k: int, allowed: NDArray[np.bool_]) -> list[Pick]:
        """Return what is nearest in meaning to any of the rows."""
        best: dict[int, tuple[float, int]] = {}
        may = allowed.copy()
        may[list(rows)] = False
        for row in rows:
            near = self._vectors.search(self._vectors.vectors(np.array([row]))[0], k + _LOOKED_UP, may)
            for other, cosine in zip(near.rows.tolist(), near.scores.tolist(), strict=True):
                if cosine >= _ALIKE:
                    best[other] = max(best.get(other, (-1.0, -1)), (cosine, row))
        order = np.array(sorted(best, key=lambda r: (-best[r][0], r)), np.int64)
        return [Pick(r, best[r][0], [Rest("content", best[r][0], best[r][1])]) for r in self._apart(order, rows, k).tolist()[:k]]

    def _again(self, bought: Mapping[int, Bought], k: int, allowed: NDArray[np.bool_]) -> list[Pick]:
        again = self.model.parts(bought).again
        order = sorted((row for row in bought if allowed[row]), key=lambda r: (-again[r], r))
        return [Pick(row, float(again[row]), [Rest("again", 1.0, row)]) for row in order[:k]]

    def _apart(self, best: NDArray[np.int64], rows: Sequence[int], most: int) -> NDArray[np.int64]:
        """Return rows in their order without variants and near duplicates of better ones, or variants of ``rows``."""
        if not len(best):
            return best
        vectors, given = self._vectors.vectors(best), self._vectors.vectors(np.array(rows, np.int64))
        groups = {int(self._groups[row]) for row in rows} - {-1}
        kept: list[int] = []
        for place, row in enumerate(best.tolist()):
            group, taken = int(self._groups[row]), np.concatenate([given, vectors[kept]])
            if group in groups or (len(taken) and float((taken @ vectors[place]).max()) >= _DUPLICATE):
                continue
            groups |= {group} - {-1}
            kept.append(place)
            if len(kept) == max(most, 1) * 2:
                break
        return best[kept]

    def _apart_only(self, scores: NDArray[np.float32], best: NDArray[np.int64], k: int) -> NDArray[np.float32]:
        """Return scores where only what is not a duplicate of something better counts, so that places for new products keep to
        it."""
        out = np.full(len(scores), -np.inf, np.float32)
        fresh = np.flatnonzero(self._new & np.isfinite(scores))
        fresh = fresh[np.lexsort((fresh, -scores[fresh]))][: _DEEP * k]
        own = np.concatenate([best, np.setdiff1d(fresh, best)])
        own = self._apart(own, (), len(own))
        out[own] = scores[own]
        return out
