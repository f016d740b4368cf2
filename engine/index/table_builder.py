"""Columns of a snapshot from products, one at a time, with memory that does not grow with the catalogue.

In: products in row order. Out: the files :mod:`engine.index.table` reads. Cells wait on disk and are then sorted by column,
piece by piece. Knows nothing of filters.
"""

from __future__ import annotations

import itertools
import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.index.arrays import ArrayWriter, RawArray, create_array, places_in_order
from engine.index.hashed import Numbers
from engine.index.runs import Scratch, SortedRuns
from engine.index.strings import StringsWriter
from engine.index.table import ACCESSORY, SAID
from engine.language import fold
from engine.schema import Product, Quantity
from engine.units import find_quantities

__all__ = ["TableBuilder"]

_CELL = np.dtype([("row", "<i4"), ("column", "<i4"), ("value", "<i8")])
_SORTING = 8
"""Times its own size that sorting a piece takes."""
_SEEN = 250
"""Bytes that a label takes in the set of those seen lately."""


def _cells(product: Product) -> Iterator[tuple[str, str, str | float]]:
    """Yield ``(field, unit, value)`` for everything that can be filtered; text has the unit ``""``."""
    yield "id", "", product.id
    for name in ("brand", "availability", "mpn", "item_group_id"):
        if value := getattr(product, name):
            yield name, "", value
    for depth in range(len(product.category)):
        yield "category", "", " > ".join(product.category[: depth + 1])
    for code in product.gtin:
        yield "gtin", "", code
    if product.availability:
        yield "in_stock", "", "true" if product.availability == "in_stock" else "false"
    if (price := product.current_price) is not None:
        yield "price", price.currency, price.major
        yield "currency", "", price.currency
    for _, _, said in find_quantities(product.title):
        yield SAID, said.unit, said.value
    yield "on_sale", "", "true" if product.sale_price is not None else "false"
    for name, values in product.attributes.items():
        for value in values:
            if isinstance(value, bool):
                yield name, "", "true" if value else "false"
            elif isinstance(value, Quantity):
                yield name, value.unit, value.value
            elif isinstance(value, float):
                yield name, "#", value
            elif len(value) <= 200:
                yield name, "", " ".join(value.split())


