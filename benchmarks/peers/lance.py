"""LanceDB: tables on the disk, in process."""

from __future__ import annotations

from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.peers.protocol import BREADTH, BUILD_BREADTH, LINKS, Folders, Product

__all__ = ["Lance"]

_REFINED = 5


class Lance:
    """``flat`` scans, which is what LanceDB does before an index is asked for."""

    def __init__(self, folders: Folders, flat: bool = False) -> None:
        self._database, self._flat = lancedb.connect(folders.scratch / "lance"), flat
        self.about = ""

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Write the table, then index vectors and prices."""
        n, dimension = vectors.shape
        cells = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension)
        columns = {"row": pa.array(range(n)), "price": pa.array(prices), "text": pa.array(texts), "vector": cells}
        self._table: Any = self._database.create_table("products", pa.table(columns))
        if not self._flat:
            settings = {"m": LINKS, "ef_construction": BUILD_BREADTH, "num_partitions": 1}
            self._table.create_index(metric="dot", vector_column_name="vector", index_type="IVF_HNSW_SQ", **settings)
            self._table.create_scalar_index("price")

    def search(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[int]:
        """Return the rows of the nearest."""
        rows: list[int] = self._ask(vector, k, price_limit, ["row"])["row"].to_pylist()
        return rows

    def products(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[Product]:
        """Return the nearest with their texts."""
        found = self._ask(vector, k, price_limit, ["row", "text"])
        return list(zip(found["row"].to_pylist(), found["text"].to_pylist(), strict=True))

    def close(self) -> None:
        """Nothing runs."""

    def _ask(self, vector: NDArray[np.float32], k: int, price_limit: float | None, columns: list[str]) -> Any:
        asked = self._table.search(vector).distance_type("dot").limit(k).select([*columns, "_distance"])
        if not self._flat:
            asked = asked.ef(BREADTH).refine_factor(_REFINED)
        if price_limit is not None:
            asked = asked.where(f"price <= {price_limit!r}", prefilter=True)
        return asked.to_arrow()
