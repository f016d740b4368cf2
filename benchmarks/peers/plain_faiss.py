"""FAISS by itself, in single precision: what one writes in ten lines."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.protocol import BREADTH, BUILD_BREADTH, LINKS, Folders, Product

__all__ = ["Flat", "Graph"]

_FAISS: Any = faiss
"""FAISS's type stubs do not know that its parameter classes take keywords."""


class Flat:
    """``IndexFlatIP``; a filter is a bitmap that the scan consults."""

    def __init__(self, folders: Folders) -> None:
        self.about = ""

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Add all vectors."""
        self._index = self._empty(vectors.shape[1])
        self._index.add(vectors)
        self._prices, self._texts = prices, texts

    def search(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[int]:
        """Return the rows of the nearest."""
        selector = bits = None
        if price_limit is not None:
            bits = np.packbits(self._prices <= price_limit, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(self._prices), faiss.swig_ptr(bits))
        _, rows = self._index.search(vector[None], k, params=self._parameters(selector))
        return [row for row in rows[0].tolist() if row >= 0]

    def products(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[Product]:
        """Return the nearest with their texts."""
        return [(row, self._texts[row]) for row in self.search(vector, k, price_limit)]

    def close(self) -> None:
        """Nothing runs."""

    def _empty(self, dimension: int) -> Any:
        return faiss.IndexFlatIP(dimension)

    def _parameters(self, selector: Any) -> Any:
        return _FAISS.SearchParameters(sel=selector)


class Graph(Flat):
    """``IndexHNSWFlat``; the walk through the graph passes over what a filter forbids."""

    def _empty(self, dimension: int) -> Any:
        index = faiss.IndexHNSWFlat(dimension, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = BUILD_BREADTH
        return index

    def _parameters(self, selector: Any) -> Any:
        return _FAISS.SearchParametersHNSW(efSearch=BREADTH, sel=selector)
