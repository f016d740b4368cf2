"""Columns of a snapshot: filters, facets, sorting. One idea of what a field holds serves all three.

A column is a list of ``(row, value)`` pairs, so sparse and many-valued fields cost what they hold. A field is one
text column and one number column per unit: prices are numbers whose unit is the currency, in major units. Numbers
of different currencies are compared only with an exchange rate.

On disk: ``table/columns.json``, ``labels.txt``, ``rows.npy`` int32, ``codes.npy`` int32 (label of a text value),
``numbers.npy`` float64, ``row_indptr.npy`` and ``row_columns.npy`` (which columns a row has). Knows nothing of
queries or scores.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process

from engine.errors import FilterError
from engine.index.arrays import map_array
from engine.index.filters import And, Condition, Filter, Not, Or
from engine.language import fold, words
from engine.schema import Product, Quantity
from engine.units import find_quantities, parse_quantity

__all__ = ["ACCESSORY", "SAID", "Column", "Table", "TableBuilder"]

ACCESSORY = "_accessory"
SAID = "_said"
"""The fields of what is an accessory and of what titles measure; fields that begin with an underscore are nobody's to filter by."""
_NUMBER = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z°\"″\u4e00-\u9fff]*)\s*")


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


@dataclass(slots=True)
class _Growing:
    rows: array[int]
    values: array[float]
    codes: dict[str, int]


