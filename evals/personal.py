"""Whether a personal order helps who has a taste, and harms who has none or is mistaken for another.

In: an engine. Out: :class:`PersonalScores`. Shoppers are simulated: each likes some brands, colours and a level of prices, each
as much as chance has it, and has bought a few things accordingly. Then they search for a kind of product and buy one hit, by its
place in the neutral order and by how much they like it (a multinomial logit: McFadden, *Conditional Logit Analysis of Qualitative
Choice Behavior*, 1974). Measured is the place of that hit, neutral and personal, as its reciprocal rank: with their own history,
with somebody else's, and for shoppers who like everything the same. How the engine reads tastes is not what shoppers are made
of: they have importances and a temperature, it has shares and half-lives. Drawn from a seed. Knows nothing of HTTP.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.events import StoredEvent
from engine.personal import Remembered
from engine.schema import Product, SearchRequest
from evals.stats import Estimate, bootstrap_mean, paired_difference

__all__ = ["PersonalScores", "Shown", "evaluate_personal"]

_DEPTH = 50
_NOW_MS = 1_700_000_000_000
_DAY_MS = 86_400_000
_PLACE = 0.7
"""How much a place further down is worth less, in utilities for each doubling."""
_LEAST = 12
_TEMPERATURE = 0.7


@dataclass(frozen=True, slots=True)
class _Facts:
    """What simulated shoppers care for of one product."""

    product: Product
    category: str
    brand: str
    color: str
    level: float


@dataclass(frozen=True, slots=True)
class _Liking:
    """A simulated shopper: liked brands and colours, the level of prices looked for, and how much each matters."""

    brands: frozenset[str]
    colors: frozenset[str]
    level: float
    weights: tuple[float, float, float]

    def utility(self, facts: _Facts) -> float:
        """Return how much a product is liked."""
        brand, color, price = self.weights
        return brand * (facts.brand in self.brands) + color * (facts.color in self.colors) - price * abs(facts.level - self.level)


@dataclass(frozen=True, slots=True)
class Shown:
    """Reciprocal ranks of what was bought for one kind of shopper: neutral, personal and their difference, each with an interval,
    and the shares of needs that moved up and down."""

    name: str
    neutral: Estimate
    personal: Estimate
    gain: Estimate
    better: float
    worse: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "name": self.name,
            "neutral": self.neutral.to_dict(),
            "personal": self.personal.to_dict(),
            "gain": self.gain.to_dict(),
            "better": self.better,
            "worse": self.worse,
        }


@dataclass(frozen=True, slots=True)
class PersonalScores:
    """The figures for each kind of shopper."""

    rows: Sequence[Shown]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {"rows": [row.to_dict() for row in self.rows]}


def evaluate_personal(
    engine: Engine, *, shoppers: int = 300, bought: int = 6, seed: int = 0, advance: Callable[[], None] = lambda: None
) -> PersonalScores:
    """Simulate shoppers who bought so many things before, and measure.

    Raises:
        EvaluationError: the catalogue has too few categories or brands for anyone to have a taste.
    """
    facts = _facts(engine.products())
    by_category: defaultdict[str, list[_Facts]] = defaultdict(list)
    for one in facts.values():
        by_category[one.category].append(one)
    kinds = sorted(c for c, members in by_category.items() if c and len({m.brand for m in members}) > 2)
    if len(kinds) < 3:
        raise EvaluationError("Too few categories have several brands for anyone to have a taste. Index more products.")
    chance = random.Random(seed)
    tastes = [_drawn(list(facts.values()), chance) for _ in range(shoppers)]
    plain = _Liking(frozenset(), frozenset(), 0.5, (0.0, 0.0, 0.0))
    histories = [_history(taste, kinds, by_category, bought, chance) for taste in tastes]
    strangers = [_history(plain, kinds, by_category, bought, chance) for _ in range(shoppers)]
    ranks: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for n, taste in enumerate(tastes):
        kind = chance.choice(kinds).rpartition(" > ")[2]
        shown = _ids(engine, kind, ())
        if len(shown) < _LEAST:
            advance()
            continue
        wanted = _choice([facts[i] for i in shown], taste, chance, True).product.id
        anything = _choice([facts[i] for i in shown], plain, chance, True).product.id
        other = histories[(n + 1) % shoppers]
        cases = (
            ("own history", wanted, histories[n]),
            ("one thing bought", wanted, histories[n][:1]),
            ("somebody else's history", wanted, other),
            ("no taste", anything, strangers[n]),
        )
        for name, target, history in cases:
            ranks[name].append((_reciprocal(shown, target), _reciprocal(_ids(engine, kind, history), target)))
        advance()
    if not ranks:
        raise EvaluationError("No category's name finds enough products to choose from. Index more products.")
    return PersonalScores([_scored(name, np.array(pairs)) for name, pairs in ranks.items()])


def _scored(name: str, pairs: np.ndarray[Any, np.dtype[np.float64]]) -> Shown:
    neutral, personal = pairs[:, 0].copy(), pairs[:, 1].copy()
    better, worse = float((personal > neutral).mean()), float((personal < neutral).mean())
    gain = paired_difference(neutral, personal)
    return Shown(name, bootstrap_mean(neutral), bootstrap_mean(personal), gain, better, worse)


def _facts(products: Any) -> dict[str, _Facts]:
    """Return what shoppers care for of each product; the level of a price is its place among those of its category."""
    found = list(products)
    prices: defaultdict[str, list[int]] = defaultdict(list)
    for p in found:
        if p.current_price is not None:
            prices[" > ".join(p.category)].append(p.current_price.amount)
    ranked = {category: sorted(amounts) for category, amounts in prices.items()}
    out = {}
    for p in found:
        category = " > ".join(p.category)
        level = 0.5
        if p.current_price is not None and len(ranked[category]) > 1:
            level = ranked[category].index(p.current_price.amount) / (len(ranked[category]) - 1)
        color = str(next(iter(p.attributes.get("color", ())), ""))
        out[p.id] = _Facts(p, category, p.brand, color, level)
    return out


def _drawn(facts: Sequence[_Facts], chance: random.Random) -> _Liking:
    """Return a shopper who likes one to three of the brands and one or two of the colours, common ones more likely."""
    brands = {chance.choice(facts).brand for _ in range(chance.randint(1, 3))} - {""}
    colors = {chance.choice(facts).color for _ in range(chance.randint(1, 2))} - {""}
    weights = (chance.uniform(0, 4), chance.uniform(0, 2), chance.uniform(0, 4))
    return _Liking(frozenset(brands), frozenset(colors), chance.random(), weights)


def _history(
    taste: _Liking, kinds: Sequence[str], by_category: Mapping[str, Sequence[_Facts]], count: int, chance: random.Random
) -> list[StoredEvent]:
    """Return purchases of a shopper, the latest first, one in each of so many categories drawn by chance."""
    events = []
    for n in range(count):
        chosen = _choice(list(by_category[chance.choice(kinds)]), taste, chance, False)
        events.append(StoredEvent("purchase", _NOW_MS - n * 10 * _DAY_MS, user="u", products=(chosen.product.id,)))
    return events


def _choice(among: Sequence[_Facts], taste: _Liking, chance: random.Random, by_place: bool) -> _Facts:
    """Return what a shopper takes: the more likely the more they like it and, ``by_place``, the further up it stands."""
    worth = [taste.utility(f) - by_place * _PLACE * math.log2(place) for place, f in enumerate(among, 1)]
    most = max(worth)
    return chance.choices(among, [math.exp((w - most) / _TEMPERATURE) for w in worth])[0]


def _ids(engine: Engine, query: str, history: Sequence[StoredEvent]) -> list[str]:
    remembered = Remembered(history, None) if history else None
    asked = SearchRequest(q=query, per_page=_DEPTH, client_id="simulated")
    return [hit.document["id"] for hit in engine.remembering(lambda who: remembered, lambda: _NOW_MS).search(asked).hits]


def _reciprocal(ids: Sequence[str], wanted: str) -> float:
    return 1 / (ids.index(wanted) + 1) if wanted in ids else 0.0

