"""Orders split by time: what was bought before a day, and what each customer bought next.

In: :class:`~engine.recommend.Orders`. Out: :class:`Split`. The targets of a customer are the products of their first order in the
thirty days after the day. All products are listed on every day, as nothing tells when a shop began to list what it had not yet
sold. Knows nothing of recommenders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from engine.errors import EvaluationError
from engine.recommend import Orders
from engine.recommend.model import DAY_S

__all__ = ["COLD_DAYS", "Split", "split_at", "split_days"]

COLD_DAYS = 30
_WINDOW_DAYS = 30


@dataclass(frozen=True, slots=True)
class Split:
    """One day. ``people`` int64 ``(q,)`` ordered after it; ``targets``, ``bought`` (in how many orders before) float32 ``(q,
    n)`` are sparse; ``visits`` int64 ``(q,)`` are their orders before; ``cold`` bool ``(n,)`` are the products that were first
    sold in the days before, or never."""

    time_s: float
    before: Orders
    people: NDArray[np.int64]
    targets: scipy.sparse.csr_matrix
    bought: scipy.sparse.csr_matrix
    visits: NDArray[np.int64]
    cold: NDArray[np.bool_]


def split_days(orders: Orders, count: int = 3) -> list[float]:
    """Return the last so many days, thirty apart, after which thirty days of orders follow.

    Raises:
        EvaluationError: the orders cover too little time for it.
    """
    if not len(orders):
        raise EvaluationError("No order names a product of the catalogue. Index the catalogue they are of, and name its --store.")
    last = float(orders.time_s.max())
    days = [last - _WINDOW_DAYS * DAY_S * n for n in range(count, 0, -1)]
    if days[0] <= float(orders.time_s.min()) + _WINDOW_DAYS * DAY_S:
        least = _WINDOW_DAYS * (count + 1)
        raise EvaluationError(f"{count} splits need orders of at least {least} days. Give more orders, or fewer splits.")
    return days


def split_at(orders: Orders, n: int, time_s: float) -> Split:
    """Return the split of a day over a catalogue of ``n`` products."""
    before = orders.before(time_s)
    after = orders.where((orders.time_s >= time_s) & (orders.time_s < time_s + _WINDOW_DAYS * DAY_S))
    known = after.where(after.person >= 0)
    by_time = np.lexsort((known.order, known.time_s))
    people, first_line = np.unique(known.person[by_time], return_index=True)
    next_order = known.order[by_time][first_line]
    of_next = np.isin(known.order, next_order)
    targets = _matrix(np.searchsorted(people, known.person[of_next]), known.product[of_next], (len(people), n))
    targets.data[:] = 1
    mine = np.isin(before.person, people)
    lines = np.unique(np.stack([before.person[mine], before.order[mine], before.product[mine]]), axis=1)
    bought = _matrix(np.searchsorted(people, lines[0]), lines[2], (len(people), n))
    orders_of = np.unique(lines[:2], axis=1)[0]
    visits = np.bincount(np.searchsorted(people, orders_of), minlength=len(people))
    first = np.full(n, np.inf)
    np.minimum.at(first, orders.product, orders.time_s)
    return Split(time_s, before, people, targets, bought, visits, first >= time_s - COLD_DAYS * DAY_S)


def _matrix(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> scipy.sparse.csr_matrix:
    made = scipy.sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    made.sum_duplicates()
    return made
