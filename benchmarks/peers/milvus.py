"""Milvus: its small version in a file, and its standalone server, which the package ``milvus`` carries."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymilvus import DataType, MilvusClient

from benchmarks.peers.protocol import BREADTH, BUILD_BREADTH, LINKS, Folders, MissingError, Product, finite

__all__ = ["Lite", "Server"]

_NAME = "products"
_AT_A_TIME = 1_000
_PATIENCE_S = 240


class Lite:
    """``index`` is HNSW or FLAT."""

    def __init__(self, folders: Folders, index: str) -> None:
        self._scratch, self._index = folders.scratch, index
        self.about = ""

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Make a collection, insert, and wait until its index is what searches go through."""
        self._client = self._connected(self._scratch)
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("price", DataType.DOUBLE)
        schema.add_field("text", DataType.VARCHAR, max_length=65_535)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
        index = self._client.prepare_index_params()
        building = {"M": LINKS, "efConstruction": BUILD_BREADTH} if self._index == "HNSW" else {}
        index.add_index("vector", index_type=self._index, metric_type="IP", params=building)
        self._client.create_collection(_NAME, schema=schema)
        priced = finite(prices)
        for start in range(0, len(vectors), _AT_A_TIME):
            rows = range(start, min(start + _AT_A_TIME, len(vectors)))
            some = [{"id": i, "price": priced[i], "text": texts[i], "vector": vectors[i].tolist()} for i in rows]
            self._client.insert(_NAME, some)
        self._client.flush(_NAME)
        self._client.create_index(_NAME, index)
        self._settle(len(vectors))
        self._parameters: dict[str, Any] = {"metric_type": "IP", "params": {"ef": BREADTH} if building else {}}

    def search(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[int]:
        """Return the rows of the nearest."""
        return [hit["id"] for hit in self._ask(vector, k, price_limit, [])]

    def products(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[Product]:
        """Return the nearest with their texts."""
        return [(hit["id"], hit["entity"]["text"]) for hit in self._ask(vector, k, price_limit, ["text"])]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _connected(self, scratch: Path) -> MilvusClient:
        return MilvusClient(str(scratch / "milvus.db"))

    def _settle(self, rows: int) -> None:
        self._client.load_collection(_NAME)

    def _ask(
        self, vector: NDArray[np.float32], k: int, price_limit: float | None, fields: list[str]
    ) -> list[dict[str, Any]]:
        found = self._client.search(
            _NAME,
            [vector.tolist()],
            limit=k,
            anns_field="vector",
            filter="" if price_limit is None else f"price <= {price_limit!r}",
            search_params=self._parameters,
            output_fields=fields,
            consistency_level="Eventually",
        )
        hits: list[dict[str, Any]] = found[0]
        return hits


class Server(Lite):
    """It is loaded once its index is finished: before that it would answer from an interim one."""

    def _connected(self, scratch: Path) -> MilvusClient:
        from milvus import default_server

        os.environ.pop("OMP_NUM_THREADS", None)
        default_server.set_base_dir(str(scratch / "milvus"))
        default_server.start()
        self._server = default_server
        client = MilvusClient(f"http://127.0.0.1:{default_server.listen_port}")
        self.about = f"server {client.get_server_version()}"
        return client

    def _settle(self, rows: int) -> None:
        until = time.monotonic() + _PATIENCE_S
        while True:
            state = self._client.describe_index(_NAME, "vector")
            if state.get("state") == "Finished" and int(state.get("indexed_rows", 0)) >= rows:
                break
            if time.monotonic() > until:
                raise MissingError(f"Milvus's index was not finished after {_PATIENCE_S} s: {state}.")
            time.sleep(0.5)
        self._client.load_collection(_NAME)

    def close(self) -> None:
        """Close the connection and end the server."""
        super().close()
        self._server.stop()
