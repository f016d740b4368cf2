"""The people of an experiment and what they did, from the event log.

In: the log and the name of an experiment. Out: :class:`Arm` for each variant, one number of each kind for each person; and, for an
interleaved one, :class:`Duel`. A click belongs to the search it names. A purchase belongs to whoever had searched before it,
within a week of their last search; its worth is its price times its quantity. Only people who allow that what they do improves
the shop are counted. Knows nothing of statistics.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.errors import EvaluationError
from engine.events import EventLog, StoredEvent

__all__ = ["Arm", "Duel", "Exposed", "read_exposed"]

_LASTS_MS = 7 * 86_400_000
_DRAFTED = "interleaved:"


@dataclass(slots=True)
class Arm:
    """The people who got one variant, one value of each array for each: ``searches``, ``clicked`` searches, ``orders`` (bought
    something, 0 or 1), ``revenue`` in minor units, and the number and sum of ``ratings``; all float64 ``(n,)``."""

    name: str
    searches: NDArray[np.float64]
    clicked: NDArray[np.float64]
    orders: NDArray[np.float64]
    revenue: NDArray[np.float64]
    rated: NDArray[np.float64]
    ratings: NDArray[np.float64]

    @property
    def people(self) -> int:
        """How many people there are."""
        return len(self.searches)


@dataclass(frozen=True, slots=True)
class Duel:
    """Interleaved answers: for each person the clicks on picks of the first and of the second variant, float64 ``(n,)``."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exposed:
    """Everything an experiment is judged by. ``crossed`` counts people who met several variants, who are left out; ``currency`` is
    that of revenue, where there is one, and ``other_money`` counts purchases in others or without a price."""

    arms: list[Arm]
    duel: Duel | None
    crossed: int
    nobody: int
    currency: str
    other_money: int


@dataclass(slots=True)
class _Person:
    variants: set[str] = field(default_factory=set)
    searches: dict[str, bool] = field(default_factory=dict)
    last_ms: int = 0
    orders: float = 0.0
    revenue: float = 0.0
    rated: float = 0.0
    ratings: float = 0.0
    teams: dict[str, dict[str, str]] = field(default_factory=dict)
    won: dict[str, set[str]] = field(default_factory=lambda: {"a": set(), "b": set()})


def read_exposed(log: EventLog, name: str, since_ms: int = 0) -> Exposed:
    """Return who took part and what they did.

    Raises:
        EvaluationError: nobody took part.
    """
    people: defaultdict[str, _Person] = defaultdict(_Person)
    searcher: dict[str, str] = {}
    money: defaultdict[str, int] = defaultdict(int)
    purchases: list[tuple[str, StoredEvent]] = []
    nobody = 0
    for event in log.read(since_ms=since_ms, purpose="improvement"):
        if event.kind == "search":
            variant = dict(event.variants).get(name, "")
            if variant and not event.person:
                nobody += 1
            elif variant:
                searcher[event.query_id] = event.person
                _search(people[event.person], event, variant)
            continue
        whose = searcher.get(event.query_id, "") or (event.person if event.person in people else "")
        if not whose:
            continue
        _done(people[whose], event)
        if event.kind == "purchase" and 0 <= event.time_ms - people[whose].last_ms <= _LASTS_MS:
            people[whose].orders = 1.0
            purchases.append((whose, event))
            money[event.value.currency if event.value else ""] += 1
    if not people:
        raise EvaluationError(f"Nobody took part in {name!r}. Check its name, and that searches say who asks (`client_id`).")
    currency = max((c for c in money if c), key=lambda c: (money[c], c), default="")
    for whose, event in purchases:
        if event.value and event.value.currency == currency:
            people[whose].revenue += event.value.amount * max(1, event.quantity)
    once = [p for p in people.values() if len(p.variants) == 1]
    names = sorted({variant for p in once for variant in p.variants})
    drafted = [p for p in once if p.teams]
    return Exposed(
        arms=[_arm(n, [p for p in once if n in p.variants]) for n in names if n != _DRAFTED],
        duel=_duel(drafted) if drafted else None,
        crossed=len(people) - len(once),
        nobody=nobody,
        currency=currency,
        other_money=sum(n for c, n in money.items() if c != currency),
    )


def _search(person: _Person, event: StoredEvent, variant: str) -> None:
    teams = variant.removeprefix(_DRAFTED)
    if teams != variant:
        person.variants.add(_DRAFTED)
        person.teams[event.query_id] = dict(zip(event.products, teams, strict=False))
    else:
        person.variants.add(variant)
    person.searches.setdefault(event.query_id, False)
    person.last_ms = max(person.last_ms, event.time_ms)


def _done(person: _Person, event: StoredEvent) -> None:
    if event.kind == "click" and event.query_id in person.searches:
        person.searches[event.query_id] = True
        team = person.teams.get(event.query_id, {}).get(event.products[0], "")
        if team:
            person.won[team].add(f"{event.query_id} {event.products[0]}")
    elif event.kind == "feedback":
        person.rated += 1
        person.ratings += event.rating


def _arm(name: str, people: list[_Person]) -> Arm:
    def column(values: Mapping[int, float] | list[float]) -> NDArray[np.float64]:
        return np.array(values, np.float64)

    return Arm(
        name,
        searches=column([float(len(p.searches)) for p in people]),
        clicked=column([float(sum(p.searches.values())) for p in people]),
        orders=column([p.orders for p in people]),
        revenue=column([p.revenue for p in people]),
        rated=column([p.rated for p in people]),
        ratings=column([p.ratings for p in people]),
    )


def _duel(people: list[_Person]) -> Duel:
    first = np.array([len(p.won["a"]) for p in people], np.float64)
    second = np.array([len(p.won["b"]) for p in people], np.float64)
    return Duel(first, second)
