"""The vectors of a base and of its delta as one index, without the rows that are dead.

In: two indexes and the dead rows of the first. Out: a :class:`~engine.index.vectors.VectorIndex` whose rows are those of the
base and then those of the delta. Knows nothing of products.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.index.filters import Filter
from engine.index.vectors import Neighbours, VectorIndex, order_by_score

__all__ = ["JoinedVectors"]

_SPARE = 8
"""Neighbours taken beside those that are wanted and those that are probably dead."""


class JoinedVectors:
    """Searches both parts. Thread-safe: nothing on it changes."""

    def __init__(self, base: VectorIndex, delta: VectorIndex | None, dead: NDArray[np.int64]) -> None:
        self._base, self._delta, self._n = base, delta, base.size
        self._living = np.ones(base.size, bool)
        self._living[dead] = False
        self._dead = len(dead)

    @property
    def size(self) -> int:
        """How many rows there are, dead ones with them."""
        return self._n + (self._delta.size if self._delta else 0)

    def search(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None, tree: Filter | None = None
    ) -> Neighbours:
        """Return the ``k`` nearest of the ``allowed`` rows that are not dead."""
        if allowed is None:
            return self.search_many(query[None], k)[0]
        near = self._base.search(query, k, allowed[: self._n] & self._living, tree)
        return self._with_delta(query, k, near, allowed[self._n :])

    def search_many(self, queries: NDArray[np.float32], k: int) -> list[Neighbours]:
        """Return the ``k`` nearest of all rows that are not dead to each query."""
        wanted = k + min(self._dead, int(2 * k * self._dead / max(1, self._n)) + _SPARE) if k else 0
        out = []
        for query, near in zip(queries, self._base.search_many(queries, wanted), strict=True):
            living = self._living[near.rows]
            near = Neighbours(near.rows[living][:k], near.scores[living][:k])
            if len(near.rows) < min(k, self._n - self._dead):
                near = self._base.search(query, k, self._living)
            out.append(self._with_delta(query, k, near, None))
        return out

    def _with_delta(self, query: NDArray[np.float32], k: int, near: Neighbours, allowed: NDArray[np.bool_] | None) -> Neighbours:
        if not self._delta:
            return near
        new = self._delta.search(query, k, allowed)
        return order_by_score(np.concatenate([near.rows, new.rows + self._n]), np.concatenate([near.scores, new.scores]), k)

    def scores(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the exact cosines float32 ``(m,)`` of the given rows."""
        if not self._delta:
            return self._base.scores(query, rows)
        out, new = np.empty(len(rows), np.float32), rows >= self._n
        out[~new] = self._base.scores(query, rows[~new])
        out[new] = self._delta.scores(query, rows[new] - self._n)
        return out

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors float32 ``(m, d)`` of the given rows."""
        if not self._delta:
            return self._base.vectors(rows)
        new = rows >= self._n
        base = self._base.vectors(rows[~new])
        out = np.empty((len(rows), base.shape[1]), np.float32)
        out[~new], out[new] = base, self._delta.vectors(rows[new] - self._n)
        return out
