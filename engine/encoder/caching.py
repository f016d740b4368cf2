"""An encoder that remembers its latest queries.

In and out: what the wrapped encoder takes and gives. Products are not remembered: each is encoded once. The vectors
are exactly the wrapped encoder's wherever that gives a text the same vector alone and in company, as
``GraphEncoder`` and ``HashingEncoder`` do. Knows nothing of models.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from engine.encoder.protocol import Encoder, Vectors

__all__ = ["CachingEncoder"]


class CachingEncoder:
    """Keeps the vectors of the ``size`` queries used last. Two threads that miss at once may both encode."""

    def __init__(self, encoder: Encoder, size: int = 10_000) -> None:
        self._encoder = encoder
        self._size = size
        self._kept: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = 0
        self._misses = 0

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._encoder.dimension

    @property
    def fingerprint(self) -> str:
        """The wrapped encoder's."""
        return self._encoder.fingerprint

    @property
    def name(self) -> str:
        """The wrapped encoder's."""
        return self._encoder.name

    @property
    def hits(self) -> int:
        """How many queries were answered from memory."""
        return self._hits

    @property
    def misses(self) -> int:
        """How many queries had to be encoded."""
        return self._misses

    def forget(self) -> None:
        """Let go of every remembered query: what somebody typed, and its vector, may be personal."""
        with self._lock:
            self._kept.clear()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a query, encoding only those not remembered."""
        if not texts:
            return self._encoder.encode_queries(texts)
        found = self._recall(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            found.update(zip(missing, self._encoder.encode_queries(missing), strict=True))
            self._remember({text: found[text] for text in missing})
        return np.stack([found[text] for text in texts])

    def encode_products(self, texts: Sequence[str]) -> Vectors:
        """Return what the wrapped encoder returns."""
        return self._encoder.encode_products(texts)

    def _recall(self, texts: Sequence[str]) -> dict[str, Vectors]:
        with self._lock:
            found = {text: self._kept[text] for text in texts if text in self._kept}
            for text in found:
                self._kept.move_to_end(text)
            hits = sum(text in found for text in texts)
            self._hits += hits
            self._misses += len(texts) - hits
        return found

    def _remember(self, vectors: dict[str, Vectors]) -> None:
        with self._lock:
            for text, vector in vectors.items():
                self._kept[text] = vector.copy()  # a row of a batch would keep the whole batch alive
                self._kept.move_to_end(text)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
