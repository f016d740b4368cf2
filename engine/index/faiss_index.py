"""The FAISS back-end: an index chosen by the number of products and the memory there is, and exact search wherever that one
would lose.

=================  ============================  ============================================================
products           index                         why
=================  ============================  ============================================================
below 8,192        none                          an exact scan is fast enough
below 262,144      ``PQ{d/2}x4fs``               eight times faster than a scan
from there on      ``IVF{√n·2},PQ{d/2}x4fs``     does not touch most of the catalogue
=================  ============================  ============================================================

The half-precision vectors themselves are the truth. They lie in one file, ``vectors.faiss``, that FAISS scans and numpy reads
in place, so that all processes share its pages; candidates of the compressed ``index.faiss`` are compared with them again, and
scores are exact. How many lists are probed and how many candidates compared is measured when the index is built
(``index.json``). A filter never goes into the approximate index: few allowed rows are gathered and multiplied, many are
scanned exactly with a bitmap. FAISS stores no checksum and drops NaN rows in silence; both are refused before it sees them.
Files are read only after the snapshot's SHA-256 check.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.errors import SnapshotError
from engine.index.filters import Filter
from engine.index.vectors import NO_NEIGHBOURS, ExactVectors, Neighbours, as_float32, check_finite, order_by_score

__all__ = ["VECTORS", "FaissVectors", "Probing", "create_vectors", "factory_for", "map_vectors", "save_index"]

SMALL, LARGE = 8_192, 262_144
GATHER_SHARE, GATHER_MOST = 0.05, 4_096
"""Below this share of allowed rows, gathering them beats scanning all with a bitmap (measured near 5 % of 20,000); many rows
are never gathered, since that converts them all."""
MOST_DIMENSIONS = 8
"""A part of the product quantizer stands for so many dimensions at most; where memory is too short for that there is no index."""
_TRAINED = 64
"""Products the quantizers are trained on for each list, or each centroid."""
_AT_A_TIME = 65_536
VECTORS = "vectors.faiss"
"""The file of the vectors themselves."""
_FAISS: Any = faiss
"""FAISS's type stubs do not know that its parameter classes take keywords."""


@dataclass(frozen=True, slots=True)
class Probing:
    """How far an approximate search goes: ``lists`` are probed (0: there are none), and at least ``candidates`` and
    ``factor`` times as many as are wanted are compared with the exact vectors."""

    lists: int = 0
    candidates: int = 400
    factor: int = 2

    def further(self, most_lists: int) -> Probing | None:
        """Return what finds more and costs about twice as much, or ``None`` where that would be no better than a scan."""
        if self.lists:
            return Probing(2 * self.lists, self.candidates + 200, self.factor) if 4 * self.lists <= most_lists else None
        return Probing(0, 2 * self.candidates, self.factor) if self.candidates < 3_200 else None


def factory_for(n: int, dimension: int, most_bytes: int = 1 << 62) -> str:
    """Return the FAISS factory string for ``n`` products that takes at most ``most_bytes``, or ``""`` for exact search alone."""
    if n < SMALL or dimension % 2:
        return ""
    parts = dimension // 2
    while parts // 2 * n > most_bytes:  # half a byte for each part
        parts //= 2
        if dimension % parts or dimension // parts > MOST_DIMENSIONS:
            return ""
    return f"PQ{parts}x4fs" if n < LARGE else f"IVF{int(2 * n**0.5)},PQ{parts}x4fs"


def create_vectors(folder: Path, n: int, dimension: int) -> NDArray[np.float16]:
    """Return the vectors float16 ``(n, dimension)`` of a new file, memory-mapped to be filled in.

    The file is FAISS's own: its header is that of an empty index, with the numbers of rows and bytes put in.

    Raises:
        OSError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header = bytearray(faiss.serialize_index(_scanning(dimension)).tobytes())
    size = 2 * n * dimension
    struct.pack_into("<q", header, 8, n)
    struct.pack_into("<q", header, len(header) - 8, size)
    with (folder / VECTORS).open("wb") as stream:
        stream.write(header)
        stream.flush()
        if size:
            os.posix_fallocate(stream.fileno(), len(header), size)
    return _tail(folder / VECTORS, "r+", n, dimension)


def map_vectors(folder: Path) -> NDArray[np.float16]:
    """Return the vectors float16 ``(n, d)`` of a snapshot's ``folder``, memory-mapped."""
    path = folder / VECTORS
    with path.open("rb") as stream:
        _, dimension, n = struct.unpack("<4siq", stream.read(16))
    return _tail(path, "r", n, dimension)


def _tail(path: Path, mode: Any, n: int, dimension: int) -> NDArray[np.float16]:
    size = 2 * n * dimension
    if n == 0:
        return np.empty((0, dimension), np.float16)
    return np.asarray(np.memmap(path, np.float16, mode, offset=path.stat().st_size - size, shape=(n, dimension)))


