"""Filters as an engine elsewhere can test them: a filter in, an expression over integers and numbers out.

In: the columns of a snapshot's base. Out: what each row has to be stored with, and for a filter an expression in Milvus's
language that every row passes which passes the filter. It may let more through, where a column is not stored there, so what
is found is tested again by whoever asks. The values a shopper typed never get into it: texts are looked up and go as numbers.

A row has ``labels``, integers, one for each text it has in a stored column and one for each stored column of numbers it has a
value in, and a number field for each of those. Knows nothing of connections or vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.index.filters import And, Condition, Filter, Or
from engine.index.table import NEAR, Column, Table, matching_labels

__all__ = ["Pushdown", "StoredColumn"]

MOST_LABELS = 4_096
"""Labels a row may have; Milvus's arrays are no longer."""
_MOST_NUMBERS = 48
"""Columns of numbers that are stored; a collection may have 64 fields."""
_MOST_LISTED = 4_096
"""Labels an expression lists before it is left out."""
_NOTHING = "row < 0"


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column that is stored: the label of its first text, or of having a number, and the field of its numbers."""

    name: str
    unit: str
    first: int
    field: str


class Pushdown:
    """Which columns of a table's first part are stored elsewhere, and filters over them."""

    def __init__(self, table: Table, stored: Sequence[StoredColumn]) -> None:
        self._table = table
        self.stored = stored
        self._of = {(column.name, column.unit): column for column in stored}

    @classmethod
    def chosen(cls, table: Table) -> Pushdown:
        """Choose what is stored of a table: columns whose texts are shared by products, and the commonest of numbers that no
        product has two of."""
        held = np.zeros(table.n, np.int64)
        stored: list[StoredColumn] = []
        label, numbers = 0, 0
        for column in sorted(table.columns, key=lambda c: (-len(c.rows), c.name, c.unit)):
            single = len(column.rows) == len(np.unique(column.rows))
            if column.unit and (not single or numbers == _MOST_NUMBERS):
                continue
            if not column.unit and (column.name.startswith("_") or 2 * len(column.labels) > len(column.rows) + 2):
                continue
            more = np.bincount(column.rows, minlength=table.n)
            if int((held + more).max(initial=0)) > MOST_LABELS:
                continue
            held += more
            stored.append(StoredColumn(column.name, column.unit, label, f"n{numbers}" if column.unit else ""))
            label += 1 if column.unit else len(column.labels)
            numbers += bool(column.unit)
        return cls(table, stored)

    @classmethod
    def of_json(cls, table: Table, values: Iterable[dict[str, Any]]) -> Pushdown:
        """Return what was stored, as it was written down."""
        return cls(table, [StoredColumn(**value) for value in values])

    def fields(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return what rows ``start`` to ``stop`` are stored with."""
        rows: list[dict[str, Any]] = [{"labels": []} for _ in range(stop - start)]
        for stored in self.stored:
            column = self._column(stored)
            first, last = np.searchsorted(column.rows, (start, stop))
            at = (column.rows[first:last] - start).tolist()
            if not stored.unit:
                for place, code in zip(at, column.codes[first:last].tolist(), strict=True):
                    rows[place]["labels"].append(stored.first + code)
                continue
            for row in rows:
                row[stored.field] = 0.0
            for place, number in zip(at, column.numbers[first:last].tolist(), strict=True):
                rows[place]["labels"].append(stored.first)
                rows[place][stored.field] = number
        return rows

    def expression(self, tree: Filter | None) -> str:
        """Return what every row passes that passes the filter, ``""`` for every row."""
        return "" if tree is None else self._expression(tree, True) or ""

    def _expression(self, tree: Filter, wanted: bool) -> str | None:
        """Return what rows pass for which the filter is ``wanted``, or ``None`` where that cannot be told here."""
        if isinstance(tree, Condition):
            told = self._condition(tree)
            return told if told is None or (tree.operator != "!=") == wanted else f"not ({told})"
        if not isinstance(tree, And | Or):
            return self._expression(tree.part, not wanted)
        parts = [self._expression(part, wanted) for part in tree.parts]
        told_parts = [part for part in parts if part is not None]
        if isinstance(tree, And) == wanted:
            return " and ".join(f"({part})" for part in told_parts) or None
        return " or ".join(f"({part})" for part in told_parts) if len(told_parts) == len(parts) else None

    def _condition(self, c: Condition) -> str | None:
        """Return what exactly the rows pass that pass a condition, ``!=`` read as ``=``."""
        parts: list[str] = []
        labels: list[int] = []
        for column in self._table.columns[: self._table.base_columns]:
            ranges = c.operator in ("<", "<=", ">", ">=", "..")
            if column.name != c.field or (ranges and not column.unit):
                continue
            stored = self._of.get((column.name, column.unit))
            if stored is None:
                return None
            if not column.unit:
                labels += [stored.first + code for value in c.values for code in matching_labels(column, value, c.operator)]
                continue
            for limits in [self._table.limits(c, column.unit)] if ranges else self._equals(c, column.unit):
                if limits is not None:
                    tests = [f"{stored.field} {sign} {limit!r}" for sign, limit in limits]
                    parts.append(" and ".join([f"array_contains(labels, {stored.first})", *tests]))
        if len(labels) > _MOST_LISTED:
            return None
        if labels:
            parts.append(f"array_contains_any(labels, {sorted(labels)})")
        return " or ".join(f"({part})" for part in parts) or _NOTHING

    def _equals(self, c: Condition, unit: str) -> list[list[tuple[str, float]] | None]:
        """Return the comparisons for each value that a number may be."""
        numbers = [self._table.in_unit(value, unit) for value in c.values]
        slack = [0.0 if n is None else 1e-8 + NEAR * abs(n) for n in numbers]
        return [n if n is None else [(">=", n - s), ("<=", n + s)] for n, s in zip(numbers, slack, strict=True)]

    def _column(self, stored: StoredColumn) -> Column:
        return next(c for c in self._table.columns if (c.name, c.unit) == (stored.name, stored.unit))


def listed(rows: NDArray[np.int64]) -> str:
    """Return rows as an expression lists them."""
    return f"[{','.join(map(str, rows.tolist()))}]"
