"""Whether a personal order helps who has a taste, and harms who has none or is mistaken for another.

In: an engine. Out: :class:`PersonalScores`. Shoppers are simulated: each likes some brands, colours and a level of prices, each as
much as chance has it, and has bought a few things accordingly. Then they search for a kind of product and want one hit, the
likelier the more probably it is relevant and the more they like it (a multinomial logit: McFadden, *Conditional Logit Analysis of
Qualitative Choice Behavior*, 1974). Measured is the place of that hit, neutral and personal, as its reciprocal rank: with their
own history, with somebody else's, and for shoppers who like everything the same; and what judged queries lose in relevance. How
the engine reads tastes is not what shoppers are made of: they have importances and a temperature, it has shares and half-lives.
Drawn from a seed. Knows nothing of HTTP.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.events import StoredEvent
from engine.lexicon import Lexicon
from engine.personal import Remembered
from engine.schema import Hit, Product, SearchRequest
from engine.train.catalogue import named_thing
from evals.evalsets import View
from evals.measures import DECIDING, score_queries
from evals.stats import Estimate, bootstrap_mean, paired_difference

__all__ = ["PersonalScores", "Shown", "evaluate_personal", "render"]

_DEPTH = 50
_NOW_MS = 1_700_000_000_000
_DAY_MS = 86_400_000
_LEAST = 12
_TEMPERATURE = 0.7
_TURNS = 4


@dataclass(frozen=True, slots=True)
class _Facts:
    """What simulated shoppers care for of one product."""

    product: Product
    kind: str
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
    """One kind of shopper: the reciprocal rank of what they wanted (or what the name says), neutral, personal and the difference,
    each with an interval, and the shares of needs that moved up and down."""

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
    engine: Engine,
    judged: View | None = None,
    queries: Mapping[str, str] | None = None,
    *,
    shoppers: int = 300,
    bought: int = 6,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> PersonalScores:
    """Simulate shoppers who bought so many things before, and measure; with judgements, also what ``queries`` lose in relevance
    when any of them asks.

    Raises:
        EvaluationError: the catalogue has too few categories or brands for anyone to have a taste.
    """
    facts = _facts(engine)
    by_kind: defaultdict[str, list[_Facts]] = defaultdict(list)
    for one in facts.values():
        by_kind[one.kind].append(one)
    kinds = sorted(k for k, members in by_kind.items() if k and len(members) >= _LEAST and len({m.brand for m in members}) > 2)
    if len(kinds) < 3:
        raise EvaluationError("Too few kinds of products have several brands for anyone to have a taste. Index more products.")
    chance = random.Random(seed)
    tastes = [_drawn(list(facts.values()), chance) for _ in range(shoppers)]
    plain = _Liking(frozenset(), frozenset(), 0.5, (0.0, 0.0, 0.0))
    histories = [_history(taste, kinds, by_kind, bought, chance) for taste in tastes]
    strangers = [_history(plain, kinds, by_kind, bought, chance) for _ in range(shoppers)]
    ranks: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for n, taste in enumerate(tastes):
        kind = chance.choice(kinds)
        hits = _hits(engine, kind, ())
        if len(hits) < _LEAST:
            advance()
            continue
        shown = [hit.document["id"] for hit in hits]
        likely = [hit.scores.relevance or 0.0 for hit in hits]
        wanted = _choice([facts[i] for i in shown], taste, chance, likely).product.id
        anything = _choice([facts[i] for i in shown], plain, chance, likely).product.id
        other = histories[(n + 1) % shoppers]
        cases = (
            ("own history", wanted, histories[n]),
            ("one thing bought", wanted, histories[n][:1]),
            ("somebody else's history", wanted, other),
            ("no taste", anything, strangers[n]),
        )
        for name, target, history in cases:
            own = [hit.document["id"] for hit in _hits(engine, kind, history)]
            ranks[name].append((_reciprocal(shown, target), _reciprocal(own, target)))
        advance()
    if not ranks:
        raise EvaluationError("No category's name finds enough products to choose from. Index more products.")
    rows = [_scored(name, np.array(pairs)) for name, pairs in ranks.items()]
    if judged is not None and queries:
        rows.append(_relevance(engine, judged, queries, histories))
    return PersonalScores(rows)


def _relevance(engine: Engine, judged: View, queries: Mapping[str, str], histories: Sequence[list[StoredEvent]]) -> Shown:
    """Return nDCG@10 of judged queries, asked by a stranger and by one shopper or another."""
    asked = sorted(set(queries) & set(judged.qrels))

    def scores(history_of: Callable[[int], Sequence[StoredEvent]]) -> NDArray[np.float64]:
        hits = {q: _hits(engine, queries[q], history_of(n)) for n, q in enumerate(asked)}
        return score_queries({q: [h.document["id"] for h in found] for q, found in hits.items()}, judged.qrels, 1).column(DECIDING)

    neutral = scores(lambda n: ())
    turns = [scores(partial(_of_turn, histories, turn * len(asked))) for turn in range(_TURNS)]
    return _scored("judged queries, nDCG@10", np.stack([neutral, np.mean(turns, axis=0)], axis=1))


def _of_turn(histories: Sequence[list[StoredEvent]], first: int, n: int) -> list[StoredEvent]:
    return histories[(first + n) % len(histories)]


def _scored(name: str, pairs: NDArray[np.float64]) -> Shown:
    neutral, personal = pairs[:, 0].copy(), pairs[:, 1].copy()
    better, worse = float((personal > neutral).mean()), float((personal < neutral).mean())
    gain = paired_difference(neutral, personal)
    return Shown(name, bootstrap_mean(neutral), bootstrap_mean(personal), gain, better, worse)


def _facts(engine: Engine) -> dict[str, _Facts]:
    """Return what shoppers care for of each product; the level of a price is its place among those of its kind."""
    lexicon = Lexicon.own()
    found = [(p, _kind(p, lexicon)) for p in engine.products()]
    prices: defaultdict[str, list[int]] = defaultdict(list)
    for p, kind in found:
        if p.current_price is not None:
            prices[kind].append(p.current_price.amount)
    ranked = {kind: sorted(amounts) for kind, amounts in prices.items()}
    out = {}
    for p, kind in found:
        level = 0.5
        if p.current_price is not None and len(ranked[kind]) > 1:
            level = ranked[kind].index(p.current_price.amount) / (len(ranked[kind]) - 1)
        out[p.id] = _Facts(p, kind, p.brand, str(next(iter(p.attributes.get("color", ())), "")), level)
    return out


def _kind(product: Product, lexicon: Lexicon) -> str:
    """Return what a product is: the last part but one of its category, or the thing its title names."""
    if product.category:
        return product.category[max(0, len(product.category) - 2)]
    named = named_thing(product.title, lexicon)
    return product.title[named[0].start : named[-1].end].casefold() if named else ""


def _drawn(facts: Sequence[_Facts], chance: random.Random) -> _Liking:
    """Return a shopper who likes one to three of the brands and one or two of the colours, common ones more likely."""
    brands = {chance.choice(facts).brand for _ in range(chance.randint(1, 3))} - {""}
    colors = {chance.choice(facts).color for _ in range(chance.randint(1, 2))} - {""}
    weights = (chance.uniform(0, 4), chance.uniform(0, 2), chance.uniform(0, 4))
    return _Liking(frozenset(brands), frozenset(colors), chance.random(), weights)


def _history(
    taste: _Liking, kinds: Sequence[str], by_kind: Mapping[str, Sequence[_Facts]], count: int, chance: random.Random
) -> list[StoredEvent]:
    """Return purchases of a shopper, the latest first, one in each of so many categories drawn by chance."""
    events = []
    for n in range(count):
        chosen = _choice(by_kind[chance.choice(kinds)], taste, chance)
        events.append(StoredEvent("purchase", _NOW_MS - n * 10 * _DAY_MS, user="u", products=(chosen.product.id,)))
    return events


def _choice(among: Sequence[_Facts], taste: _Liking, chance: random.Random, likely: Sequence[float] = ()) -> _Facts:
    """Return what a shopper takes: the likelier the more they like it, times how ``likely`` each is what they asked for."""
    worth = [taste.utility(facts) for facts in among]
    most = max(worth)
    weights = [math.exp((w - most) / _TEMPERATURE) for w in worth]
    return chance.choices(among, [w * p for w, p in zip(weights, likely, strict=True)] if likely else weights)[0]


def _hits(engine: Engine, query: str, history: Sequence[StoredEvent]) -> list[Hit]:
    remembered = Remembered(history, None) if history else None
    asked = SearchRequest(q=query, per_page=_DEPTH, client_id="simulated")
    return engine.remembering(lambda who: remembered, lambda: _NOW_MS).search(asked).hits


def _reciprocal(ids: Sequence[str], wanted: str) -> float:
    return 1 / (ids.index(wanted) + 1) if wanted in ids else 0.0



def render(scores: PersonalScores, console: Console) -> None:
    """Print a row for each kind of shopper."""
    table = Table(box=None, pad_edge=False)
    table.add_column("reciprocal rank of what was wanted")
    for head in ("neutral", "personal", "gain", "95 % interval", "better", "worse", "needs"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in scores.rows:
        gain = row.gain
        cells = [f"{row.neutral.mean:.3f}", f"{row.personal.mean:.3f}", f"{gain.mean:+.4f}", f"{gain.low:+.4f} to {gain.high:+.4f}"]
        table.add_row(row.name, *cells, f"{100 * row.better:.0f} %", f"{100 * row.worse:.0f} %", str(gain.n))
    console.print(table)