class TableBuilder:
    """Collects products one at a time, in row order; :meth:`save` writes the columns."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._columns: dict[tuple[str, str], int] = {}
        self._counts = array("q")
        self._labels = SortedRuns(scratch, "labels")
        self._seen: set[tuple[int, bytes]] = set()
        self._waiting = RawArray(scratch.folder / "cells.raw", _CELL)
        self._most = max(1, scratch.buffer_bytes // (_SORTING * _CELL.itemsize))
        self._most_seen = max(1, scratch.buffer_bytes // _SEEN)
        self._n = 0
        self._empty()

    def _empty(self) -> None:
        self._rows, self._in, self._hashes, self._numbers = array("i"), array("i"), array("q"), array("d")

    def add(self, product: Product, accessory: bool = False) -> None:
        """Add the next product."""
        cells = [*_cells(product), *((ACCESSORY, "", "true") for _ in range(accessory))]
        for name, unit, value in dict.fromkeys(cells):
            column = self._columns.get((name, unit))
            if column is None:
                column = self._columns[name, unit] = len(self._columns)
                self._counts.append(0)
            self._rows.append(self._n)
            self._in.append(column)
            self._counts[column] += 1
            if isinstance(value, str):
                label = value.encode()
                self._say(column, label)
                self._hashes.append(hash(label))
                self._numbers.append(0.0)
            else:
                self._hashes.append(0)
                self._numbers.append(value)
        self._n += 1
        if len(self._rows) >= self._most:
            self._flush()

    def _say(self, column: int, label: bytes) -> None:
        """Take a label in, unless it was seen lately."""
        if (column, label) not in self._seen:
            if len(self._seen) >= self._most_seen:
                self._seen.clear()
            self._seen.add((column, label))
            self._labels.add(b"%08x\t%s" % (column, label))

    def _flush(self) -> None:
        piece = np.empty(len(self._rows), _CELL)
        piece["row"], piece["column"] = np.frombuffer(self._rows, np.int32), np.frombuffer(self._in, np.int32)
        numbers = np.frombuffer(self._numbers, np.float64)
        # a cell is either text or a number, so one of the two is zero in all its bits
        piece["value"] = np.frombuffer(self._hashes, np.int64) | numbers.view(np.int64)
        self._waiting.append(piece)
        self._empty()

    def save(self, folder: Path) -> dict[str, int]:
        """Write the columns into ``folder`` and return their count."""
        folder.mkdir(parents=True, exist_ok=True)
        if self._rows:
            self._flush()
        self._seen.clear()
        spans, numbers = self._save_labels(folder)
        named = sorted(self._columns.items())
        counts = np.array([self._counts[column] for _, column in named], np.int64)
        starts = np.concatenate(([0], np.cumsum(counts)))
        rows = create_array(self._scratch.folder / "rows.npy", np.int32, int(starts[-1]))
        values = create_array(self._scratch.folder / "values.npy", np.int64, int(starts[-1]))
        self._sort(folder, np.array([column for _, column in named], np.int64), starts, rows, values)
        np.save(folder / "rows.npy", rows, allow_pickle=False)
        codes, amounts = ArrayWriter(folder / "codes.npy", "i"), ArrayWriter(folder / "numbers.npy", "d")
        described: list[dict[str, Any]] = []
        for ((name, unit), column), start, size in zip(named, starts.tolist(), counts.tolist(), strict=False):
            at = len(amounts if unit else codes)
            if unit:
                amounts.extend(values[start : start + size].view(np.float64))
            else:
                codes.extend(numbers[column].of(values[start : start + size]))
            described.append(
                {"name": name, "unit": unit, "span": [start, start + size], "values": [at, at + size], "labels": spans[column]}
            )
        (folder / "columns.json").write_text(json.dumps(described, ensure_ascii=False), "utf-8")
        codes.close()
        amounts.close()
        for name in ("rows", "values"):
            (self._scratch.folder / f"{name}.npy").unlink()
        return {"columns": len(described)}

    def _save_labels(self, folder: Path) -> tuple[list[list[int]], dict[int, Numbers]]:
        """Write the labels of each column, and return where they lie and their numbers within it."""
        writer, folded = StringsWriter(folder / "labels"), SortedRuns(self._scratch, "folded")
        spans = [[0, 0] for _ in self._columns]
        numbers: dict[int, Numbers] = {}
        written = 0
        for column, labels in itertools.groupby(self._labels.once(), key=lambda line: line[:8]):
            hashes = array("q")
            for place, line in enumerate(labels):
                label = line[9:].decode()
                writer.add(label)
                hashes.append(hash(line[9:]))
                folded.add(b"%s\t%s\t%08x" % (column, fold(label)[0].encode(), place))
            number = int(column, 16)
            spans[number] = [written, written + len(hashes)]
            written += len(hashes)
            numbers[number] = Numbers(np.frombuffer(hashes, np.int64))
        writer.close()
        order = ArrayWriter(folder / "folded.npy", "i")
        for line in folded:
            order.append(int(line[-8:], 16))
        order.close()
        return spans, numbers

    def _sort(
        self,
        folder: Path,
        columns: NDArray[np.int64],
        starts: NDArray[np.int64],
        rows: NDArray[np.int32],
        values: NDArray[np.int64],
    ) -> None:
        """Sort the cells by column into ``rows`` and ``values``, and write which columns each row has."""
        place = np.empty(len(columns), np.int32)
        place[columns] = np.arange(len(columns), dtype=np.int32)
        cursor = starts[:-1].copy()
        row_columns = ArrayWriter(folder / "row_columns.npy", "i")
        per_row = np.zeros(self._n, np.int64)
        for piece in self._waiting:
            column = place[piece["column"]]
            order = np.argsort(column, kind="stable")
            at = places_in_order(column[order], cursor)
            rows[at], values[at] = piece["row"][order], piece["value"][order]
            pairs = np.unique(piece["row"].astype(np.int64) * len(columns) + column)
            row_columns.extend((pairs % len(columns)).astype(np.int32))
            per_row += np.bincount(pairs // len(columns), minlength=self._n)
        row_columns.close()
        np.save(folder / "row_indptr.npy", np.concatenate(([0], np.cumsum(per_row))).astype(np.int32), allow_pickle=False)
        self._waiting.remove()
