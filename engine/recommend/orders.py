"""Who bought what together and when, as arrays: what a recommender is fitted to. Knows nothing of ids or files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Orders"]


@dataclass(frozen=True, slots=True)
class Orders:
    """One entry for each line of each order: ``order`` and ``person`` int64 ``(m,)`` number them, -1 where nobody says who;
    ``product`` int64 ``(m,)`` are rows of the catalogue, ``time_s`` float64 ``(m,)`` seconds since 1970."""

    order: NDArray[np.int64]
    person: NDArray[np.int64]
    product: NDArray[np.int64]
    time_s: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.product)

    def before(self, time_s: float) -> Orders:
        """Return what was ordered before a time."""
        return self.where(self.time_s < time_s)

    def where(self, mask: NDArray[np.bool_]) -> Orders:
        """Return the lines of a mask ``(m,)``."""
        return Orders(self.order[mask], self.person[mask], self.product[mask], self.time_s[mask])

    @classmethod
    def none(cls) -> Orders:
        """Return no orders."""
        empty = np.empty(0, np.int64)
        return cls(empty, empty, empty, np.empty(0))
