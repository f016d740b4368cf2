"""A generator that may be slow or down, made bearable: what it wrote is kept, and while it fails again and again it is let rest.

In: a generator. Out: its drafts, from memory where the same was asked of the same facts. After several failures in a row it is not
asked for a while, so that shoppers get the template at once instead of waiting for a timeout each (Nygard, *Release It!*, 2007:
circuit breaker); then one question tries it again. Thread-safe. Knows nothing of what drafts say.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from engine.errors import GeneratorError
from engine.explain.evidence import Evidence, Need
from engine.explain.generator import Draft, Generator

__all__ = ["GuardedGenerator"]

_FAILURES = 3
_REST_S = 30.0
_KEPT = 1000

Key = tuple[object, ...]


class GuardedGenerator:
    """``failures`` in a row let it rest for ``rest_s``; ``kept`` explanations are remembered, the longest unused goes first."""

    def __init__(
        self,
        generator: Generator,
        *,
        failures: int = _FAILURES,
        rest_s: float = _REST_S,
        kept: int = _KEPT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generator, self._most, self._rest_s, self._kept, self._clock = generator, failures, rest_s, kept, clock
        self._lock = threading.Lock()
        self._written: OrderedDict[Key, tuple[Draft, ...]] = OrderedDict()
        self._failed, self._rests_until = 0, 0.0

    @property
    def name(self) -> str:
        """What claims say they were written by."""
        return self._generator.name

    def generate(self, need: Need, evidence: Sequence[Evidence]) -> Iterator[Draft]:
        """Yield drafts as they are written, or as they were.

        Raises:
            GeneratorError: the generator failed, or rests after it failed too often.
        """
        key = _key(need, evidence)
        with self._lock:
            known = self._written.get(key)
            if known is not None:
                self._written.move_to_end(key)
            elif self._clock() < self._rests_until:
                raise GeneratorError(f"The generator failed {self._failed} times in a row and is not asked for {self._rest_s:g} s.")
            elif self._failed >= self._most:
                self._rests_until = self._clock() + self._rest_s  # this question tries it; others wait for how it ends
        if known is not None:
            yield from known
            return
        drafts: list[Draft] = []
        try:
            for draft in self._generator.generate(need, evidence):
                drafts.append(draft)
                yield draft
        except Exception:
            self._fail()
            raise
        with self._lock:
            self._failed, self._rests_until = 0, 0.0
            self._written[key] = tuple(drafts)
            while len(self._written) > self._kept:
                self._written.popitem(last=False)

    def _fail(self) -> None:
        with self._lock:
            self._failed += 1
            if self._failed >= self._most:
                self._rests_until = self._clock() + self._rest_s


def _key(need: Need, evidence: Sequence[Evidence]) -> Key:
    """Return what an explanation rests on: the need as understood, and every field of every product as shown."""
    limits = tuple(u.filter for u in need.understood)
    fields = tuple((item.product.id, item.product.title, item.fields) for item in evidence)
    return (need.text, need.language, limits, repr(fields))
