"""The products of a snapshot, as JSON lines read in place.

On disk: ``documents/documents.jsonl`` (one product a line, in row order), ``offsets.npy`` int64 ``(n + 1,)``,
``heads.npy`` int32 ``(n,)`` and the ids (:mod:`engine.index.strings`). A line begins with its head, the fields of
:data:`HEAD`, which is read alone where a product is shown and sent on as it is written. Rows are sorted by id. Knows
nothing of what a product means.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import orjson

from engine.errors import NotFoundError
from engine.index.arrays import ArrayWriter, map_array
from engine.index.strings import Strings, StringsWriter
from engine.schema import Product

__all__ = ["HEAD", "Documents", "DocumentsBuilder"]

HEAD = ("id", "title", "description", "brand")


class DocumentsBuilder:
    """Writes products one at a time, in row order; :meth:`save` finishes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stream = (folder / "documents.jsonl").open("wb")
        self._offsets, self._heads = ArrayWriter(folder / "offsets.npy", "q"), ArrayWriter(folder / "heads.npy", "i")
        self._offsets.append(0)
        self._end = 0
        self._ids = StringsWriter(folder / "ids")

    def add(self, product: Product) -> None:
        """Write the next product."""
        document = product.to_document()
        head = orjson.dumps({name: document.pop(name) for name in HEAD if name in document})[:-1]
        line = head + (b"," + orjson.dumps(document)[1:] if document else b"}") + b"\n"
        self._end += self._stream.write(line)
        self._offsets.append(self._end)
        self._heads.append(len(head))
        self._ids.add(product.id)

    def save(self) -> dict[str, int]:
        """Finish, and return how many documents there are."""
        self._stream.close()
        self._offsets.close()
        self._heads.close()
        return {"documents": self._ids.close()}


class Documents:
    """Saved products, memory-mapped. Thread-safe: nothing on it changes."""

    def __init__(self, folder: Path, n: int) -> None:
        self.ids = Strings(folder / "ids")
        self._offsets, self._heads = map_array(folder / "offsets.npy"), map_array(folder / "heads.npy")
        with (folder / "documents.jsonl").open("rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if n else b""

    def row_of(self, product_id: str) -> int | None:
        """Return the row of a product, or ``None``."""
        row = self.ids.find(product_id)
        return None if row < 0 else row

    def rows_of(self, product_ids: list[str]) -> list[int]:
        """Return the rows of products.

        Raises:
            NotFoundError: one of them is not in this snapshot.
        """
        rows = [self.ids.find(i) for i in product_ids]
        if -1 in rows:
            unknown = product_ids[rows.index(-1)]
            raise NotFoundError(f"No product has the id {unknown[:80]!r}. Search first, and use the ids of its hits.")
        return rows

    def head(self, row: int) -> dict[str, Any]:
        """Return the fields of :data:`HEAD` that the product of a row has, as JSON values."""
        start = int(self._offsets[row])
        head: dict[str, Any] = orjson.loads(self._map[start : start + int(self._heads[row])] + b"}")
        return head

    def json(self, row: int) -> bytes:
        """Return the product of a row as JSON text."""
        return self._map[int(self._offsets[row]) : int(self._offsets[row + 1]) - 1]

    def document(self, row: int) -> dict[str, Any]:
        """Return the product of a row as JSON values."""
        document: dict[str, Any] = orjson.loads(self.json(row))
        return document

    def product(self, row: int) -> Product:
        """Return the product of a row."""
        return Product.from_document(self.document(row))
