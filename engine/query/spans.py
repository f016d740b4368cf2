"""Ranges of characters, half-open. Knows nothing of what they say."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["overlaps"]


def overlaps(start: int, end: int, spans: Iterable[tuple[int, int]]) -> bool:
    """Return whether the characters ``start`` to ``end`` share any with one of the spans."""
    return any(start < last and first < end for first, last in spans)
