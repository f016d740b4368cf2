"""What is fuzzed: a function from bytes to nothing that raises where a property does not hold, and how long it may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import DaogouError

__all__ = ["LIMIT_S", "MOST_BYTES", "Target", "sentence", "text_of", "tried"]

MOST_BYTES = 4096
"""What is longer is cut, so that the bound of time means something."""
LIMIT_S = 1.0
"""CPU time that reading one input may take."""
_LONGEST_SENTENCE = 12_000


@dataclass(frozen=True, slots=True)
class Target:
    """A reader. ``holds`` is its property in a sentence; ``run`` checks it and may take ``limit_s``; ``seeds`` are inputs to begin
    with, ``words`` what to put into them."""

    holds: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[str, ...] = ()
    limit_s: float = LIMIT_S


def tried(target: Target, data: bytes) -> None:
    """Give a target an input; of a time that is too long it is seen whether it is so again, as a process may have to wait."""
    data = data[:MOST_BYTES]
    for _ in range(3):
        begun = time.thread_time()
        target.run(data)
        took = time.thread_time() - begun
        if took <= target.limit_s:
            return
    raise AssertionError(f"{took:.2f} s for {len(data)} bytes")


def sentence(error: DaogouError | str) -> None:
    """Hold that an error can be shown: it says something, in characters that can be printed, and not without end."""
    said = str(error)
    assert said.strip(), "an error without a word"
    said.encode()
    assert len(said) <= _LONGEST_SENTENCE, f"a sentence of {len(said)} characters"


def text_of(data: bytes) -> str:
    """Return a text as it comes out of JSON: whatever is no UTF-8 is replaced."""
    return data.decode("utf-8", "replace")
