"""Columns of a snapshot: filters, facets, sorting. One idea of what a field holds serves all three.

A column is a list of ``(row, value)`` pairs, so sparse and many-valued fields cost what they hold. A field is one
text column and one number column per unit: prices are numbers whose unit is the currency, in major units. Numbers
of different currencies are compared only with an exchange rate.

On disk: ``table/columns.json``, ``labels`` (:mod:`engine.index.strings`, sorted within a column) and ``folded.npy`` int32
(the labels of a column in the order of their folded forms), ``rows.npy`` int32, ``codes.npy`` int32 (label of a text value),
``numbers.npy`` float64, ``row_indptr.npy`` and ``row_columns.npy`` (which columns a row has). Written by
:mod:`engine.index.table_builder`. Knows nothing of queries or scores.
"""

from __future__ import annotations

import json
import operator
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process

from engine.errors import FilterError
from engine.index.arrays import map_array
from engine.index.filters import And, Condition, Filter, Not, Or
from engine.index.snapshot import Part
from engine.index.strings import Strings
from engine.language import fold, words
from engine.units import parse_quantity

__all__ = ["ACCESSORY", "NEAR", "SAID", "Column", "Table", "matching_labels"]

ACCESSORY = "_accessory"
SAID = "_said"
"""The fields of what is an accessory and of what titles measure; fields that begin with an underscore are nobody's to filter by."""
NEAR = 1e-6
"""Numbers that differ by less, relatively, are equal."""
_COMPARES = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_NUMBER = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z°\"″\u4e00-\u9fff]*)\s*")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``rows`` int32 ``(m,)`` with, for text, ``codes`` into ``labels``, else ``numbers`` float64, both ``(m,)``.

    ``unit`` is ``""`` for text, ``#`` for plain numbers, else a unit or a currency. ``whole`` says that every product of the
    base has exactly one value, so that cells are in the order of rows. ``folded`` int32 are the places of the labels in the
    order of their folded forms.
    """

    name: str
    unit: str
    rows: NDArray[np.int32]
    codes: NDArray[np.int32]
    numbers: NDArray[np.float64]
    labels: Strings
    whole: bool
    folded: NDArray[np.int32]

    def cells(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the places of the cells that rows of ``mask`` ``(n,)`` have."""
        return np.flatnonzero(mask[: len(self.rows)] if self.whole else mask[self.rows])

    def alike(self, value: str) -> NDArray[np.int32]:
        """Return the codes of the labels that are ``value`` when both are folded."""
        wanted = fold(value)[0].strip()
        order = self.folded

        def form(place: int) -> str:
            return fold(self.labels[int(order[place])])[0]

        first = last = bisect_left(range(len(order)), wanted, key=form)
        while last < len(order) and form(last) == wanted:
            last += 1
        return order[first:last]


@dataclass(frozen=True, slots=True)
class _Held:
    """Which columns the rows of one part have: ``columns`` int32, those of row ``i`` from ``starts[i]`` on; their numbers are
    those of all columns, ``first`` added."""

    rows: slice
    starts: NDArray[np.int32]
    columns: NDArray[np.int32]
    first: int
    size: int


