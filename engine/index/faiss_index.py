"""The FAISS back-end: an index chosen by the number of products, and exact search wherever that one would lose.

=================  =======================================  =============================================
products           index                                    why
=================  =======================================  =============================================
below 8,192        none                                     exact half-precision scan is fast enough
below 262,144      ``PQ{d/2}x4fs,Refine(SQ8)``              eight times faster than a scan, recall 0.99
from there on      ``IVF{√n·2},PQ{d/2}x4fs,Refine(SQ8)``    does not touch most of the catalogue
=================  =======================================  =============================================

The half-precision vectors themselves are the truth and stay beside the index. A filter never goes into the
approximate index: few allowed rows are gathered and multiplied, many are scanned exactly with a bitmap. FAISS
stores no checksum and drops NaN rows in silence; both are refused before it sees them. Files are read only after
the snapshot's SHA-256 check.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.errors import SnapshotError
from engine.index.arrays import map_array
from engine.index.vectors import ExactVectors, Neighbours, as_float32, order_by_score

__all__ = ["FaissVectors", "factory_for", "save_vectors"]

SMALL, LARGE = 8_192, 262_144
GATHER_SHARE = 0.05
"""Below this share of allowed rows, gathering them beats scanning all with a bitmap (measured near 5 %)."""
REFINE, REFINED_AT_LEAST = 2, 400
"""Candidates taken from the compressed vectors for each one returned, and at least."""
NPROBE = 96
_PARAMETERS: Any = faiss
"""FAISS's type stubs do not know that its parameter classes take keywords."""


def factory_for(n: int, dimension: int) -> str:
    """Return the FAISS factory string for ``n`` products, or ``""`` for exact search alone."""
    if n < SMALL or dimension % 2:
        return ""
    quantizer = f"PQ{dimension // 2}x4fs,Refine(SQ8)"
    return quantizer if n < LARGE else f"IVF{int(2 * n**0.5)},{quantizer}"


def save_vectors(vectors: NDArray[np.float16], folder: Path, *, factory: str | None = None) -> dict[str, object]:
    """Write ``vectors`` float16 ``(n, d)`` and the index chosen for them, and return what was built.

    Raises:
        SnapshotError: a vector is not finite; FAISS would drop it without a word.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise SnapshotError(f"The vector of product row {row} is not finite; nothing was written. Check the model.")
    np.save(folder / "vectors.npy", vectors, allow_pickle=False)
    chosen = factory_for(*vectors.shape) if factory is None else factory
    if not chosen:
        return {"index": "exact"}
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    index = faiss.index_factory(vectors.shape[1], chosen, faiss.METRIC_INNER_PRODUCT)
    sample = np.random.default_rng(0).permutation(len(vectors))[:262_144]
    index.train(as_float32(vectors[np.sort(sample)]))
    for start in range(0, len(vectors), 65_536):
        index.add(as_float32(vectors[start : start + 65_536]))
    faiss.write_index(index, str(folder / "index.faiss"))
    return {"index": chosen}


class FaissVectors:
    """The vectors of a snapshot. Thread-safe for searching, as FAISS's CPU indexes are.

    ``threads`` is how many threads one search may use; 0 means one for each core.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._half = map_array(folder / "vectors.npy")
        self._exact = ExactVectors(self._half)
        n, dimension = self._half.shape
        self._scan = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        for start in range(0, n, 65_536):
            self._scan.add(as_float32(self._half[start : start + 65_536]))
        path = folder / "index.faiss"
        self._index: Any = faiss.read_index(str(path)) if path.exists() else None
        self._parameters: dict[int, Any] = {}
        if self._index is not None and self._index.ntotal != n:
            raise SnapshotError(f"{path.name} holds {self._index.ntotal} vectors instead of {n}. Index the feed again.")

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self._half)

    def search(self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """Return the ``k`` nearest of the ``allowed`` rows; approximate only where nothing is filtered."""
        _check(query)
        matching = self.size if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, matching)
        if k == 0:
            return Neighbours(np.empty(0, np.int64), np.empty(0, np.float32))
        if matching == self.size and self._approximates(k):
            return self._approximate(query[None], k)[0]
        if matching <= GATHER_SHARE * self.size or matching <= k:
            return self._exact.search(query, k, allowed)
        return self._bitmap(query, k, None if matching == self.size else allowed)

    def search_many(self, queries: NDArray[np.float32], k: int) -> list[Neighbours]:
        """Return the ``k`` nearest of all rows to each query: together the codes are read once, which is half the cost."""
        if len(queries) and self._approximates(k):
            _check(queries)
            return self._approximate(queries, k)
        return [self.search(query, k) for query in queries]

    def scores(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the exact cosines float32 ``(m,)`` of the given rows."""
        return self._exact.scores(query, rows)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors float32 ``(m, d)`` of the given rows."""
        return self._exact.vectors(rows)

    def _approximates(self, k: int) -> bool:
        return self._index is not None and 0 < 4 * k <= self.size

    def _approximate(self, queries: NDArray[np.float32], k: int) -> list[Neighbours]:
        faiss.omp_set_num_threads(self._threads)  # of this thread alone; several workers with all cores each would wait
        out = []
        for query, scores, rows in zip(queries, *self._index.search(queries, k, params=self._parameters_for(k)), strict=True):
            found = rows >= 0
            if np.count_nonzero(found) < k:  # an inverted list ran short: never return fewer than there are
                out.append(self._bitmap(query, k, None))
            else:
                out.append(order_by_score(rows[found], scores[found], k))
        return out

    def _parameters_for(self, k: int) -> Any:
        """Return the parameters of a search, made once for each ``k``: they take longer to make than to use."""
        if k not in self._parameters:
            inverted = isinstance(faiss.downcast_index(self._index.base_index), faiss.IndexIVF)
            base = _PARAMETERS.SearchParametersIVF(nprobe=NPROBE) if inverted else None
            factor = max(REFINE, REFINED_AT_LEAST / k)
            self._parameters[k] = _PARAMETERS.IndexRefineSearchParameters(k_factor=factor, base_index_params=base)
        return self._parameters[k]

    def _bitmap(self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None) -> Neighbours:
        parameters = None
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(self.size, faiss.swig_ptr(bits))
            parameters = _PARAMETERS.SearchParameters(sel=selector)
        faiss.omp_set_num_threads(self._threads)
        scores, rows = self._scan.search(query[None], k, params=parameters)
        return order_by_score(rows[0], scores[0], k)


def _check(queries: NDArray[np.float32]) -> None:
    if not np.isfinite(queries).all():
        raise SnapshotError("The query vector is not finite. The encoder is damaged; index the feed again.")
