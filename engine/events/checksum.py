"""A checksum of a row, kept beside it: SQLite has none of its own, and reads a flipped bit as if it had been written.

In: the values of a row as SQLite keeps them. Out: their CRC-32, which one damaged row in four thousand million has by chance too.
Knows nothing of what the values mean.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

__all__ = ["any_text", "checksum"]


def checksum(values: Sequence[int | str | bytes | float | None]) -> int:
    """Return the checksum of whole numbers, texts, bytes and nothing: of how Python writes them in ASCII, the same everywhere.

    >>> checksum((1, "tent", "帐篷", None, b"\\x00\\xff"))
    173401640
    """
    return zlib.crc32(ascii(tuple(values)).encode())


def any_text(raw: bytes) -> str:
    """Return a text that SQLite keeps; one that a flipped bit made no UTF-8 keeps nobody from reading the rows beside it."""
    return raw.decode("utf-8", "surrogateescape")
