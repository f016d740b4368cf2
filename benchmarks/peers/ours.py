"""Our own index, as a snapshot has it: chosen by the number of products and measured until it finds enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.protocol import Folders, Product
from engine.index.faiss_index import FaissVectors, create_vectors, save_index
from engine.index.snapshot import open_snapshot

__all__ = ["Ours"]


class Ours:
    """:class:`FaissVectors` over the vectors; ``factory`` as FAISS writes it, ``None`` is what the settings choose.

    How far searches go was measured when the store was indexed, and is taken from there.
    """

    def __init__(self, folders: Folders, factory: str | None = None) -> None:
        self._folder, self._store, self._factory = folders.scratch / "vectors", folders.store, factory
        self.about = ""

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Write the vectors in half precision, and the index of them."""
        create_vectors(self._folder, *vectors.shape)[:] = vectors.astype(np.float16)
        chosen = save_index(self._folder, factory=self._factory)
        measured = self._measured()
        if chosen and measured is not None:
            (self._folder / "index.json").write_bytes(measured.read_bytes())
        self._index, self._prices, self._texts = FaissVectors(self._folder), prices, texts
        self.about = chosen

    def search(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[int]:
        """Return the rows of the nearest."""
        allowed = None if price_limit is None else self._prices <= price_limit
        rows: list[int] = self._index.search(vector, k, allowed).rows.tolist()
        return rows

    def products(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[Product]:
        """Return the nearest with their texts."""
        return [(row, self._texts[row]) for row in self.search(vector, k, price_limit)]

    def close(self) -> None:
        """Nothing runs."""

    def _measured(self) -> Path | None:
        path = open_snapshot(self._store).path / "vectors" / "index.json"
        return path if path.exists() else None
