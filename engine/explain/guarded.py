"""A generator that may be slow or down, made bearable: what it wrote is kept, and while it fails again and again it is let rest.

In: a generator. Out: its drafts, from memory for each product of which the same was asked before; it is asked once for all that
are left. Thread-safe. Knows nothing of what drafts say.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from engine.breaker import Breaker
from engine.explain.evidence import Evidence, Need
from engine.explain.generator import Draft, Generator

__all__ = ["GuardedGenerator"]

_KEPT = 3000

Key = tuple[object, ...]


class GuardedGenerator:
    """``breaker`` decides when it rests; what was written about ``kept`` products is remembered, the longest unused goes first."""

    def __init__(self, generator: Generator, *, breaker: Breaker | None = None, kept: int = _KEPT) -> None:
        self._generator, self._breaker, self._kept = generator, breaker or Breaker(), kept
        self._lock = threading.Lock()
        self._written: OrderedDict[Key, tuple[Draft, ...]] = OrderedDict()

    @property
    def name(self) -> str:
        """What claims say they were written by."""
        return self._generator.name

    def generate(self, need: Need, evidence: Sequence[Evidence]) -> Iterator[Draft]:
        """Yield drafts: those that are remembered first, then the others as they are written.

        Raises:
            GeneratorError: the generator failed, or rests after it failed too often.
        """
        new: list[Evidence] = []
        for item in evidence:
            known = self._known(_key(need, item))
            if known is None:
                new.append(item)
            else:
                yield from known
        if new:
            yield from self._write(need, new)

    def forget(self) -> None:
        """Let go of what was written: the needs it answers are somebody's words."""
        with self._lock:
            self._written.clear()

    def _known(self, key: Key) -> tuple[Draft, ...] | None:
        with self._lock:
            if key in self._written:
                self._written.move_to_end(key)
            return self._written.get(key)

    def _write(self, need: Need, evidence: Sequence[Evidence]) -> Iterator[Draft]:
        self._breaker.ask()
        drafts: list[Draft] = []
        try:
            for draft in self._generator.generate(need, evidence):
                drafts.append(draft)
                yield draft
        except Exception:
            self._breaker.failed()
            raise
        self._breaker.answered()
        with self._lock:
            for item in evidence:
                own = tuple(d for d in drafts if d.product_id == item.product.id)
                if own:  # of a product that was passed over it is asked again
                    self._written[_key(need, item)] = own
            while len(self._written) > self._kept:
                self._written.popitem(last=False)


def _key(need: Need, item: Evidence) -> Key:
    """Return what is written about a product rests on: the need as understood, and every field as shown. What depends on the
    products beside it is a reference, and that is filled in anew each time."""
    limits = tuple(u.filter for u in need.understood)
    return (need.text, need.language, limits, item.product.id, item.product.title, repr(item.fields))
