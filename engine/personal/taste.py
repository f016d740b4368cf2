"""What a person likes, as far as what they did and said shows it: read from events, never stored.

In: a person's last events, stated preferences, and the columns and vectors of a snapshot. Out: a :class:`Taste`, which says of rows
how well they fit and why. A liking is how much more often a value turns up in what somebody chose than in the catalogue; it
fades with time, counts more for a purchase than for a click, and is held back while there is little to go on. Nothing is
disliked for not having been chosen. The price level is a place between the cheapest and the dearest of what is alike; what a
product costs is the same for everyone. Knows nothing of queries or of how a list is ordered.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.events import StoredEvent
from engine.index.table import Table
from engine.index.vectors import VectorIndex
from engine.shopper import Preferences

__all__ = ["Liking", "Reason", "Signal", "Taste", "Tastes"]

Signal = Literal["similar", "brand", "category", "color", "size", "price", "stated", "known"]

FIELDS: tuple[tuple[str, Signal], ...] = (("brand", "brand"), ("category", "category"), ("color", "color"), ("size", "size"))
"""Fields whose values may be liked."""
WEIGHTS: Mapping[Signal, float] = {
    "similar": 0.2, "brand": 0.5, "category": 0.2, "color": 0.3, "size": 0.3, "price": 0.5, "stated": 0.6, "known": 0.0,
}  # fmt: skip
"""What each signal can bring at most; their sum is bent so that it stays below 1."""
_AVOIDED = 2.5
"""What a value that somebody avoids takes away: more than all they like brings."""
_WORTH = {"purchase": 1.0, "cart": 0.6, "click": 0.3}
_HALF_LIFE_DAYS = 90.0
_DAY_MS = 86_400_000.0
_HELD_BACK = 1.5
"""As much as one and a half fresh purchases without any taste is assumed before anything was seen."""
_FULL_LIFT = math.log(20)
"""A value chosen twenty times as often as the catalogue has it is liked wholly."""
_NEAREST = 50
_ALIKE = 0.5
"""A cosine below which two products are not alike."""
_FEW_PRICES = 5
_ALIKE_PRICES = 40
_LEVELS = 20
"""Products like one that its price is compared with, and products of a history that are looked at for that."""


@dataclass(frozen=True, slots=True)
class Liking:
    """A value that is liked, from 0 to 1, and the row and action that show it best (-1: it was stated)."""

    strength: float
    row: int
    action: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row fits: the signal, how much of the fit it is, the value liked, and the row and action that show it."""

    signal: Signal
    share: float
    value: str
    row: int = -1
    action: str = ""


