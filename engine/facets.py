"""Counts over the match set: which values its products have, and which filter narrows to them.

In: the table and the mask of the match set. Out: values of :class:`~engine.schema.Facet`. For a single-valued field the
counts, ``other`` and ``missing`` add up to the total. Knows nothing of how the set was found.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.index.filters import quote
from engine.index.table import Column, Table

__all__ = ["count_facets", "filterable"]

_FIRST = ("category", "price", "brand", "availability", "color", "size", "material", "gender")
_NEVER = frozenset({"id", "gtin", "mpn", "item_group_id", "currency", "in_stock", "on_sale"})
_MOST = 9
_LONGEST_LABEL = 40


def count_facets(table: Table, mask: NDArray[np.bool_], names: str, most_values: int) -> list[dict[str, Any]]:
    """Return the facets named in ``names``; ``*`` stands for those that split this match set usefully.

    Raises:
        FilterError: a name is no field.
    """
    asked = [name.strip() for name in names.split(",") if name.strip()]
    chosen = list(dict.fromkeys(f for name in asked for f in (_useful(table, mask) if name == "*" else [name])))
    found = int(np.count_nonzero(mask))
    return [_facet(name, table.field(name), mask, found, most_values) for name in chosen]


def filterable(table: Table, most: int) -> list[str]:
    """Return the fields that filters may name, those that most products have first, at most so many."""
    held = {name: max(len(column.rows) for column in columns) for name, columns in table.fields.items() if name[0] != "_"}
    return sorted(held, key=lambda name: (name not in _FIRST, -held[name], name))[:most]


def _facet(name: str, columns: list[Column], mask: NDArray[np.bool_], found: int, most: int) -> dict[str, Any]:
    said: Counter[str] = Counter()
    spans: dict[str, tuple[float, float, int]] = {}
    having = np.zeros(len(mask), bool)
    for column in columns:
        hit = column.cells(mask)
        having[column.rows[hit]] = True
        if not column.unit:
            per_label = np.bincount(column.codes[hit], minlength=len(column.labels))
            said.update({column.labels[i]: int(per_label[i]) for i in np.flatnonzero(per_label).tolist()})
        elif hit.size:
            numbers = column.numbers[hit]
            low, high, n = spans.get(column.unit, (np.inf, -np.inf, 0))
            spans[column.unit] = min(low, float(numbers.min())), max(high, float(numbers.max())), n + len(numbers)
    counts = sorted(said.items(), key=lambda c: (-c[1], c[0]))
    stats = [{"unit": u.strip("#"), "min": low, "max": high, "count": n} for u, (low, high, n) in spans.items()]
    head = [{"value": v, "count": c, "filter": f"{quote_field(name)}:={quote(v)}"} for v, c in counts[:most]]
    other = sum(c for _, c in counts[most:])
    missing = found - int(np.count_nonzero(having))
    return {"field": name, "counts": head, "stats": stats, "other": other, "missing": missing}


def quote_field(name: str) -> str:
    """Return a field name as it must be written in a filter."""
    plain = name.replace("_", "a").replace("-", "a").replace(".", "a")
    return name if plain.isalnum() and not name[0].isdigit() else "`" + name.replace("`", "``") + "`"


def _useful(table: Table, mask: NDArray[np.bool_]) -> list[str]:
    """Return the fields that most products of the set have and that tell them apart, the familiar ones first."""
    found = int(np.count_nonzero(mask))
    if not found:
        return []
    counts = table.having_columns(mask)
    common = [i for i in np.argsort(-counts, kind="stable")[:40] if counts[i] >= max(2, found // 5)]
    names = [table.columns[i].name for i in common if _splits(table.columns[i], mask)]
    first = [n for n in _FIRST if n in names]
    return first + [n for n in dict.fromkeys(names) if n not in first and n not in _NEVER and n[0] != "_"][: _MOST - len(first)]


def _splits(column: Column, mask: NDArray[np.bool_]) -> bool:
    if column.unit:
        return column.name == "price"
    present = np.unique(column.codes[column.cells(mask)])
    if not 2 <= len(present) <= 60 + 40 * (column.name in _FIRST):
        return column.name in _FIRST and len(present) > 1
    return sum(len(column.labels[i]) for i in present[:20].tolist()) <= _LONGEST_LABEL * min(len(present), 20)
