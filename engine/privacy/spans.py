"""A stretch of text that is somebody's. Offsets are code points, half-open, 0-based."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Personal"]


@dataclass(frozen=True, slots=True)
class Personal:
    """``text[start:end]`` is personal, of a ``kind`` such as ``email``."""

    kind: str
    start: int
    end: int
