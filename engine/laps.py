"""How long each stage takes, told to whoever wants to know.

In: a function that is told. Out: calls of it. Knows nothing of stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Laps", "unwatched"]


def unwatched(stage: str, seconds: float) -> None:
    """Tell nobody."""


class Laps:
    """Tells the seconds of each stage as it ends; the first begins now."""

    def __init__(self, tell: Callable[[str, float], None]) -> None:
        self._tell, self._at = tell, time.perf_counter()

    def done(self, stage: str) -> None:
        """Say that a stage has ended; the next one begins."""
        now = time.perf_counter()
        self._tell(stage, now - self._at)
        self._at = now
