"""Nearest products by cosine, with filters that exclude inside the search.

:class:`VectorIndex` is the contract every back-end keeps: at most ``k`` rows of ``allowed``, nearest first, ties by
row, never a row twice, never fewer than ``min(k, allowed rows)``. Approximate indexes lose neighbours under a
filter, so a back-end owns its fallback to exact search. :class:`ExactVectors` is that fallback and the oracle.
Knows nothing of products or queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import SnapshotError
from engine.index.filters import Filter

__all__ = ["NO_NEIGHBOURS", "ExactVectors", "Neighbours", "VectorIndex", "as_float32", "check_finite", "order_by_score"]

_CHUNK = 65_536
_SIGN_AND_MAGNITUDE = np.int32(0x8FFFE000 - 2**32)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """``rows`` int64 ``(m,)`` and their cosines ``scores`` float32 ``(m,)``, nearest first, ``m <= k``."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


NO_NEIGHBOURS = Neighbours(np.empty(0, np.int64), np.empty(0, np.float32))


class VectorIndex(Protocol):
    """Finds the nearest rows of unit vectors."""

    @property
    def size(self) -> int:
        """How many rows there are."""
        ...

    def search(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None, tree: Filter | None = None
    ) -> Neighbours:
        """Return the ``k`` nearest of the ``allowed`` rows to ``query`` float32 ``(d,)``, unit length.

        ``tree`` is a filter that all of ``allowed`` pass, for an engine elsewhere that tests filters itself.
        """
        ...

    def search_many(self, queries: NDArray[np.float32], k: int) -> list[Neighbours]:
        """Return the ``k`` nearest of all rows to each of ``queries`` float32 ``(m, d)``."""
        ...

    def scores(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the exact cosines float32 ``(m,)`` of the given rows."""
        ...

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors float32 ``(m, d)`` of the given rows."""
        ...


def order_by_score(rows: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> Neighbours:
    """Return the best ``k``, highest score first, ties by row."""
    if len(rows) > 4 * k > 0:
        # Everything at least as good as the k-th best is kept, so that ties are broken by row and not by luck.
        worst = np.partition(scores, len(scores) - k)[len(scores) - k]
        keep = scores >= worst
        rows, scores = rows[keep], scores[keep]
    order = np.lexsort((rows, -scores))[:k]
    return Neighbours(rows[order].astype(np.int64), scores[order].astype(np.float32))


def check_finite(queries: NDArray[np.float32]) -> None:
    """Refuse queries that are not finite.

    Raises:
        SnapshotError: one is not.
    """
    if not np.isfinite(queries).all():
        raise SnapshotError("The query vector is not finite. The encoder is damaged; index the feed again.")


class ExactVectors:
    """Brute force over ``vectors`` float16 or float32 ``(n, d)``: gathers the allowed rows and multiplies."""

    def __init__(self, vectors: NDArray[np.float16] | NDArray[np.float32]) -> None:
        self._vectors = vectors

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self._vectors)

    def search(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None, tree: Filter | None = None
    ) -> Neighbours:
        """Return the ``k`` nearest of the ``allowed`` rows, exactly."""
        rows = np.arange(self.size) if allowed is None else np.flatnonzero(allowed)
        return order_by_score(rows, self.scores(query, rows), k)

    def search_many(self, queries: NDArray[np.float32], k: int) -> list[Neighbours]:
        """Return the ``k`` nearest of all rows to each query, exactly; the rows are read once for all."""
        best = [NO_NEIGHBOURS for _ in queries]
        for start in range(0, self.size if k else 0, _CHUNK):
            scores = queries @ as_float32(self._vectors[start : start + _CHUNK]).T
            for place, (so_far, here) in enumerate(zip(best, scores, strict=True)):
                new = order_by_score(np.arange(start, start + len(here)), here, k)
                rows, both = np.concatenate([so_far.rows, new.rows]), np.concatenate([so_far.scores, new.scores])
                best[place] = order_by_score(rows, both, k)
        return best

    def scores(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the cosines float32 ``(m,)`` of the given rows."""
        out = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _CHUNK):
            block = as_float32(self._vectors[rows[start : start + _CHUNK]])
            out[start : start + _CHUNK] = block @ query
        return out

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors float32 ``(m, d)`` of the given rows."""
        return as_float32(self._vectors[rows])


def as_float32(values: NDArray[np.float16] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Return finite ``values`` in single precision, three times faster than numpy converts half precision.

    The bits are moved to where single precision has them, and the exponent's bias is multiplied away.
    """
    if values.dtype != np.float16:
        return np.asarray(values, np.float32)
    bits = values.view(np.int16).astype(np.int32)  # the sign fills the upper half
    bits <<= 13
    bits &= _SIGN_AND_MAGNITUDE
    out = bits.view(np.float32)
    out *= np.float32(2.0**112)
    return out
