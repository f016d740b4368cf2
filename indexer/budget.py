"""How the memory that indexing may take is shared out.

In: the setting ``index_memory_mb``. Out: bytes of a buffer, and of the vector index. What is counted is memory of the process's
own; pages of files that are mapped are the system's, which takes them back when it needs them. Knows nothing of products.
"""

from __future__ import annotations

from engine.settings import Settings

__all__ = ["buffer_bytes", "index_bytes"]

_BASE_MB = 320
"""What Python, numpy, FAISS and an exported encoder take before the first product."""
_BUFFERS = 8
"""Buffers that are full at the same time, at most: of columns, labels, terms, postings, suggestions, codes and the ids."""


def buffer_bytes(settings: Settings) -> int:
    """Return the bytes that one buffer may take."""
    return max(4, settings.index_memory_mb - _BASE_MB) * (1 << 20) // _BUFFERS


def index_bytes(settings: Settings) -> int:
    """Return the bytes that the index of the vectors may take while it is built."""
    return max(16, settings.index_memory_mb - _BASE_MB) * (1 << 20) // 2
