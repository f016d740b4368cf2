"""What a recommender has to beat: plain methods, each with the settings that did best on the months before those reported.

In: a :class:`~evals.recommending.splits.Split`. Out: scores float32 ``(q, n)`` of every product for every customer. Item-kNN is
as in Sarwar et al., *Item-based collaborative filtering recommendation algorithms*, WWW 2001, with shrinkage; EASE as in Steck,
WWW 2019. Knows nothing of measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from engine.recommend.model import DAY_S
from evals.recommending.splits import Split

__all__ = ["BASELINES", "ease_weights", "knn_weights", "popularity"]

Scores = NDArray[np.float32]


def popularity(split: Split, half_life_days: float = 0.0) -> NDArray[np.float64]:
    """Return in how many orders each product was, float64 ``(n,)``, recent ones counting more where a half-life is given."""
    before = split.before
    lines = np.unique(np.stack([before.order, before.product]), axis=1)
    times = np.full(int(lines[0].max()) + 1 if lines.size else 0, np.inf)
    np.minimum.at(times, before.order, before.time_s)
    age = (split.time_s - times[lines[0]]) / DAY_S
    weight = 0.5 ** (age / half_life_days) if half_life_days else np.ones(len(age))
    return np.bincount(lines[1], weight, minlength=split.targets.shape[1]).astype(np.float64)


def knn_weights(by: scipy.sparse.csr_matrix, shrink: float, neighbours: int) -> scipy.sparse.csr_matrix:
    """Return cosines between the columns of ``by`` ``(m, n)`` of ones, shrunk, the strongest ``neighbours`` of each column."""
    both = (by.T @ by).tocsr()
    norms = np.sqrt(both.diagonal())
    both.setdiag(0)
    both.eliminate_zeros()
    both = both.tocoo()
    values = both.data / (norms[both.row] * norms[both.col] + shrink)
    order = np.lexsort((both.row, -values, both.col))
    column = both.col[order]
    place = np.arange(len(column)) - np.searchsorted(column, column)
    kept = order[place < neighbours]
    return scipy.sparse.csr_matrix((values[kept], (both.row[kept], both.col[kept])), shape=both.shape)


def ease_weights(by: scipy.sparse.csr_matrix, ridge: float) -> NDArray[np.float64]:
    """Return EASE's weights float64 ``(n, n)`` for ``by`` ``(m, n)`` of ones; the diagonal is 0."""
    gram = (by.T @ by).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    inverse = scipy.linalg.inv(gram, overwrite_a=True, check_finite=False)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return np.asarray(weights)


def _by_person(split: Split) -> scipy.sparse.csr_matrix:
    """Return who bought what before, ones ``(people, n)``; everybody who said who they are."""
    named = split.before.where(split.before.person >= 0)
    return _ones(np.unique(named.person, return_inverse=True)[1], named.product, split.targets.shape[1])


def _by_order(split: Split) -> scipy.sparse.csr_matrix:
    return _ones(np.unique(split.before.order, return_inverse=True)[1], split.before.product, split.targets.shape[1])


def _ones(rows: NDArray[np.int64], columns: NDArray[np.int64], n: int) -> scipy.sparse.csr_matrix:
    made = scipy.sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(int(rows.max(initial=-1)) + 1, n))
    made.sum_duplicates()
    made.data[:] = 1
    return made


def _everyone(split: Split, scores: NDArray[np.float64]) -> Scores:
    return np.tile(scores.astype(np.float32), (len(split.people), 1))


def _tie_breaker(split: Split) -> NDArray[np.float64]:
    """Return popularity now, so small that it only orders what is otherwise the same."""
    now = popularity(split, 10)
    return 1e-3 * now / (now.max() or 1)


def _frequency(split: Split) -> Scores:
    return np.asarray(split.bought.toarray() + _tie_breaker(split), np.float32)


def _log(bought: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    out = bought.copy()
    out.data = np.log2(1 + out.data)
    return out


def _plus_own(split: Split, scores: NDArray[np.float64], own: float) -> Scores:
    """Add what was bought before to scores, scaled to one of their best."""
    return np.asarray(scores + own * _log(split.bought).toarray() + 1e-2 * _tie_breaker(split), np.float32)


def _knn_overall(split: Split) -> Scores:
    return _plus_own(split, (_log(split.bought) @ knn_weights(_by_order(split), 200, 300)).toarray(), 5.0)


def _knn_discovery(split: Split) -> Scores:
    return _plus_own(split, (split.bought.sign() @ knn_weights(_by_person(split), 5, 15)).toarray(), 0.0)


def _ease_overall(split: Split) -> Scores:
    return _plus_own(split, _log(split.bought) @ ease_weights(_by_person(split), 800), 0.5)


def _ease_discovery(split: Split) -> Scores:
    return _plus_own(split, _log(split.bought) @ ease_weights(_by_order(split), 100), 0.0)


BASELINES: Mapping[str, Callable[[Split], Scores]] = {
    "popularity, all time": lambda split: _everyone(split, popularity(split)),
    "popularity, half-life 10 days": lambda split: _everyone(split, popularity(split, 10)),
    "personal frequency": _frequency,
    "item-kNN, best overall": _knn_overall,
    "item-kNN, best for discovery": _knn_discovery,
    "EASE, best overall": _ease_overall,
    "EASE, best for discovery": _ease_discovery,
}
"""Every baseline by name. Those that have two have one for what is bought next, and one for what was never bought."""
