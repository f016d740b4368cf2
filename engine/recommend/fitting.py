"""What orders tell of products: which go together, which sell now, which are bought again, and whom new ones are like.

In: :class:`~engine.recommend.orders.Orders` and unit vectors of all products. Out: :class:`~engine.recommend.model.Model`, in
closed form, the same each time. ``together`` are the weights of EASE (Steck, *Embarrassingly Shallow Autoencoders for Sparse
Data*, WWW 2019) on who bought what; what fewer than ``min_buyers`` different people bought together is left out, so that
nobody's basket can be read from it. Knows nothing of requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from engine.recommend.model import DAY_S, Model, Sparse
from engine.recommend.orders import Orders

__all__ = ["Fit", "fit_model"]

_MOST_PRODUCTS = 8_000
"""Products that may be bought together; the square of this times 8 bytes are held in memory."""
_KEPT = 200
"""Weights kept of what goes with each product."""
_BLOCK = 2_000


@dataclass(frozen=True, slots=True)
class Fit:
    """The settings of a fit, found on the orders of a gift shop and held on others (evals/LOG.md).

    ``ridge`` is EASE's λ; half-lives are in days; ``young`` and ``returning`` are orders and buyers assumed before any were seen;
    ``trend`` is how strongly what sells now counts over what sold before; ``few`` is how many orders make a product known by its
    own sales instead of by those of products like it.
    """

    ridge: float = 300.0
    now_half_life: float = 10.0
    young: float = 10.0
    returning: float = 10.0
    trend: float = 0.85
    floor: float = 0.2
    few: float = 6.0
    lenders: int = 10
    lender_orders: int = 20
    alike: float = 0.6
    min_buyers: int = 3


def fit_model(orders: Orders, vectors: NDArray[np.float16] | NDArray[np.float32], now_s: float, fit: Fit = Fit()) -> Model:
    """Return what orders before ``now_s`` tell of products whose unit vectors are ``vectors`` ``(n, d)``."""
    n = len(vectors)
    known = _counted(orders.before(now_s), n, fit.min_buyers)
    held, times, people = _held(known, n)
    count = len(times)
    sales = np.asarray(held.sum(axis=0)).ravel()
    bought, visits = _by_person(held, people)
    first = np.full(n, np.inf)
    np.minimum.at(first, known.product, known.time_s)
    share, mean = (sales / count, float(sales.mean()) / count) if count else (np.zeros(n), 0.0)
    now = _selling_now(held, times, first, now_s, mean, fit)
    trend = ((now + fit.floor * mean) / (share + fit.floor * mean)) ** fit.trend if mean else np.ones(n)
    together, support = _together(bought, fit)
    return Model(
        now_s=now_s,
        orders=count,
        together=together,
        support=support,
        now=now.astype(np.float32),
        trend=trend.astype(np.float32),
        again=_again(bought, visits, fit).astype(np.float32),
        own=(sales / (sales + fit.few)).astype(np.float32),
        lenders=_lenders(vectors, sales, fit),
        first_s=first,
        buyers=np.asarray((bought > 0).sum(axis=0)).ravel().astype(np.int32),
    )


def _counted(orders: Orders, n: int, least: int) -> Orders:
    """Return the orders without products that fewer than ``least`` different people bought; one who is not known is another each
    time."""
    who = np.where(orders.person >= 0, orders.person, -1 - orders.order)
    pairs = np.unique(np.stack([who, orders.product]), axis=1)
    return orders.where(np.bincount(pairs[1], minlength=n)[orders.product] >= least)


def _held(orders: Orders, n: int) -> tuple[scipy.sparse.csr_matrix, NDArray[np.float64], NDArray[np.int64]]:
    """Return which products each order holds, float32 ``(orders, n)`` of ones, when it was, and whose."""
    names, place = np.unique(orders.order, return_inverse=True)
    held = scipy.sparse.csr_matrix((np.ones(len(orders), np.float32), (place, orders.product)), shape=(len(names), n))
    held.sum_duplicates()
    held.data[:] = 1
    times, people = np.full(len(names), np.inf), np.full(len(names), -1, np.int64)
    np.minimum.at(times, place, orders.time_s)
    people[place] = orders.person
    return held, times, people


def _by_person(held: scipy.sparse.csr_matrix, people: NDArray[np.int64]) -> tuple[scipy.sparse.csr_matrix, NDArray[np.int64]]:
    """Return in how many orders each person bought each product, float32 ``(people, n)``, and how many orders they made."""
    named = np.flatnonzero(people >= 0)
    names, who = np.unique(people[named], return_inverse=True)
    ones = np.ones(len(named), np.float32)
    bought = scipy.sparse.csr_matrix((ones, (who, named)), shape=(len(names), held.shape[0])) @ held
    return bought.tocsr(), np.bincount(who, minlength=len(names))


def _selling_now(
    held: scipy.sparse.csr_matrix,
    times: NDArray[np.float64],
    first: NDArray[np.float64],
    now_s: float,
    mean: float,
    fit: Fit,
) -> NDArray[np.float64]:
    """Return the share of the orders since a product was first sold that hold it, recent ones counting more, float64 ``(n,)``."""
    if not len(times):
        return np.zeros(held.shape[1])
    fresh = 0.5 ** ((now_s - times) / DAY_S / fit.now_half_life)
    order = np.argsort(times, kind="stable")
    summed = np.concatenate([[0.0], np.cumsum(fresh[order])])
    since = summed[-1] - summed[np.searchsorted(times[order], first)]
    return np.asarray((held.T @ fresh + fit.young * mean) / (since + fit.young))


def _together(bought: scipy.sparse.csr_matrix, fit: Fit) -> tuple[Sparse, NDArray[np.int32]]:
    """Return the weights of what goes with what was bought, by row, and how many people bought both."""
    n = bought.shape[1]
    buyers = np.asarray((bought > 0).sum(axis=0)).ravel()
    frequent = np.flatnonzero(buyers >= fit.min_buyers)
    if len(frequent) > _MOST_PRODUCTS:
        frequent = np.sort(frequent[np.argsort(-buyers[frequent], kind="stable")[:_MOST_PRODUCTS]])
    if not len(frequent):
        return Sparse.none(n), np.empty(0, np.int32)
    has = bought[:, frequent]
    has.data = np.ones_like(has.data)
    both = (has.T @ has).toarray()
    gram = both.astype(np.float64)
    gram[np.diag_indices_from(gram)] += fit.ridge
    factor = scipy.linalg.cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
    inverse: NDArray[Any] = scipy.linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)[0]
    inverse = np.tril(inverse)
    diagonal = np.diag(inverse).copy()
    inverse += np.tril(inverse, -1).T
    return _kept(inverse, diagonal, both, frequent, n, fit.min_buyers)


def _kept(
    inverse: NDArray[np.float64],
    diagonal: NDArray[np.float64],
    both: NDArray[np.float32],
    frequent: NDArray[np.int64],
    n: int,
    min_buyers: int,
) -> tuple[Sparse, NDArray[np.int32]]:
    """Return the strongest weights for each product that they speak for, of pairs that enough people bought."""
    rows, columns, weights, support = [], [], [], []
    for column in range(len(frequent)):
        weight = inverse[:, column] / -diagonal[column]
        weight[column] = 0
        weight[both[:, column] < min_buyers] = 0
        strongest = np.argsort(-np.abs(weight), kind="stable")[:_KEPT]
        strongest = np.sort(strongest[weight[strongest] != 0])
        rows.append(strongest)
        columns.append(np.full(len(strongest), column))
        weights.append(weight[strongest])
        support.append(both[strongest, column])
    at, to = frequent[np.concatenate(rows)], frequent[np.concatenate(columns)]
    order = np.lexsort((to, at))
    starts = np.searchsorted(at[order], np.arange(n + 1))
    values = np.concatenate(weights)[order].astype(np.float32)
    return Sparse(starts.astype(np.int64), to[order].astype(np.int32), values), np.concatenate(support)[order].astype(np.int32)


def _again(bought: scipy.sparse.csr_matrix, visits: NDArray[np.int64], fit: Fit) -> NDArray[np.float64]:
    """Return how often buyers of a product who came back bought it again, against the mean, float64 ``(n,)``."""
    came_back = (visits > 1).astype(np.float64)
    chance, twice = came_back @ (bought > 0), came_back @ (bought > 1)
    rate = (twice + fit.returning * twice.sum() / max(chance.sum(), 1.0)) / (chance + fit.returning)
    return np.asarray(rate / (rate.mean() or 1.0))


def _lenders(vectors: NDArray[Any], sales: NDArray[np.float64], fit: Fit) -> Sparse:
    """Return, for each product with few sales, the known products most like it and their shares."""
    lending = np.flatnonzero(sales >= fit.lender_orders)
    new = np.flatnonzero(sales < 50 * fit.few)
    starts, columns, shares = np.zeros(len(vectors) + 1, np.int64), [], []
    lent = np.asarray(vectors[lending], np.float32)
    for start in range(0, len(new), _BLOCK) if len(lending) else ():
        block = new[start : start + _BLOCK]
        cosines = np.asarray(vectors[block], np.float32) @ lent.T
        for row, alike in zip(block.tolist(), cosines, strict=True):
            alike[lending == row] = 0
            nearest = np.argsort(-alike, kind="stable")[: fit.lenders]
            nearest = nearest[alike[nearest] >= fit.alike]
            if len(nearest):
                strength = alike[nearest].astype(np.float64) ** 2
                columns.append(lending[nearest])
                shares.append(strength / strength.sum())
                starts[row + 1] = len(nearest)
    if not columns:
        return Sparse.none(len(vectors))
    return Sparse(np.cumsum(starts), np.concatenate(columns).astype(np.int32), np.concatenate(shares).astype(np.float32))
