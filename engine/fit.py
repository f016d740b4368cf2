"""How well products fit what a query says beside its words: traits, what a thing is for, a wish for a low price.

In: a parsed query and rows. Out: what each row gains or loses, in units of the fused score. A product that says
nothing about a trait neither gains nor loses; one that says otherwise loses. Knows nothing of words or meaning.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from engine.index.codes import CodeMatch
from engine.index.table import ACCESSORY, SAID, Table
from engine.query import ParsedQuery
from engine.query.attributes import Trait
from engine.schema import Quantity

__all__ = ["Fitting"]

AGREES = 0.15
DIFFERS = -0.15
OTHER_KIND = -0.15
CHEAP = 0.15
_TOLERANCE = 0.02
_OUTSIDE = re.compile(r"(?:^|_)(?:package|pallet|master|outer|width|height|depth|thickness|diameter|box|carton)(?:_|$)")
"""Fields that measure the outside of a product or its package, which a number in a query seldom means."""


class Fitting:
    """Knows which products are accessories, and how to test a trait. Thread-safe: nothing on it changes."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._accessory = table.labelled(ACCESSORY, ("true",))
        self._prices = table.prices()

    def may_bear(self, query: ParsedQuery, code: CodeMatch, row: int) -> bool:
        """Return whether a product with a code of the query may be what is wanted: not the device an accessory is for."""
        target = query.head.target
        inside = target is not None and target[0] <= code.first and code.last <= target[1]
        return not inside or bool(self._accessory[row])

    def fit(self, query: ParsedQuery, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Return what each of ``rows`` int64 ``(m,)`` gains, float32 ``(m,)``; ``None`` when the query says nothing."""
        gain = np.zeros(len(rows), np.float32)
        for trait in query.traits:
            agrees, differs = self.judge(trait)
            gain += (AGREES * agrees[rows] + DIFFERS * (differs & ~agrees)[rows]).astype(np.float32)
        if query.head.thing is not None and not query.codes:
            gain += np.float32(OTHER_KIND) * (self._accessory[rows] != query.head.accessory)
        if query.cheap and len(rows):
            gain += np.float32(CHEAP * query.cheap) * self._low(rows)
        return gain if gain.any() else None

    def judge(self, trait: Trait) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the masks ``(n,)`` of the products that have a trait, and of those that say something else."""
        if trait.quantity is not None:
            return self._measured(trait.quantity)
        agrees = np.zeros(self._table.n, bool)
        speaks = np.zeros(self._table.n, bool)
        for field, labels in trait.fields.items():
            agrees |= self._table.labelled(field, set(labels))
            if field == trait.field:
                speaks |= self._table.having(field)
        return agrees, speaks & ~agrees

    def _measured(self, wanted: Quantity) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        agrees = np.zeros(self._table.n, bool)
        speaks = np.zeros(self._table.n, bool)
        for column in self._table.columns:
            if column.unit != wanted.unit or _OUTSIDE.search(column.name):
                continue
            near = np.isclose(column.numbers, wanted.value, rtol=_TOLERANCE, atol=0)
            agrees[column.rows[near]] = True
            if column.name == SAID:
                speaks[column.rows] = True
        return agrees, speaks & ~agrees

    def _low(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return how low the price of each row is among them: 0.5 for the lowest, -0.5 for the highest, else 0."""
        prices = self._prices[rows]
        known = ~np.isnan(prices)
        out = np.zeros(len(rows), np.float32)
        if known.sum() > 1:
            order = np.argsort(np.argsort(prices[known], kind="stable"), kind="stable")
            out[known] = 0.5 - order / (known.sum() - 1)
        return out
