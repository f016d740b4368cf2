"""What is known of products from orders, and what that says to one basket or history.

    score(j) = own_j · trend_j · together_j  +  LENT · (1 − own_j) · lent_j  +  AGAIN · trend_j · again_j · bought_j  +  NOW · now_j

``together_j`` adds up the weights of what was bought, ``lent_j`` is that of products like a new one, ``bought_j`` counts one's own
orders of it, old ones less. In: rows and how much each was bought. Out: scores of all rows, and the parts of each. Knows nothing of
people or ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAY_S", "Bought", "Model", "Parts", "Sparse"]

DAY_S = 86_400.0
LENT, AGAIN, NOW = 0.7, 0.4, 0.15
AGAIN_HALF_LIFE_DAYS = 180.0


@dataclass(frozen=True, slots=True)
class Sparse:
    """A matrix by rows: row ``i`` holds ``values`` at ``columns``, both from ``starts[i]`` to ``starts[i + 1]``."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: NDArray[np.float32]

    @classmethod
    def none(cls, rows: int) -> Sparse:
        """Return a matrix of nothing."""
        return cls(np.zeros(rows + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))

    def moved(self, to: NDArray[np.int64], n: int) -> tuple[Sparse, NDArray[np.int64]]:
        """Return the matrix with row and column ``i`` at ``to[i]``, left out where that is -1, for ``n`` rows, and where each of
        its values was."""
        rows, columns = np.repeat(to, np.diff(self.starts)), to[self.columns]
        kept = np.flatnonzero((rows >= 0) & (columns >= 0))
        order = kept[np.lexsort((columns[kept], rows[kept]))]
        starts = np.searchsorted(rows[order], np.arange(n + 1))
        return Sparse(starts.astype(np.int64), columns[order].astype(np.int32), self.values[order]), order

    def span(self, row: int) -> slice:
        """Return where the values of a row are."""
        return slice(int(self.starts[row]), int(self.starts[row + 1]))


@dataclass(frozen=True, slots=True)
class Bought:
    """What one person bought of a product: in how many orders, and these again with old ones counting less."""

    orders: float
    fresh: float

    @classmethod
    def at(cls, ages_days: list[float]) -> Bought:
        """Return what orders of these ages come to."""
        return cls(float(len(ages_days)), sum(0.5 ** (max(0.0, age) / AGAIN_HALF_LIFE_DAYS) for age in ages_days))


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the scores, each float32 ``(n,)``."""

    together: NDArray[np.float32]
    lent: NDArray[np.float32]
    again: NDArray[np.float32]
    now: NDArray[np.float32]

    @property
    def score(self) -> NDArray[np.float32]:
        """What orders rows."""
        return np.asarray(self.together + self.lent + self.again + self.now)


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that was fitted, by row of the catalogue; arrays are float32 ``(n,)`` where nothing else is said.

    ``together`` holds, for each product bought, what goes with it, and ``support`` int32 how many people bought both. ``now``
    is the share of recent orders that hold a product, ``trend`` how much more that is than before, ``again`` how often it is
    bought again against others, ``own`` how far it is known by its own sales; ``lenders`` are the products a new one is like.
    ``first_s`` float64 is when it was first sold, infinite for never; ``buyers`` int32 how many people bought it.
    """

    now_s: float
    orders: int
    together: Sparse
    support: NDArray[np.int32]
    now: NDArray[np.float32]
    trend: NDArray[np.float32]
    again: NDArray[np.float32]
    own: NDArray[np.float32]
    lenders: Sparse
    first_s: NDArray[np.float64]
    buyers: NDArray[np.int32]

    @property
    def size(self) -> int:
        """How many products there are."""
        return len(self.now)

    def moved(self, to: NDArray[np.int64], n: int) -> Model:
        """Return the model of ``n`` products of which that of row ``i`` is at ``to[i]`` now, or gone where that is -1."""
        together, order = self.together.moved(to, n)
        lenders, _ = self.lenders.moved(to, n)
        kept = to >= 0

        def put(values: NDArray[Any], other: float) -> NDArray[Any]:
            out = np.full(n, other, values.dtype)
            out[to[kept]] = values[kept]
            return out

        return replace(
            self,
            together=together,
            support=self.support[order],
            lenders=lenders,
            now=put(self.now, 0),
            trend=put(self.trend, 1),
            again=put(self.again, 1),
            own=put(self.own, 0),
            first_s=put(self.first_s, np.inf),
            buyers=put(self.buyers, 0),
        )

    def parts(self, history: Mapping[int, Bought]) -> Parts:
        """Return the parts of the scores for what was bought, by row."""
        goes = np.zeros(self.size, np.float32)
        again = np.zeros(self.size, np.float32)
        for row, bought in history.items():
            span = self.together.span(row)
            goes[self.together.columns[span]] += np.float32(np.log2(1 + bought.orders)) * self.together.values[span]
            again[row] = AGAIN * self.trend[row] * self.again[row] * bought.fresh
        strength = self.trend * np.maximum(goes, 0)
        lent = np.float32(LENT) * (1 - self.own) * self._lent(strength)
        return Parts(self.own * strength, lent, again, np.float32(NOW) * self.now)

    def _lent(self, strength: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what each product has from those it is like."""
        lenders = self.lenders
        given = lenders.values * strength[lenders.columns]
        summed = np.concatenate([[0.0], np.cumsum(given, dtype=np.float64)])
        return np.asarray(summed[lenders.starts[1:]] - summed[lenders.starts[:-1]], np.float32)

    def pairs(self, bought: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Return the weights float32 ``(b, r)`` of products bought for distinct rows, and how many people bought both, int32;
        nothing where they were too few."""
        place = np.full(self.size, -1, np.int64)
        place[rows] = np.arange(len(rows))
        weights, support = np.zeros((len(bought), len(rows)), np.float32), np.zeros((len(bought), len(rows)), np.int32)
        for at, row in enumerate(bought.tolist()):
            span = self.together.span(row)
            columns = place[self.together.columns[span]]
            there = columns >= 0
            weights[at, columns[there]] = self.together.values[span][there]
            support[at, columns[there]] = self.support[span][there]
        return weights, support

    def lenders_of(self, row: int) -> NDArray[np.int32]:
        """Return the products that a new one is like."""
        return self.lenders.columns[self.lenders.span(row)]

    def new(self, days: float) -> NDArray[np.bool_]:
        """Return the mask ``(n,)`` of what was first sold in these last days, or never."""
        return np.asarray((self.now_s - self.first_s) / DAY_S <= days)