@dataclass(frozen=True, slots=True)
class Taste:
    """What a person likes.

    ``likes`` are by field and value; ``avoids`` were stated; ``price`` is a level from 0 (cheapest) to 1 and how sure that is, and
    ``stated_price`` what was said of it, where anything was;
    ``near`` are rows chosen before with their weight and action, ``vectors`` float32 ``(m, d)`` of them.
    """

    events: int = 0
    likes: Mapping[tuple[str, str], Liking] = field(default_factory=dict)
    avoids: frozenset[tuple[str, str]] = frozenset()
    price: tuple[float, float] = (0.5, 0.0)
    stated_price: str = ""
    near: Sequence[tuple[int, float, str]] = ()
    vectors: NDArray[np.float32] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to go on."""
        return not (self.likes or self.avoids or self.near or self.price[1])


class Tastes:
    """Reads tastes against one snapshot, and says how rows fit them. Thread-safe: nothing on it changes."""

    def __init__(self, table: Table, vectors: VectorIndex, row_of: Callable[[str], int | None]) -> None:
        self._vectors, self._row_of = vectors, row_of
        self._codes = {name: _Values(table, name) for name, _ in FIELDS}
        self._prices = table.prices()
        self._levels: dict[int, float] = {}

    def read(self, history: Sequence[StoredEvent], stated: Preferences | None, now_ms: int) -> Taste:
        """Return what events, the latest first, and stated preferences show."""
        chosen: dict[int, tuple[float, str]] = {}
        for event in history:
            worth = _WORTH.get(event.kind, 0.0) * 0.5 ** (max(0.0, now_ms - event.time_ms) / _DAY_MS / _HALF_LIFE_DAYS)
            row = self._row_of(event.products[0]) if worth and event.products else None
            if row is not None:
                before = chosen.get(row, (0.0, event.kind))
                chosen[row] = max(before, (worth, event.kind))
        near = sorted(((row, worth, action) for row, (worth, action) in chosen.items()), key=lambda n: (-n[1], n[0]))
        likes = self._likes(near)
        avoids: set[tuple[str, str]] = set()
        level = self._level(near)
        if stated is not None:
            likes |= {(f, label): Liking(1.0, -1, "stated") for f, label in self._said(stated.liked())}
            avoids = set(self._said(stated.avoided()))
            level = ({"low": 0.15, "middle": 0.5, "high": 0.85}[stated.price], 1.0) if stated.price else level
        said = stated.price if stated is not None else ""
        near = near[:_NEAREST]
        rows = np.array([row for row, _, _ in near], np.int64)
        counted = sum(event.kind in _WORTH for event in history)
        return Taste(counted, likes, frozenset(avoids), level, said, near, self._vectors.vectors(rows) if len(rows) else None)

    def fit(self, taste: Taste, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], list[list[Reason]]]:
        """Return how well ``rows`` int64 ``(m,)`` fit, float32 ``(m,)`` from -1 to 1, and why: that it was chosen
        before, then the weightiest reason first."""
        parts: list[list[Reason]] = [[] for _ in rows]
        self._by_likeness(taste, rows, parts)
        for name, signal in FIELDS:
            values = self._codes[name]
            if any(f == name for f, _ in (*taste.likes, *taste.avoids)):
                for place, labels in enumerate(values.of(rows)):
                    self._by_value(taste, name, signal, labels, parts[place])
        level, sure = taste.price
        if sure:
            prices = self._prices[rows]
            for place, own in enumerate(_places(prices, prices).tolist()):
                if not math.isnan(own):
                    fit = 1 - 2 * abs(own - level)
                    parts[place].append(Reason("price", WEIGHTS["price"] * sure * fit, taste.stated_price))
        fits = np.array([math.tanh(sum(r.share for r in reasons)) for reasons in parts], np.float32)
        return fits, [sorted(reasons, key=lambda r: (r.signal != "known", -r.share, r.signal)) for reasons in parts]

    def _by_likeness(self, taste: Taste, rows: NDArray[np.int64], parts: list[list[Reason]]) -> None:
        if taste.vectors is None or not len(rows):
            return
        cosines = self._vectors.vectors(rows) @ taste.vectors.T
        weights = np.array([worth for _, worth, _ in taste.near], np.float32)
        alike = np.clip((cosines - _ALIKE) / (1 - _ALIKE), 0, 1) * np.sqrt(weights / (weights.max() or 1))
        same = rows[:, None] == np.array([row for row, _, _ in taste.near])  # nobody wants a thing for being like itself
        alike[same] = 0
        for place, nearest in zip(*np.nonzero(same), strict=True):
            row, _, action = taste.near[int(nearest)]
            parts[int(place)].append(Reason("known", WEIGHTS["known"], "", row, action))
        best = alike.argmax(axis=1)
        sure = float(weights.sum() / (weights.sum() + _HELD_BACK))
        for place, nearest in enumerate(best.tolist()):
            row, _, action = taste.near[nearest]
            strength = float(alike[place, nearest])
            if strength > 0:
                parts[place].append(Reason("similar", WEIGHTS["similar"] * sure * strength, "", row, action))

    def _by_value(self, taste: Taste, name: str, signal: Signal, labels: Sequence[str], reasons: list[Reason]) -> None:
        """Add what the values of one field say of one row: the most liked of them, or one that is avoided."""
        if any((name, label) in taste.avoids for label in labels):
            reasons.append(Reason("stated", -_AVOIDED, next(v for v in labels if (name, v) in taste.avoids)))
            return
        liked = [(like.strength, label, like) for label in labels if (like := taste.likes.get((name, label)))]
        if liked:
            _, label, like = max(liked, key=lambda one: (one[0], one[1]))
            signal = "stated" if like.row < 0 else signal
            reasons.append(Reason(signal, WEIGHTS[signal] * like.strength, label, like.row, like.action))

    def _likes(self, near: Sequence[tuple[int, float, str]]) -> dict[tuple[str, str], Liking]:
        likes: dict[tuple[str, str], Liking] = {}
        for name, _ in FIELDS:
            values, seen = self._codes[name], 0.0
            weight: defaultdict[str, float] = defaultdict(float)
            shown: dict[str, tuple[float, int, str]] = {}
            for row, worth, action in near:
                labels = values.of_row(row)
                seen += worth if labels else 0.0
                for label in labels:
                    weight[label] += worth
                    shown[label] = max(shown.get(label, (0.0, row, action)), (worth, row, action))
            for label, held in weight.items():
                base = values.share(label)
                lift = (held + _HELD_BACK * base) / (seen + _HELD_BACK) / base
                if lift > 1:
                    likes[(name, label)] = Liking(min(1.0, math.log(lift) / _FULL_LIFT), *shown[label][1:])
        return likes

    def _level(self, near: Sequence[tuple[int, float, str]]) -> tuple[float, float]:
        priced = [(level, worth) for row, worth, _ in near[:_LEVELS] if not math.isnan(level := self._level_of(row))]
        total = sum(worth for _, worth in priced)
        if not total:
            return 0.5, 0.0
        mean = sum(level * worth for level, worth in priced) / total
        spread = math.sqrt(sum(worth * (level - mean) ** 2 for level, worth in priced) / total)
        # levels drawn by chance have a spread of 0.29: whoever buys at every level has none
        return mean, max(0.0, 1 - spread / 0.29) * total / (total + _HELD_BACK)

    def _level_of(self, row: int) -> float:
        """Return the place of a product's price among those most like it, NaN where there is none."""
        if row not in self._levels:
            alike = self._vectors.search(self._vectors.vectors(np.array([row]))[0], _ALIKE_PRICES).rows
            self._levels[row] = float(_places(self._prices[[row]], self._prices[alike])[0])
        return self._levels[row]

    def _said(self, wanted: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
        """Return the values of this catalogue that stated ones mean, in any writing."""
        found = []
        for name, texts in wanted.items():
            said = {text.casefold().strip() for text in texts}
            found += [(name, label) for label in self._codes[name].labels if said & _names(label)]
        return found


def _names(label: str) -> set[str]:
    """Return what a value may be called: a category by its path or its last part."""
    whole = label.casefold()
    return {whole, whole.rpartition(" > ")[2]}


class _Values:
    """The text values of one field, by row."""

    def __init__(self, table: Table, name: str) -> None:
        columns = [c for c in table.fields.get(name, ()) if not c.unit]
        numbers: dict[str, int] = {}
        numbered = [np.array([numbers.setdefault(label, len(numbers)) for label in c.labels], np.int32) for c in columns]
        self.labels: Sequence[str] = list(numbers)
        n, none = table.n, np.empty(0, np.int32)
        rows = np.concatenate([none, *(c.rows for c in columns)])
        codes = np.concatenate([none, *(number[c.codes] for number, c in zip(numbered, columns, strict=True))])
        order = np.argsort(rows, kind="stable")
        self._codes = np.asarray(codes)[order]
        self._starts = np.searchsorted(np.asarray(rows)[order], np.arange(n + 1))
        held = np.bincount(codes, minlength=len(self.labels)) if len(codes) else np.zeros(0)
        self._shares = held / max(1, len(np.unique(rows)))
        self._places = numbers

    def of_row(self, row: int) -> list[str]:
        """Return the values of a row; of categories, which hold every path from the root, the deepest alone."""
        found = [self.labels[code] for code in self._codes[self._starts[row] : self._starts[row + 1]]]
        return [v for v in found if not any(o != v and o.startswith(v + " > ") for o in found)]

    def of(self, rows: NDArray[np.int64]) -> list[list[str]]:
        """Return the values of each row."""
        return [self.of_row(int(row)) for row in rows]

    def share(self, label: str) -> float:
        """Return the share of the products with the field that have a value."""
        return float(self._shares[self._places[label]])


def _places(prices: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the middle place of each price among others, from 0 (cheapest) to 1; NaN without a price or with few others."""
    known = np.sort(among[~np.isnan(among)])
    if len(known) < _FEW_PRICES:
        return np.full(len(prices), np.nan)
    low, high = np.searchsorted(known, prices, "left"), np.searchsorted(known, prices, "right")
    return np.where(np.isnan(prices), np.nan, (low + high) / 2 / len(known))
