"""What is sorted while an index is built, in memory as far as that may go and on disk beyond.

:class:`Scratch` says where and how much. :class:`SortedRuns` sorts lines: full buffers are written sorted, and read together at
the end (Knuth, *The Art of Computer Programming* 3, 5.4: merging of runs). Knows nothing of what is sorted.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Scratch", "SortedRuns"]

_OVERHEAD = 90
"""Bytes a short line takes in memory beside its characters: the object and its place in the list."""
_MOST_OPEN = 200
"""Runs read together; more are first merged into longer ones, since each is an open file."""
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder that is thrown away afterwards, and the bytes that one buffer may take."""

    folder: Path
    buffer_bytes: int


class SortedRuns:
    """Lines without a line break, given in any order and yielded in the order of their bytes, equal ones all."""

    def __init__(self, scratch: Scratch, name: str) -> None:
        self._scratch, self._name = scratch, name
        self._lines: list[bytes] = []
        self._bytes = 0
        self._runs: list[Path] = []
        self._numbers = itertools.count()

    def add(self, line: bytes) -> None:
        """Take a line in."""
        self._lines.append(line)
        self._bytes += len(line) + _OVERHEAD
        if self._bytes > self._scratch.buffer_bytes:
            self._flush()

    def _flush(self) -> None:
        self._lines.sort()
        self._runs.append(self._written(iter(self._lines)))
        self._lines, self._bytes = [], 0

    def _written(self, lines: Iterator[bytes]) -> Path:
        self._scratch.folder.mkdir(parents=True, exist_ok=True)
        path = self._scratch.folder / f"{self._name}.{next(self._numbers)}.run"
        with path.open("wb") as stream:
            while some := list(itertools.islice(lines, 1024)):
                stream.write(b"\n".join(some) + b"\n")
        return path

    def __iter__(self) -> Iterator[bytes]:
        """Yield all lines in order; nothing is added afterwards, and what was on disk is gone at the end."""
        self._lines.sort()
        while len(self._runs) > _MOST_OPEN:
            some, self._runs = self._runs[:_MOST_OPEN], self._runs[_MOST_OPEN:]
            self._runs.append(self._written(_merged(some)))
        yield from heapq.merge(_merged(self._runs), self._lines) if self._runs else self._lines
        self._lines, self._runs = [], []


    def once(self) -> Iterator[bytes]:
        """Yield the different lines in order; as iterating does, once."""
        return (line for line, _ in itertools.groupby(self))


def _merged(runs: list[Path]) -> Iterator[bytes]:
    streams = [path.open("rb", buffering=_READ) for path in runs]
    try:
        yield from heapq.merge(*((line[:-1] for line in stream) for stream in streams))
    finally:
        for stream, path in zip(streams, runs, strict=True):
            stream.close()
            path.unlink(missing_ok=True)