class Table:
    """Saved columns of all parts of a snapshot, memory-mapped. Thread-safe: nothing on it changes.

    A field of the delta has columns of its own, beside those of the base.
    """

    def __init__(self, parts: Sequence[Part], exchange_rates: Mapping[str, float] | None = None) -> None:
        self.n = sum(part.size for part in parts)
        self._rates = dict(exchange_rates or {})
        self.columns: list[Column] = []
        self._held: list[_Held] = []
        for part in parts:
            found = _columns(part)
            starts, held = (map_array(part.folder / "table" / f"{name}.npy") for name in ("row_indptr", "row_columns"))
            self._held.append(_Held(part.rows, starts, held, len(self.columns), len(found)))
            self.columns += found
        self.fields: dict[str, list[Column]] = {}
        for column in self.columns:
            self.fields.setdefault(column.name, []).append(column)

    def having_columns(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how many rows of ``mask`` ``(n,)`` have each of :attr:`columns`."""
        counts = np.zeros(len(self.columns), np.int64)
        for held in self._held:
            kept = np.repeat(mask[held.rows], np.diff(held.starts))
            counts[held.first : held.first + held.size] = np.bincount(held.columns[kept], minlength=held.size)
        return counts

    @property
    def base_columns(self) -> int:
        """How many of :attr:`columns`, the first, are those of the base."""
        return self._held[0].size

    @property
    def currencies(self) -> list[str]:
        """The currencies products are priced in."""
        return list(dict.fromkeys(c.unit for c in self.fields.get("price", ())))

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
        number = self.in_unit(value, column.unit)
        return np.zeros(len(column.rows), bool) if number is None else np.isclose(column.numbers, number, rtol=NEAR)

    def _in_range(self, column: Column, c: Condition) -> NDArray[np.bool_]:
        limits = self.limits(c, column.unit)
        if limits is None:
            return np.zeros(len(column.rows), bool)
        hit = np.ones(len(column.rows), bool)
        for sign, limit in limits:
            hit &= _COMPARES[sign](column.numbers, limit)
        return hit

    def limits(self, c: Condition, unit: str) -> list[tuple[str, float]] | None:
        """Return the comparisons that numbers in ``unit`` have to pass, or ``None`` where none can.

        Raises:
            FilterError: a limit is not a number.
        """
        limits = []
        signs = (">=", "<=") if c.operator == ".." else (c.operator,)
        for sign, value in zip(signs, c.values, strict=True):
            if not value:
                continue
            if _NUMBER.fullmatch(value) is None:
                raise FilterError(f"{value[:40]!r} is not a number. Write `{c.field}:<100`, or with a unit.", c.position)
            limit = self.in_unit(value, unit)
            if limit is None:
                return None
            slack = abs(limit) * 1e-9
            limits.append((sign, limit - slack if sign in ("<", ">=") else limit + slack))
        return limits

    def in_unit(self, value: str, unit: str) -> float | None:
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
                for label in labels:
                    place = column.labels.find(label)
                    if place >= 0:
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
        columns = self.fields.get("price", ())
        held = {unit: sum(len(c.rows) for c in columns if c.unit == unit) for unit in self.currencies}
        common = max(held, key=lambda unit: (held[unit], unit), default="")
        for column in columns:
            if column.unit == common:
                prices[column.rows] = column.numbers
        return prices

    def groups(self) -> NDArray[np.int32]:
        """Return a number for the ``item_group_id`` of each row, int32 ``(n,)``, -1 where there is none."""
        groups = np.full(self.n, -1, np.int32)
        known: Strings | None = None
        for column in (c for c in self.fields.get("item_group_id", ()) if not c.unit):
            codes = column.codes
            if known is not None:  # of the delta: known groups keep their numbers
                places = [known.find(label) for label in column.labels]
                own = np.array([p if p >= 0 else len(known) + i for i, p in enumerate(places)], np.int32)
                codes = own[codes]
            groups[column.rows] = codes
            known = known or column.labels
        return groups

    def sort_keys(self, name: str, rows: NDArray[np.int64], position: int = 0) -> list[NDArray[np.float64]]:
        """Return sort keys of a number field for ``rows``, the most common unit first, NaN where missing.

        One array per unit: amounts in different currencies are never compared.
        """
        columns = [c for c in self.field(name, position) if c.unit]
        if not columns:
            raise FilterError(f"{name!r} holds text; sort by a number such as `price:asc`.", position)
        keys: dict[str, NDArray[np.float64]] = {}
        for column in columns:
            values = keys.setdefault(column.unit, np.full(self.n, np.nan))
            values[column.rows] = column.numbers
        return sorted((values[rows] for values in keys.values()), key=lambda k: int(np.isnan(k).sum()))


def _columns(part: Part) -> list[Column]:
    """Return the saved columns of a part."""
    folder = part.folder / "table"
    labels = Strings(folder / "labels")
    rows, codes, numbers, folded = (map_array(folder / f"{name}.npy") for name in ("rows", "codes", "numbers", "folded"))
    if part.first:
        rows = rows + np.int32(part.first)
    every = np.arange(part.size)
    columns = []
    for d in json.loads((folder / "columns.json").read_text("utf-8")):
        at, values, of = slice(*d["span"]), slice(*d["values"]), slice(*d["labels"])
        text, number = (codes[values], numbers[:0]) if not d["unit"] else (codes[:0], numbers[values])
        whole = not part.first and np.array_equal(rows[at], every)
        columns.append(Column(d["name"], d["unit"], rows[at], text, number, labels[of], whole, folded[of]))
    return columns


def matching_labels(column: Column, value: str, operator: str) -> list[int]:
    """Return the codes of the labels of a text column that are (``= !=``) or contain the words of ``value``."""
    if operator == ":":
        wanted, parts = fold(value)[0].strip(), {w.text for w in words(value)}
        return [i for i, label in enumerate(column.labels) if _contains(label, wanted, parts)]
    return [int(code) for code in column.alike(value)]


def _labelled(column: Column, value: str, operator: str) -> NDArray[np.bool_]:
    """Return which pairs of a text column have a matching label."""
    has = np.zeros(len(column.labels), bool)
    has[matching_labels(column, value, operator)] = True
    return has[column.codes]


def _contains(label: str, wanted: str, parts: Iterable[str]) -> bool:
    folded = fold(label)[0]
    return wanted in folded and set(parts) <= {w.text for w in words(label)}
