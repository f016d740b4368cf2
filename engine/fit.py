"""How well products fit what a query says beside its words: traits, what a thing is for, a wish for a low price.

In: a parsed query and rows. Out: what each row gains or loses, in units of the fused score. A product that says
nothing about a trait neither gains nor loses; one that says otherwise loses. Knows nothing of words or meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.index.codes import CodeMatch
from engine.index.table import ACCESSORY, SAID, Column, Table
from engine.query import ParsedQuery
from engine.query.attributes import Trait
from engine.schema import Quantity

__all__ = ["Evidence", "Fitting"]

AGREES = 0.15
OTHER_KIND = 0.2
CHEAP = 0.15
_TOLERANCE = 0.02
_OUTSIDE = re.compile(r"(?:^|_)(?:package|pallet|master|outer|width|height|depth|thickness|diameter|box|carton)(?:_|$)")
"""Fields that measure the outside of a product or its package, which a number in a query seldom means."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What every product says to a query's traits, each float32 ``(n,)``.

    ``agrees`` and ``differs`` are the shares of the ``traits`` it has and contradicts; ``other`` is 1 for an accessory
    where a device is wanted, and the other way round; ``kinds`` is false where that cannot be told. ``measured`` are the
    characters of each measure with the mask ``(n,)`` of the products that have it, in whatever unit they say it.
    """

    agrees: NDArray[np.float32]
    differs: NDArray[np.float32]
    other: NDArray[np.float32]
    traits: int
    kinds: bool = True
    measured: tuple[tuple[int, int, NDArray[np.bool_]], ...] = ()

    def of(self, rows: NDArray[np.int64]) -> Evidence:
        """Return what ``rows`` int64 ``(m,)`` say; arrays that nobody asks, for want of traits or kinds, are empty."""
        agrees, differs = (self.agrees[rows], self.differs[rows]) if self.traits else (self.agrees[:0], self.differs[:0])
        return Evidence(agrees, differs, self.other[rows] if self.kinds else self.other[:0], self.traits, self.kinds)


class Fitting:
    """Knows which products are accessories, and how to test a trait. Thread-safe: nothing on it changes."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._accessory = table.labelled(ACCESSORY, ("true",))
        self.prices = table.prices()
        self._nothing = np.zeros(table.n, np.float32)
        self._device = (~self._accessory).astype(np.float32)
        self._part = self._accessory.astype(np.float32)
        self._measuring: dict[str, list[Column]] = {}
        for column in table.columns:
            if column.unit not in ("", "#") and not _OUTSIDE.search(column.name):
                self._measuring.setdefault(column.unit, []).append(column)

    def may_bear(self, query: ParsedQuery, code: CodeMatch, row: int) -> bool:
        """Return whether a product with a code of the query may be what is wanted: not the device an accessory is for."""
        target = query.head.target
        inside = target is not None and target[0] <= code.first and code.last <= target[1]
        return not inside or bool(self._accessory[row])

    def weigh(self, query: ParsedQuery) -> Evidence:
        """Return what every product says to the traits of a query."""
        traits = [t for t in query.traits if t.fields or t.quantity]
        agrees, differs = np.zeros((2, self._table.n), np.float32) if traits else (self._nothing, self._nothing)
        other, kinds = self._nothing, query.head.known and not query.codes
        measured = []
        for trait in traits:
            has, contradicts = self.judge(trait)
            if trait.quantity is not None:
                measured.append((trait.start, trait.end, has))
            agrees[has] += np.float32(1 / len(traits))
            differs[contradicts] += np.float32(1 / len(traits))
        if kinds:
            other = self._device if query.head.accessory else self._part
        return Evidence(agrees, differs, other, len(traits), kinds, tuple(measured))

    def gain(self, query: ParsedQuery, evidence: Evidence, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return what each of ``rows`` int64 ``(m,)`` gains or loses in the fused score, float32 ``(m,)``."""
        gain = np.zeros(len(rows), np.float32)
        if evidence.traits:
            gain += np.float32(AGREES * evidence.traits) * (evidence.agrees[rows] - evidence.differs[rows])
        if evidence.kinds:
            gain -= np.float32(OTHER_KIND) * evidence.other[rows]
        if query.cheap and len(rows):
            gain += np.float32(CHEAP * query.cheap) * self._low(rows)
        return gain

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
        for column in self._measuring.get(wanted.unit, ()):
            near = np.abs(column.numbers - wanted.value) <= _TOLERANCE * abs(wanted.value)
            agrees[column.rows[near]] = True
            if column.name == SAID:
                speaks[column.rows] = True
        return agrees, speaks & ~agrees

    def _low(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return how low the price of each row is among them: 0.5 for the lowest, -0.5 for the highest, else 0."""
        prices = self.prices[rows]
        known = ~np.isnan(prices)
        out = np.zeros(len(rows), np.float32)
        if known.sum() > 1:
            order = np.argsort(np.argsort(prices[known], kind="stable"), kind="stable")
            out[known] = 0.5 - order / (known.sum() - 1)
        return out