class TableBuilder:
    """Collects products one at a time, in row order; :meth:`save` writes the columns."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, str], _Growing] = {}
        self._n = 0

    def add(self, product: Product, accessory: bool = False) -> None:
        """Add the next product."""
        cells = [*_cells(product), *((ACCESSORY, "", "true") for _ in range(accessory))]
        for name, unit, value in dict.fromkeys(cells):
            key = (name, unit)
            column = self._columns.get(key)
            if column is None:
                column = self._columns[key] = _Growing(array("i"), array("d"), {})
            column.rows.append(self._n)
            known = column.codes
            column.values.append(known.setdefault(value, len(known)) if isinstance(value, str) else value)
        self._n += 1

    def save(self, folder: Path) -> dict[str, int]:
        """Write the columns into ``folder`` and return their count."""
        folder.mkdir(parents=True, exist_ok=True)
        described: list[dict[str, Any]] = []
        labels: list[str] = []
        rows: list[NDArray[np.int32]] = []
        codes: list[NDArray[np.int32]] = []
        numbers: list[NDArray[np.float64]] = []
        start = 0
        for (name, unit), column in sorted(self._columns.items()):
            values = np.frombuffer(column.values, np.float64)
            order = sorted(column.codes)
            if not unit:
                rank = np.empty(len(order), np.int32)
                rank[[column.codes[label] for label in order]] = np.arange(len(order), dtype=np.int32)
                codes.append(rank[values.astype(np.int64)])
            else:
                codes.append(np.zeros(len(values), np.int32))
            numbers.append(values if unit else np.zeros(len(values)))
            rows.append(np.frombuffer(column.rows, np.int32))
            span = [len(labels), len(labels) + len(order)]
            labels.extend(order)
            described.append({"name": name, "unit": unit, "span": [start, start + len(values)], "labels": span})
            start += len(values)
        all_rows = np.concatenate([np.empty(0, np.int32), *rows])
        joined: dict[str, NDArray[Any]] = {
            "rows": all_rows,
            "codes": np.concatenate([np.empty(0, np.int32), *codes]),
            "numbers": np.concatenate([np.empty(0), *numbers]),
            **self._by_row(all_rows, [d["span"] for d in described]),
        }
        for file, array_ in joined.items():
            np.save(folder / f"{file}.npy", array_, allow_pickle=False)
        (folder / "labels.txt").write_text("\n".join(labels), "utf-8")
        (folder / "columns.json").write_text(json.dumps(described, ensure_ascii=False), "utf-8")
        return {"columns": len(described)}

    def _by_row(self, rows: NDArray[np.int32], spans: list[list[int]]) -> dict[str, NDArray[np.int32]]:
        column = np.repeat(np.arange(len(spans)), [last - first for first, last in spans]).astype(np.int64)
        pairs = np.unique(rows.astype(np.int64) * max(len(spans), 1) + column)
        counts = np.bincount(pairs // max(len(spans), 1), minlength=self._n)
        return {
            "row_indptr": np.concatenate(([0], np.cumsum(counts))).astype(np.int32),
            "row_columns": (pairs % max(len(spans), 1)).astype(np.int32),
        }


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``rows`` int32 ``(m,)`` with, for text, ``codes`` into ``labels``, else ``numbers`` float64.

    ``unit`` is ``""`` for text, ``#`` for plain numbers, else a unit or a currency. ``whole`` says that every product
    has exactly one value, so that cells are in the order of rows.
    """

    name: str
    unit: str
    rows: NDArray[np.int32]
    codes: NDArray[np.int32]
    numbers: NDArray[np.float64]
    labels: list[str]
    whole: bool

    def cells(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the places of the cells that rows of ``mask`` ``(n,)`` have."""
        return np.flatnonzero(mask if self.whole else mask[self.rows])


class Table:
    """Saved columns, memory-mapped. Thread-safe: nothing on it changes."""

    def __init__(self, folder: Path, n: int, exchange_rates: Mapping[str, float] | None = None) -> None:
        self.n = n
        self._rates = dict(exchange_rates or {})
        labels = (folder / "labels.txt").read_text("utf-8").split("\n")
        rows, codes, numbers, self.row_indptr, self.row_columns = (
            map_array(folder / f"{name}.npy")
            for name in ("rows", "codes", "numbers", "row_indptr", "row_columns")
        )
        self.columns: list[Column] = []
        every = np.arange(n)
        for d in json.loads((folder / "columns.json").read_text("utf-8")):
            at, of = slice(*d["span"]), slice(*d["labels"])
            whole = np.array_equal(rows[at], every)
            self.columns.append(Column(d["name"], d["unit"], rows[at], codes[at], numbers[at], labels[of], whole))
        self.fields: dict[str, list[Column]] = {}
        for column in self.columns:
            self.fields.setdefault(column.name, []).append(column)

    @property
    def currencies(self) -> list[str]:
        """The currencies products are priced in."""
        return [c.unit for c in self.fields.get("price", ())]

    def field(self, name: str, position: int = 0) -> list[Column]:
        """Return the columns of a field.

        Raises:
            FilterError: there is no such field; the message names near ones.
        """
        found = self.fields.get(name) if not name.startswith("_") else None
        if found is None:
            known = [field for field in self.fields if not field.startswith("_")]
            near = [match for match, _, _ in process.extract(name, known, limit=4, score_cutoff=50)]
            hint = f" Did you mean {', '.join(map(repr, near))}?" if near else ""
            raise FilterError(f"No product has a field {name[:80]!r}.{hint}", position)
        return found

    def allow(self, tree: Filter) -> NDArray[np.bool_]:
        """Return the mask ``(n,)`` of the rows that pass a filter."""
        if isinstance(tree, And | Or):
            masks = [self.allow(part) for part in tree.parts]
            combine = np.logical_and if isinstance(tree, And) else np.logical_or
            return np.asarray(combine.reduce(masks), bool)
        if isinstance(tree, Not):
            return np.logical_not(self.allow(tree.part))
        return self._test(tree)

    def _test(self, c: Condition) -> NDArray[np.bool_]:
        columns = self.field(c.field, c.position)
        mask = np.zeros(self.n, bool)
        if c.operator in ("<", "<=", ">", ">=", ".."):
            for column in columns:
                if column.unit:
                    mask[column.rows[self._in_range(column, c)]] = True
            if not any(column.unit for column in columns):
                raise FilterError(f"{c.field!r} holds text, so {c.operator!r} cannot be used. Use `:=`.", c.position)
            return mask
        for column in columns:
            for value in c.values:
                hit = self._equal_number(column, value) if column.unit else _labelled(column, value, c.operator)
                mask[column.rows[hit]] = True
        return ~mask if c.operator == "!=" else mask

    def _equal_number(self, column: Column, value: str) -> NDArray[np.bool_]:
        number = self._in_unit(value, column.unit)
        return np.zeros(len(column.rows), bool) if number is None else np.isclose(column.numbers, number, rtol=1e-6)

    def _in_range(self, column: Column, c: Condition) -> NDArray[np.bool_]:
        numbers, hit = column.numbers, np.ones(len(column.rows), bool)
        signs = (">=", "<=") if c.operator == ".." else (c.operator,)
        for sign, value in zip(signs, c.values, strict=True):
            if not value:
                continue
            if _NUMBER.fullmatch(value) is None:
                raise FilterError(f"{value[:40]!r} is not a number. Write `{c.field}:<100`, or with a unit.", c.position)
            limit = self._in_unit(value, column.unit)
            if limit is None:
                return np.zeros(len(column.rows), bool)
            slack = abs(limit) * 1e-9
            hit &= {
                "<": numbers < limit - slack,
                "<=": numbers <= limit + slack,
                ">": numbers > limit + slack,
                ">=": numbers >= limit - slack,
            }[sign]
        return hit

    def _in_unit(self, value: str, unit: str) -> float | None:
        """Return a written number in ``unit``, or ``None`` where it names a unit that cannot be converted."""
        match = _NUMBER.fullmatch(value)
        if match is None:
            return None
        number, written = float(match.group(1)), match.group(2)
        if not written or written.upper() == unit:
            return number
        if written.upper() in self._rates and unit in self._rates:
            return number * self._rates[written.upper()] / self._rates[unit]
        quantity = parse_quantity(f"{match.group(1)} {written}")
        return quantity.value if quantity is not None and quantity.unit == unit else None

    def labelled(self, name: str, labels: Collection[str]) -> NDArray[np.bool_]:
        """Return the mask ``(n,)`` of rows that have any of the labels in a text field."""
        mask = np.zeros(self.n, bool)
        for column in self.fields.get(name, ()):
            if not column.unit:
                wanted = np.zeros(len(column.labels), bool)
                for label in labels:  # labels are sorted
                    place = bisect_left(column.labels, label)
                    if place < len(column.labels) and column.labels[place] == label:
                        wanted[place] = True
                mask[column.rows[wanted[column.codes]]] = True
        return mask

    def having(self, name: str) -> NDArray[np.bool_]:
        """Return the mask ``(n,)`` of rows that have any text in a field."""
        mask = np.zeros(self.n, bool)
        for column in self.fields.get(name, ()):
            if not column.unit:
                mask[column.rows] = True
        return mask

    def prices(self) -> NDArray[np.float64]:
        """Return the price of each row in the most common currency, NaN where there is none."""
        prices = np.full(self.n, np.nan)
        for column in sorted(self.fields.get("price", ()), key=lambda c: len(c.rows))[-1:]:
            prices[column.rows] = column.numbers
        return prices

    def groups(self) -> NDArray[np.int32]:
        """Return a number for the ``item_group_id`` of each row, int32 ``(n,)``, -1 where there is none."""
        groups = np.full(self.n, -1, np.int32)
        for column in self.fields.get("item_group_id", ()):
            groups[column.rows] = column.codes
        return groups

    def sort_keys(self, name: str, rows: NDArray[np.int64], position: int = 0) -> list[NDArray[np.float64]]:
        """Return sort keys of a number field for ``rows``, the most common unit first, NaN where missing.

        One array per unit: amounts in different currencies are never compared.
        """
        columns = [c for c in self.field(name, position) if c.unit]
        if not columns:
            raise FilterError(f"{name!r} holds text; sort by a number such as `price:asc`.", position)
        keys = []
        for column in columns:
            values = np.full(self.n, np.nan)
            values[column.rows] = column.numbers
            keys.append(values[rows])
        return sorted(keys, key=lambda k: int(np.isnan(k).sum()))


def _labelled(column: Column, value: str, operator: str) -> NDArray[np.bool_]:
    """Return which pairs of a text column have a label that is (``= !=``) or contains the words of ``value``."""
    wanted = fold(value)[0].strip()
    if operator == ":":
        parts = {w.text for w in words(value)}
        chosen = [i for i, label in enumerate(column.labels) if _contains(label, wanted, parts)]
    else:
        chosen = [i for i, label in enumerate(column.labels) if fold(label)[0] == wanted]
    return np.isin(column.codes, chosen)


def _contains(label: str, wanted: str, parts: Iterable[str]) -> bool:
    folded = fold(label)[0]
    return wanted in folded and set(parts) <= {w.text for w in words(label)}
