"""Qdrant in process: one shard of it, without its server."""

from __future__ import annotations

import numpy as np
import qdrant_edge as qdrant
from numpy.typing import NDArray

from benchmarks.peers.protocol import BREADTH, BUILD_BREADTH, LINKS, Folders, Product, finite

__all__ = ["Qdrant"]

_AT_A_TIME = 1_000
_SCAN_KB = 10_000
"""Qdrant's own default for what it scans rather than walk through a graph."""


class Qdrant:
    """A shard with its graph built, or searched ``exact``; the price has an index."""

    def __init__(self, folders: Folders, exact: bool = False) -> None:
        self._folder, self._exact = folders.scratch / "qdrant", exact
        self._folder.mkdir()
        self.about = ""

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Insert all points, index the price, and wait for the optimizer."""
        config = qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(vectors.shape[1], qdrant.Distance.Dot),
            hnsw_config=qdrant.HnswIndexConfig(LINKS, BUILD_BREADTH, _SCAN_KB),
            optimizers=qdrant.EdgeOptimizersConfig(indexing_threshold=1),
        )
        self._shard = qdrant.EdgeShard.create(str(self._folder), config)
        change = qdrant.UpdateOperation
        self._shard.update(change.create_field_index("price", qdrant.PayloadSchemaType.Float))
        priced = finite(prices)
        for start in range(0, len(vectors), _AT_A_TIME):
            rows = range(start, min(start + _AT_A_TIME, len(vectors)))
            points = [qdrant.Point(i, vectors[i].tolist(), {"price": priced[i], "text": texts[i]}) for i in rows]
            self._shard.update(change.upsert_points(points))
        if not self._exact:
            self._shard.optimize()
        self._parameters = qdrant.SearchParams(hnsw_ef=BREADTH, exact=self._exact)

    def search(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[int]:
        """Return the rows of the nearest."""
        return [point.id for point in self._ask(vector, k, price_limit, False)]

    def products(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[Product]:
        """Return the nearest with their texts."""
        return [(point.id, point.payload["text"]) for point in self._ask(vector, k, price_limit, True)]

    def close(self) -> None:
        """Close the shard."""
        self._shard.close()

    def _ask(
        self, vector: NDArray[np.float32], k: int, price_limit: float | None, texts: bool
    ) -> list[qdrant.ScoredPoint]:
        condition = None
        if price_limit is not None:
            limit = qdrant.FieldCondition("price", range=qdrant.RangeFloat(lte=price_limit))
            condition = qdrant.Filter(must=[limit])
        request = qdrant.QueryRequest(
            limit=k,
            query=qdrant.Query.Nearest(vector.tolist()),
            filter=condition,
            params=self._parameters,
            with_payload=["text"] if texts else False,
        )
        found: list[qdrant.ScoredPoint] = self._shard.query(request)
        return found
