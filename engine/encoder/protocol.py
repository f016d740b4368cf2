"""The one shape of everything that turns text into vectors.

In: texts. Out: ``float32 (n, d)``, every row of unit length, so that a dot product is a cosine. A wrapper that caches
or batches is itself an :class:`Encoder`. Knows nothing of models, files or indexes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import EncoderError

__all__ = ["Encoder", "Vectors", "unit_rows"]

Vectors = NDArray[np.float32]
"""``float32 (n, d)``, unit length."""


class Encoder(Protocol):
    """Turns queries and products into unit vectors of one space. Safe to call from many threads."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def fingerprint(self) -> str:
        """Identifies the vectors: changes whenever the vector of any text could change."""

    @property
    def name(self) -> str:
        """What people call the model, like ``all-MiniLM-L6-v2``."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a query; no queries give ``(0, d)``."""

    def encode_products(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a product text; no texts give ``(0, d)``."""


def unit_rows(rows: NDArray[np.floating], name: str) -> Vectors:
    """Return ``rows`` scaled to unit length.

    Raises:
        EncoderError: a row is zero or holds NaN or infinity, so it has no direction.
    """
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths < 1e-12).any():
        raise EncoderError(
            f"The encoder {name!r} gave a vector that is zero or not a number. Its weights are damaged or it was "
            "trained until it diverged; index with another model."
        )
    scaled: Vectors = (rows / lengths).astype(np.float32)
    return scaled
