"""The products of a snapshot, as JSON lines read in place.

On disk: ``documents/documents.jsonl`` (one product a line, in row order), ``offsets.npy`` int64 ``(n + 1,)`` and
``ids.txt`` (one id a line). Rows are sorted by id. Knows nothing of what a product means.
"""

from __future__ import annotations

import mmap
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from engine.errors import NotFoundError
from engine.schema import Product

__all__ = ["Documents", "DocumentsBuilder"]


class DocumentsBuilder:
    """Writes products one at a time, in row order; :meth:`save` finishes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._stream = (folder / "documents.jsonl").open("wb")
        self._offsets = array("q", [0])
        self._ids: list[str] = []

    def add(self, product: Product) -> None:
        """Write the next product."""
        line = orjson.dumps(product.to_document()) + b"\n"
        self._stream.write(line)
        self._offsets.append(self._offsets[-1] + len(line))
        self._ids.append(product.id)

    def save(self) -> dict[str, int]:
        """Close the documents, write offsets and ids, and return the count."""
        self._stream.close()
        np.save(self._folder / "offsets.npy", np.frombuffer(self._offsets, np.int64), allow_pickle=False)
        (self._folder / "ids.txt").write_text("\n".join(self._ids), "utf-8")
        return {"documents": len(self._ids)}


class Documents:
    """Saved products, memory-mapped. Thread-safe: nothing on it changes."""

    def __init__(self, folder: Path, n: int) -> None:
        text = (folder / "ids.txt").read_text("utf-8")
        self.ids: list[str] = text.split("\n") if n else []
        self._rows = {product_id: row for row, product_id in enumerate(self.ids)}
        self._offsets = np.load(folder / "offsets.npy", allow_pickle=False).tolist()
        with (folder / "documents.jsonl").open("rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if n else b""

    def row_of(self, product_id: str) -> int | None:
        """Return the row of a product, or ``None``."""
        return self._rows.get(product_id)

    def rows_of(self, product_ids: list[str]) -> list[int]:
        """Return the rows of products.

        Raises:
            NotFoundError: one of them is not in this snapshot.
        """
        unknown = [i for i in product_ids if i not in self._rows]
        if unknown:
            raise NotFoundError(f"No product has the id {unknown[0][:80]!r}. Search first, and use the ids of its hits.")
        return [self._rows[i] for i in product_ids]

    def document(self, row: int) -> dict[str, Any]:
        """Return the product of a row as JSON values."""
        document: dict[str, Any] = orjson.loads(self._map[self._offsets[row] : self._offsets[row + 1]])
        return document

    def product(self, row: int) -> Product:
        """Return the product of a row."""
        return Product.from_document(self.document(row))
