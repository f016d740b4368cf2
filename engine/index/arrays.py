"""Arrays of a snapshot: read in place, and written in place while it is built.

In: ``.npy`` files, those that are read having passed the snapshot's SHA-256 check. Out: arrays over their memory maps, so that
memory does not grow with them. Knows nothing of what the numbers mean.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["NO_ROWS", "ArrayWriter", "RawArray", "create_array", "map_array", "places_in_order"]


NO_ROWS: NDArray[np.int64] = np.empty(0, np.int64)
_WAITING = 16_384
"""Numbers that are written together."""


def map_array(path: Path) -> NDArray[Any]:
    """Return the array in ``path``, memory-mapped, never unpickled.

    A plain array, not numpy's ``memmap``, which runs Python code at every slice.
    """
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def create_array(path: Path, dtype: DTypeLike, *shape: int) -> NDArray[Any]:
    """Return a new array in the file ``path``, memory-mapped to be filled in: for what is thrown away or saved elsewhere later,
    as nothing that has to last is written through a map.

    Its space is taken at once: a disk that is full says so here, and not by a signal that kills the process.

    Raises:
        OSError: the disk is full.
    """
    if 0 in shape:  # nothing can be mapped
        np.save(path, np.empty(shape, dtype), allow_pickle=False)
        return np.empty(shape, dtype)
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    with path.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, mapped.offset + mapped.nbytes)
    return np.asarray(mapped)


class ArrayWriter:
    """Writes a ``.npy`` file one number after another."""

    def __init__(self, path: Path, typecode: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("wb")
        self._typecode = typecode
        self._waiting = array(typecode)
        self._n = 0
        self._header()

    def __len__(self) -> int:
        return self._n + len(self._waiting)

    def _header(self) -> None:
        described = {"descr": np.dtype(self._typecode).newbyteorder("<").str, "fortran_order": False, "shape": (self._n,)}
        np.lib.format.write_array_header_1_0(self._stream, described)  # leaves room for its numbers to grow

    def append(self, value: float) -> None:
        """Write the next number."""
        self._waiting.append(value)  # type: ignore[arg-type]
        if len(self._waiting) >= _WAITING:
            self._flush()

    def extend(self, values: NDArray[Any]) -> None:
        """Write the next numbers."""
        self._flush()
        self._stream.write(np.ascontiguousarray(values, self._typecode).tobytes())
        self._n += len(values)

    def _flush(self) -> None:
        self._stream.write(self._waiting.tobytes())
        self._n += len(self._waiting)
        self._waiting = array(self._typecode)

    def close(self) -> int:
        """Finish the file, and return how many numbers it has."""
        self._flush()
        self._stream.seek(0)
        self._header()
        self._stream.close()
        return self._n


class RawArray:
    """Arrays of one type appended to a file and read again in the pieces they came in; a piece is what fits in memory."""

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._dtype = path, np.dtype(dtype)
        self._sizes: list[int] = []
        path.write_bytes(b"")

    def append(self, values: NDArray[Any]) -> None:
        """Add a piece."""
        with self._path.open("ab") as stream:
            stream.write(np.ascontiguousarray(values, self._dtype).tobytes())
        self._sizes.append(len(values))

    def __len__(self) -> int:
        return sum(self._sizes)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield the pieces."""
        with self._path.open("rb") as stream:
            for size in self._sizes:
                yield np.frombuffer(stream.read(size * self._dtype.itemsize), self._dtype)

    def remove(self) -> None:
        """Take the file away."""
        self._path.unlink(missing_ok=True)


def places_in_order(groups: NDArray[np.integer], cursor: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each element of ``groups``, which is sorted, goes: behind those of its group that came before.

    ``cursor`` int64 holds the next place of every group, and moves on. This is a counting sort, one piece at a time.
    """
    counts = np.bincount(groups, minlength=len(cursor))
    within = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = cursor[groups] + within
    cursor += counts
    return np.asarray(places, np.int64)
