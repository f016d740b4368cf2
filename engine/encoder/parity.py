"""Does an exported encoder find what the original finds?

In: the original's vectors and the exported encoder's, of the same products and queries. Out: a
:class:`~engine.encoder.card.Parity` for the card. Ties break by position. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.encoder.card import Parity
from engine.encoder.protocol import Vectors
from engine.encoder.samples import PRODUCTS, QUERIES

__all__ = ["measure", "sample"]

_TOP = 10
_MOST_PRODUCTS = 128
_TITLES = 16
_TITLE_WORDS = 5


def sample(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return distinct products and queries to compare on: the first of ``texts``, made up with built-in ones."""
    given = [text for text in dict.fromkeys(texts) if text.strip()][:_MOST_PRODUCTS]
    products = list(dict.fromkeys([*given, *PRODUCTS[: max(0, len(PRODUCTS) - len(given))]]))
    titles = (" ".join(text.split()[:_TITLE_WORDS]) for text in given[:_TITLES])
    return products, list(dict.fromkeys([*QUERIES, *titles]))


def measure(products: Vectors, queries: Vectors, original_products: Vectors, original_queries: Vectors) -> Parity:
    """Compare vectors ``(n, d)`` and ``(q, d)`` with the original's of the same texts."""
    cosines = np.concatenate([np.sum(products * original_products, axis=1), np.sum(queries * original_queries, axis=1)])
    expected = _best(original_queries @ original_products.T)
    return Parity(
        products=len(products),
        queries=len(queries),
        cosine_mean=round(float(cosines.mean()), 6),
        cosine_min=round(float(cosines.min()), 6),
        overlap=_overlap(_best(queries @ products.T), expected),
        overlap_mixed=_overlap(_best(queries @ original_products.T), expected),
    )


def _best(scores: Vectors) -> NDArray[np.intp]:
    """Return the positions of the ten best products for each query, ``(q, 10)``."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :_TOP]


def _overlap(found: NDArray[np.intp], expected: NDArray[np.intp]) -> float:
    shared = [len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), expected.tolist(), strict=True)]
    return round(float(np.mean(shared)), 6)
