"""The products of a snapshot, as JSON lines read in place.

On disk: ``documents/documents.jsonl`` (one product a line, in row order), ``offsets.npy`` int64 ``(n + 1,)``,
``heads.npy`` int32 ``(n,)`` and ``ids.txt`` (one id a line). A line begins with its head, the fields of :data:`HEAD`,
which is read alone where a product is shown and sent on as it is written. Rows are sorted by id. Knows nothing of what
a product means.
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

__all__ = ["HEAD", "Documents", "DocumentsBuilder"]

HEAD = ("id", "title", "description", "brand")


class DocumentsBuilder:
    """Writes products one at a time, in row order; :meth:`save` finishes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._stream = (folder / "documents.jsonl").open("wb")
        self._offsets, self._heads = array("q", [0]), array("i")
        self._ids: list[str] = []

    def add(self, product: Product) -> None:
        """Write the next product."""
        document = product.to_document()
        head = orjson.dumps({name: document.pop(name) for name in HEAD if name in document})[:-1]
        line = head + (b"," + orjson.dumps(document)[1:] if document else b"}") + b"\n"
        self._stream.write(line)
        self._offsets.append(self._offsets[-1] + len(line))
        self._heads.append(len(head))
        self._ids.append(product.id)

    def save(self) -> dict[str, int]:
        """Close the documents, write where they lie and their ids, and return the count."""
        self._stream.close()
        np.save(self._folder / "offsets.npy", np.frombuffer(self._offsets, np.int64), allow_pickle=False)
        np.save(self._folder / "heads.npy", np.array(self._heads, np.int32), allow_pickle=False)
        (self._folder / "ids.txt").write_text("\n".join(self._ids), "utf-8")
        return {"documents": len(self._ids)}


class Documents:
    """Saved products, memory-mapped. Thread-safe: nothing on it changes."""

    def __init__(self, folder: Path, n: int) -> None:
        text = (folder / "ids.txt").read_text("utf-8")
        self.ids: list[str] = text.split("\n") if n else []
        self._rows = {product_id: row for row, product_id in enumerate(self.ids)}
        self._offsets = np.load(folder / "offsets.npy", allow_pickle=False).tolist()
        self._heads = np.load(folder / "heads.npy", allow_pickle=False).tolist()
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

    def head(self, row: int) -> dict[str, Any]:
        """Return the fields of :data:`HEAD` that the product of a row has, as JSON values."""
        start = self._offsets[row]
        head: dict[str, Any] = orjson.loads(self._map[start : start + self._heads[row]] + b"}")
        return head

    def json(self, row: int) -> bytes:
        """Return the product of a row as JSON text."""
        return self._map[self._offsets[row] : self._offsets[row + 1] - 1]

    def document(self, row: int) -> dict[str, Any]:
        """Return the product of a row as JSON values."""
        document: dict[str, Any] = orjson.loads(self.json(row))
        return document

    def product(self, row: int) -> Product:
        """Return the product of a row."""
        return Product.from_document(self.document(row))
