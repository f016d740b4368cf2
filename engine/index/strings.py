"""Many strings read in place: ids, labels, terms, codes. Memory does not grow with them, and processes share their pages.

On disk: ``NAME.txt``, one a line in UTF-8, and ``NAME.npy`` int64 ``(n + 1,)``, where each line begins. UTF-8 sorts as
code points do, so sorted strings are found by bisection. Knows nothing of what they name.
"""

from __future__ import annotations

import itertools
import mmap
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

from engine.index.arrays import ArrayWriter, map_array

__all__ = ["Strings", "StringsWriter", "write_strings"]

_STEP = 64
"""Every so many strings of a sorted list are held in memory, so that the last few steps alone read the file."""


class StringsWriter:
    """Writes strings in the order they come."""

    def __init__(self, path: Path) -> None:
        self._starts = ArrayWriter(path.with_suffix(".npy"), "q")
        self._stream = path.with_suffix(".txt").open("wb")
        self._end = 0
        self._starts.append(0)

    def add(self, text: str) -> None:
        """Write the next string, which has no line break."""
        self._end += self._stream.write(text.encode() + b"\n")
        self._starts.append(self._end)

    def close(self) -> int:
        """Finish, and return how many strings there are."""
        self._stream.close()
        return self._starts.close() - 1


def write_strings(path: Path, texts: Iterable[str]) -> int:
    """Write strings to ``path`` (without its ending) and return how many there were."""
    writer = StringsWriter(path)
    for text in texts:
        writer.add(text)
    return writer.close()


class Strings(Sequence[str]):
    """Written strings, memory-mapped. Thread-safe: nothing on it changes. A slice is a view."""

    def __init__(self, path: Path) -> None:
        self._starts = map_array(path.with_suffix(".npy"))
        with path.with_suffix(".txt").open("rb") as stream:
            self._map: mmap.mmap | bytes = (
                mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if len(self._starts) > 1 else b""
            )
        self._first, self._last = 0, len(self._starts) - 1
        self._sampled: list[bytes] | None = None

    def __len__(self) -> int:
        return self._last - self._first

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Strings: ...
    def __getitem__(self, place: int | slice) -> str | Strings:
        if isinstance(place, slice):
            first, last, step = place.indices(len(self))
            if step != 1:
                raise ValueError("A view of strings has no step.")
            view = object.__new__(Strings)
            view._starts, view._map, view._sampled = self._starts, self._map, None
            view._first, view._last = self._first + first, self._first + max(first, last)
            return view
        at = place + len(self) if place < 0 else place
        if not 0 <= at < len(self):
            raise IndexError(f"There is no string {place} among {len(self)}.")
        return self._bytes(at).decode()

    def __iter__(self) -> Iterator[str]:
        starts = self._starts[self._first : self._last + 1]
        for first in range(0, len(self), 4096):
            ends = starts[first : first + 4097].tolist()
            for start, end in itertools.pairwise(ends):
                yield self._map[start : end - 1].decode()

    def _bytes(self, place: int) -> bytes:
        at = self._first + place
        return self._map[int(self._starts[at]) : int(self._starts[at + 1]) - 1]

    def bisect(self, text: str) -> int:
        """Return how many of the strings, which are sorted, are less than ``text``."""
        if self._sampled is None:
            self._sampled = [self._bytes(place) for place in range(0, len(self), _STEP)]
        wanted = text.encode("utf-8", "surrogatepass")
        block = bisect_left(self._sampled, wanted)
        low, high = max(0, (block - 1) * _STEP + 1), min(len(self), block * _STEP)
        return bisect_left(range(len(self)), wanted, min(low, high), high, key=self._bytes)

    def find(self, text: str) -> int:
        """Return the first place of ``text`` in the strings, which are sorted, or -1."""
        place = self.bisect(text)
        return place if place < len(self) and self._bytes(place) == text.encode("utf-8", "surrogatepass") else -1