def _scanning(dimension: int) -> Any:
    return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def save_index(folder: Path, *, factory: str | None = None, most_bytes: int = 1 << 62) -> str:
    """Build the index of the vectors in ``folder``, and return its factory string, ``""`` for exact search alone.

    Raises:
        SnapshotError: a vector is not finite; FAISS would drop it without a word.
    """
    vectors = map_vectors(folder)
    n, dimension = vectors.shape
    for start in range(0, n, _AT_A_TIME):
        finite = np.isfinite(vectors[start : start + _AT_A_TIME]).all(axis=1)
        if not finite.all():
            row = start + int(np.flatnonzero(~finite)[0])
            raise SnapshotError(f"The vector of product row {row} is not finite; nothing was published. Check the model.")
    chosen = factory_for(n, dimension, most_bytes) if factory is None else factory
    if not chosen:
        return ""
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    index = faiss.index_factory(dimension, chosen, faiss.METRIC_INNER_PRODUCT)
    wanted = max(16_384, _TRAINED * getattr(index, "nlist", 0))
    sample = np.random.default_rng(0).permutation(n)[:wanted]
    index.train(as_float32(vectors[np.sort(sample)]))
    for start in range(0, n, _AT_A_TIME):
        index.add(as_float32(vectors[start : start + _AT_A_TIME]))
    faiss.write_index(index, str(folder / "index.faiss"))
    _save_probing(folder, Probing(lists=min(16, index.nlist) if hasattr(index, "nlist") else 0))
    return chosen


def _save_probing(folder: Path, probing: Probing) -> None:
    (folder / "index.json").write_text(json.dumps(asdict(probing)), "utf-8")


class FaissVectors:
    """The vectors of a snapshot. Thread-safe for searching, as FAISS's CPU indexes are.

    ``threads`` is how many threads one search may use; 0 means one for each core.
    """

    def __init__(self, folder: Path, *, threads: int = 1, probing: Probing | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._folder = folder
        self._half = map_vectors(folder)
        self._exact = ExactVectors(self._half)
        self._scan: Any = faiss.read_index(str(folder / VECTORS), _FAISS.IO_FLAG_MMAP_IFC)
        self._index: Any = None
        self._parameters: dict[int, Any] = {}
        if (folder / "index.faiss").exists():
            self.probing = probing or Probing(**json.loads((folder / "index.json").read_text("utf-8")))
            self._base: Any = faiss.read_index(str(folder / "index.faiss"))
            if self._base.ntotal != self.size:
                raise SnapshotError(f"index.faiss holds {self._base.ntotal} vectors instead of {self.size}. Index the feed again.")
            self._index = faiss.IndexRefine(self._base, self._scan)
            self._index.ntotal = self.size

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self._half)

    @property
    def lists(self) -> int:
        """How many lists the index has; 0 where it has none."""
        return int(self._base.nlist) if self._index is not None and isinstance(self._base, faiss.IndexIVF) else 0

    def search(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None, tree: Filter | None = None
    ) -> Neighbours:
        """Return the ``k`` nearest of the ``allowed`` rows; approximate only where nothing is filtered."""
        check_finite(query)
        matching = self.size if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, matching)
        if k == 0:
            return NO_NEIGHBOURS
        if matching == self.size and self._approximates(k):
            return self._approximate(query[None], k)[0]
        if matching <= min(GATHER_SHARE * self.size, GATHER_MOST) or matching <= k:
            return self._exact.search(query, k, allowed)
        return self._bitmap(query, k, None if matching == self.size else allowed)

    def save_probing(self) -> None:
        """Write down how far a search goes."""
        _save_probing(self._folder, self.probing)

    def search_many(self, queries: NDArray[np.float32], k: int) -> list[Neighbours]:
        """Return the ``k`` nearest of all rows to each query: together the codes are read once, which is half the cost."""
        if len(queries) and self._approximates(k):
            check_finite(queries)
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
            base = _FAISS.SearchParametersIVF(nprobe=self.probing.lists) if self.lists else None
            factor = max(self.probing.factor, self.probing.candidates / k)
            self._parameters[k] = _FAISS.IndexRefineSearchParameters(k_factor=factor, base_index_params=base)
        return self._parameters[k]

    def _bitmap(self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None) -> Neighbours:
        parameters = None
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(self.size, faiss.swig_ptr(bits))
            parameters = _FAISS.SearchParameters(sel=selector)
        faiss.omp_set_num_threads(self._threads)
        scores, rows = self._scan.search(query[None], k, params=parameters)
        return order_by_score(rows[0], scores[0], k)
