"""The products of a snapshot, as JSON lines read in place.

On disk: ``documents/documents.jsonl`` (one product a line, in row order), ``offsets.npy`` int64 ``(n + 1,)``,
``heads.npy`` int32 ``(n,)`` and the ids (:mod:`engine.index.strings`). A line begins with its head, the fields of
:data:`HEAD`, which is read alone where a product is shown and sent on as it is written. Rows are sorted by id. Knows
nothing of what a product means.
"""

from __future__ import annotations

import heapq
import itertools
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.errors import NotFoundError
from engine.index.arrays import NO_ROWS, ArrayWriter, map_array
from engine.index.snapshot import Part
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
    """Saved products of all parts of a snapshot, memory-mapped. Thread-safe: nothing on it changes."""

    def __init__(self, parts: Sequence[Part], dead: NDArray[np.int64] = NO_ROWS) -> None:
        self._parts = [_Stored(part) for part in parts]
        self._dead = dead
        self.ids: Sequence[str] = self._parts[0].ids if len(parts) == 1 else _Joined([part.ids for part in self._parts])
        """The id of every row, also of dead ones."""

    def row_of(self, product_id: str) -> int | None:
        """Return the row of a product, or ``None``."""
        for part in reversed(self._parts):  # what has changed lies in the last
            place = part.ids.find(product_id)
            if place >= 0:
                row = part.first + place
                return None if self._is_dead(row) else row
        return None

    def _is_dead(self, row: int) -> bool:
        place = int(np.searchsorted(self._dead, row))
        return place < len(self._dead) and int(self._dead[place]) == row

    def rows_of(self, product_ids: Sequence[str]) -> list[int]:
        """Return the rows of products.

        Raises:
            NotFoundError: one of them is not in this snapshot.
        """
        rows = []
        for product_id in product_ids:
            row = self.row_of(product_id)
            if row is None:
                raise NotFoundError(f"No product has the id {product_id[:80]!r}. Search first, and use the ids of its hits.")
            rows.append(row)
        return rows

    def living(self) -> Iterator[int]:
        """Yield the rows that are not dead, in the order of their ids."""
        dead = set(self._dead.tolist())
        numbered = (zip(part.ids, itertools.count(part.first), strict=False) for part in self._parts)
        return (row for _, row in heapq.merge(*numbered) if row not in dead)

    def head(self, row: int) -> dict[str, Any]:
        """Return the fields of :data:`HEAD` that the product of a row has, as JSON values."""
        head: dict[str, Any] = orjson.loads(self._part(row).head(row) + b"}")
        return head

    def json(self, row: int) -> bytes:
        """Return the product of a row as JSON text."""
        return self._part(row).json(row)

    def document(self, row: int) -> dict[str, Any]:
        """Return the product of a row as JSON values."""
        document: dict[str, Any] = orjson.loads(self.json(row))
        return document

    def product(self, row: int) -> Product:
        """Return the product of a row."""
        return Product.from_document(self.document(row))

    def _part(self, row: int) -> _Stored:
        return next(part for part in reversed(self._parts) if row >= part.first)


class _Stored:
    """The products of one part."""

    def __init__(self, part: Part) -> None:
        folder = part.folder / "documents"
        self.first = part.first
        self.ids = Strings(folder / "ids")
        self._offsets, self._heads = map_array(folder / "offsets.npy"), map_array(folder / "heads.npy")
        with (folder / "documents.jsonl").open("rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if part.size else b""

    def head(self, row: int) -> bytes:
        start = int(self._offsets[row - self.first])
        return self._map[start : start + int(self._heads[row - self.first])]

    def json(self, row: int) -> bytes:
        start, end = self._offsets[row - self.first : row - self.first + 2].tolist()
        return self._map[start : end - 1]


class _Joined(Sequence[str]):
    """Strings of several parts one after another."""

    def __init__(self, parts: Sequence[Strings]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(len(self)))]
        for part in self._parts:
            if place < len(part):
                return part[place]
            place -= len(part)
        raise IndexError("There are not so many strings.")

    def __iter__(self) -> Iterator[str]:
        for part in self._parts:
            yield from part
