"""What is asked over and over and may be down, made bearable: after several failures in a row it is let rest.

In: how each question to it ended. Out: whether to ask again. While it rests nobody waits for a timeout; then one question tries
it, and how that ends decides for all (Nygard, *Release It!*, 2007: circuit breaker). Thread-safe. Knows nothing of what is asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engine.errors import GeneratorError

__all__ = ["Breaker"]

_FAILURES = 3
_REST_S = 30.0


class Breaker:
    """``failures`` in a row let it rest for ``rest_s``."""

    def __init__(self, failures: int = _FAILURES, rest_s: float = _REST_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._rest_s, self._clock = failures, rest_s, clock
        self._lock = threading.Lock()
        self._failed, self._rests_until = 0, 0.0

    def ask(self) -> None:
        """Say that it will be asked now; each call is followed by :meth:`failed` or :meth:`answered`.

        Raises:
            GeneratorError: it rests.
        """
        with self._lock:
            if self._clock() < self._rests_until:
                raise GeneratorError(f"The generator failed {self._failed} times in a row and is not asked for {self._rest_s:g} s.")
            if self._failed >= self._most:
                self._rests_until = self._clock() + self._rest_s  # this question tries it; others wait for how it ends

    def failed(self) -> None:
        """Note that it failed."""
        with self._lock:
            self._failed += 1
            if self._failed >= self._most:
                self._rests_until = self._clock() + self._rest_s

    def answered(self) -> None:
        """Note that it answered."""
        with self._lock:
            self._failed, self._rests_until = 0, 0.0
