"""txtai: a FAISS index of its own choice beside a SQLite table, in process."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from txtai import Embeddings

from benchmarks.peers.protocol import Folders, Product, finite

__all__ = ["Txtai"]


class Txtai:
    """Its vectors are given to it. A filter is applied to what the index found, ten times as many as are wanted."""

    def __init__(self, folders: Folders) -> None:
        self.about = ""

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Index all products with their texts and prices."""
        by_text = dict(zip(texts, vectors, strict=True))  # one text has one vector

        def given(wanted: list[str]) -> NDArray[np.float32]:
            return np.stack([by_text[text] for text in wanted])

        self._embeddings: Any = Embeddings(method="external", transform=given, content=True, backend="faiss")
        rows = zip(range(len(texts)), texts, finite(prices), strict=True)
        self._embeddings.index((row, {"text": text, "price": price}, None) for row, text, price in rows)
        self.about = str(self._embeddings.config["build"]["settings"]["components"])

    def search(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[int]:
        """Return the rows of the nearest."""
        return [int(hit["id"]) for hit in self._ask("id", vector, k, price_limit)]

    def products(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[Product]:
        """Return the nearest with their texts."""
        return [(int(hit["id"]), hit["text"]) for hit in self._ask("id, text", vector, k, price_limit)]

    def close(self) -> None:
        """Close index and table."""
        self._embeddings.close()

    def _ask(self, columns: str, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[dict[str, Any]]:
        condition = "" if price_limit is None else f" and price <= {price_limit!r}"
        statement = f"select {columns} from txtai where similar(:q){condition}"
        hits: list[dict[str, Any]] = self._embeddings.search(statement, k, parameters={"q": vector})
        return hits
