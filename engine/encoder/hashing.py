"""A toy encoder: words and pieces of words, hashed into a fixed number of places.

Needs no model and no training, gives the same vector on every machine, and puts texts that share words near each
other. For tests and for trying things out; it knows no synonyms and no translations. Han text counts single
characters and pairs, since it has no spaces.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from engine.encoder.protocol import Vectors, unit_rows
from engine.errors import EncoderError

__all__ = ["HashingEncoder"]

_RUN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+|[^\W_\u3400-\u9fff\uf900-\ufaff]+")
_VERSION = 1
_WORD_WEIGHT = 1.0
_PIECE_WEIGHT = 0.35


def _features(run: str) -> Iterator[tuple[str, float]]:
    """Yield each feature of one run of characters with its weight."""
    if "\u3400" <= run[0] <= "\u9fff" or "\uf900" <= run[0] <= "\ufaff":
        yield from ((f"c:{char}", _PIECE_WEIGHT) for char in run)
        yield from ((f"c:{run[i : i + 2]}", _WORD_WEIGHT) for i in range(len(run) - 1))
        return
    yield f"w:{run}", _WORD_WEIGHT
    framed = f"<{run}>"
    if len(run) >= 3:
        yield from ((f"p:{framed[i : i + 3]}", _PIECE_WEIGHT) for i in range(len(framed) - 2))


@lru_cache(maxsize=65_536)
def _places(run: str) -> tuple[tuple[int, float], ...]:
    """Return a 64-bit hash and a signed weight for each feature of the run."""
    hashes = []
    for feature, weight in _features(run):
        number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=9).digest(), "big")
        hashes.append((number >> 8, weight if number & 1 else -weight))
    return tuple(hashes)


class HashingEncoder:
    """Deterministic feature hashing into ``dimension`` places, signed so that collisions cancel on average."""

    def __init__(self, dimension: int = 256) -> None:
        if not 2 <= dimension <= 65_536:
            raise EncoderError(f"A hashing encoder cannot have {dimension} dimensions. Choose from 2 to 65536.")
        self._dimension = dimension

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the recipe's version and the dimension, which is all that decides the vectors."""
        return hashlib.sha256(f"hashing {_VERSION} {self._dimension}".encode()).hexdigest()

    @property
    def name(self) -> str:
        """``hashing-`` and the dimension."""
        return f"hashing-{self._dimension}"

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a query; no queries give ``(0, d)``."""
        rows = np.zeros((len(texts), self._dimension), dtype=np.float64)
        for row, text in zip(rows, texts, strict=True):
            self._fill(row, text)
        return unit_rows(rows, self.name)

    def encode_products(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a product text; no texts give ``(0, d)``."""
        return self.encode_queries(texts)

    def _fill(self, row: np.ndarray[tuple[int], np.dtype[np.float64]], text: str) -> None:
        whole = unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode()).casefold()
        for run in _RUN.findall(whole):
            for number, weight in _places(run):
                row[number % self._dimension] += weight
        if not row.any():  # no letters at all, or everything cancelled
            row[0] = 1.0
