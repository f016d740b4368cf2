"""How the memory that indexing may take is shared out.

In: the setting ``index_memory_mb``, and what the process has already. Out: bytes of a buffer, and of the vector index. What is
counted is memory of the process's own; pages of files that are mapped are the system's, which takes them back when it needs
them. What is written does not depend on the size of a buffer. Knows nothing of products.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path

from engine.settings import Settings

__all__ = ["buffer_bytes", "hand_back", "index_bytes"]

_MB = 1 << 20
_BASE_MB = 400
"""What Python, numpy, FAISS and an exported encoder that has embedded take. Which index is chosen may not hang on a measurement."""
_GROWTH_MB = 200
"""What grows with a catalogue outside the buffers: different words and values, and what is remembered of words."""
_BUFFERS = 8
"""Buffers that are full at the same time, at most: of columns, labels, terms, postings, suggestions, codes and the ids."""
_LEAST_MB = 4


def _own_bytes() -> int:
    """Return the memory that this process has for itself, 0 where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
    return 0


def hand_back() -> None:
    """Give memory that was let go of back to the system, where the C library keeps it."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than GNU's
            ctypes.CDLL(None).malloc_trim(0)


def buffer_bytes(settings: Settings) -> int:
    """Return the bytes that one buffer may take beside what this process has now."""
    hand_back()
    taken = (_own_bytes() or _BASE_MB * _MB) + _GROWTH_MB * _MB
    return max(_LEAST_MB * _MB, settings.index_memory_mb * _MB - taken) // _BUFFERS


def index_bytes(settings: Settings) -> int:
    """Return the bytes that the index of the vectors may take while it is built."""
    return max(16, settings.index_memory_mb - _BASE_MB) * _MB // 2
