"""The purchases of an event log as orders of a catalogue, and what is learned from them put into a snapshot.

In: the log and the ids of the products, in the order of rows. Out: :class:`~engine.recommend.Orders`, and files. Only people
who allow that what they did improves the shop are in it. Knows nothing of feeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.events import EventLog
from engine.recommend import Orders
from engine.recommend.fitting import Fit, fit_model
from engine.recommend.saved import save_model
from indexer.transactions import Sale

__all__ = ["Sold", "orders_of_log", "orders_of_sales", "save_recommendations"]


@dataclass(frozen=True, slots=True)
class Sold:
    """Orders of a catalogue, and the keyed hashes of those whose they are."""

    orders: Orders
    people: frozenset[str] = frozenset()


class _Numbers:
    """Numbers names as they come."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, name: str) -> int:
        return self._known.setdefault(name, len(self._known))


def orders_of_log(log: EventLog, ids: Sequence[str]) -> Sold:
    """Return the purchases of a log; what is not in the catalogue is left out."""
    rows, people, orders = {name: row for row, name in enumerate(ids)}, _Numbers(), _Numbers()
    lines: list[tuple[int, int, int, float]] = []
    named: set[str] = set()
    for place, event in enumerate(log.read(kinds=("purchase",), purpose="improvement")):
        row = rows.get(event.products[0])
        if row is None:
            continue
        order = event.order or (f"{event.person} {event.time_ms}" if event.person else f"line {place}")
        lines.append((orders.of(order), people.of(event.person) if event.person else -1, row, event.time_ms / 1000))
        named |= {event.person} - {""}
    return Sold(_arrays(lines), frozenset(named))


def orders_of_sales(sales: Sequence[Sale], ids: Sequence[str]) -> Orders:
    """Return the orders of a file of a till."""
    rows, people, orders = {name: row for row, name in enumerate(ids)}, _Numbers(), _Numbers()
    return _arrays(
        [
            (orders.of(s.order or f"line {n}"), people.of(s.user) if s.user else -1, rows[s.product], s.time_s)
            for n, s in enumerate(sales)
            if s.product in rows
        ]
    )


def save_recommendations(orders: Orders, vectors: NDArray[np.float16], folder: Path, min_buyers: int) -> dict[str, int]:
    """Write what orders tell of the products into a snapshot's ``folder``, nothing where there are none, and return counts.

    Their last moment is taken for now, so that the same orders give the same bytes.
    """
    if not len(orders):
        return {}
    now_s = float(orders.time_s.max()) + 1
    model = fit_model(orders, vectors, now_s, replace(Fit(), min_buyers=min_buyers))
    return save_model(model, folder / "recommend")


def _arrays(lines: Sequence[tuple[int, int, int, float]]) -> Orders:
    if not lines:
        return Orders.none()
    order, person, product, time_s = zip(*lines, strict=True)
    return Orders(np.array(order, np.int64), np.array(person, np.int64), np.array(product, np.int64), np.array(time_s, np.float64))
