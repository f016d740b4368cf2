"""Strings numbered outside memory: while they are collected a hash stands for each, and the numbers come when all are known.

A dictionary of millions of strings takes more memory than the rest of an index; a sorted array of their hashes takes sixteen
bytes each. Hashes are Python's own, of 64 bits and secretly seeded, of the UTF-8 form: those of strings themselves go by how
they lie in memory, where ``ch`` and ``档`` are the same. Should two strings share one, that is noticed. Knows nothing of what
the strings are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import SnapshotError
from engine.index.runs import Scratch, SortedRuns
from engine.index.strings import write_strings

__all__ = ["HashedStrings", "Numbers"]

_ENTRY = 200
"""Bytes that a string takes in the set of those seen lately."""


class Numbers:
    """The number of each string by its hash."""

    def __init__(self, hashes: NDArray[np.int64]) -> None:
        self._order = np.argsort(hashes, kind="stable").astype(np.int32)
        self._sorted = hashes[self._order]
        if len(hashes) > 1 and (self._sorted[1:] == self._sorted[:-1]).any():
            raise SnapshotError("Two different texts have one hash by chance. Nothing was written; index the feed again.")

    def __len__(self) -> int:
        return len(self._order)

    def of(self, hashes: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the numbers int32 of strings that were collected, by their hashes int64."""
        return self._order[np.searchsorted(self._sorted, hashes)] if len(self._order) else np.empty(0, np.int32)


class HashedStrings:
    """Collects strings; :meth:`save` writes each once, sorted, and numbers them."""

    def __init__(self, scratch: Scratch, name: str) -> None:
        self._runs = SortedRuns(scratch, name)
        self._seen: set[bytes] = set()
        self._most = max(1, scratch.buffer_bytes // _ENTRY)

    def add(self, text: str) -> int:
        """Take a string in, and return its hash."""
        line = text.encode()
        if line not in self._seen:
            if len(self._seen) >= self._most:
                self._seen.clear()
            self._seen.add(line)
            self._runs.add(line)
        return hash(line)

    def save(self, path: Path) -> Numbers:
        """Write the strings to ``path`` (:mod:`engine.index.strings`).

        Raises:
            SnapshotError: two strings have one hash.
        """
        self._seen.clear()
        hashes: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        some: list[int] = []

        def texts() -> Iterator[str]:
            for line in self._runs.once():
                some.append(hash(line))
                if len(some) == 65_536:
                    hashes.append(np.array(some, np.int64))
                    some.clear()
                yield line.decode()

        write_strings(path, texts())
        return Numbers(np.concatenate([*hashes, np.array(some, np.int64)]))
