"""Means over queries with an honest width: bootstrap intervals and a paired test.

In: float arrays (q,), one score a query. Out: :class:`Estimate`, or a p value. Queries are the sampling unit: an
interval says how far the mean would move with other queries like these, not with other judges or other shops.
Knows nothing of measures, runs or files. Everything is seeded: the same scores give the same figures.

Sources: Sakai, *Evaluating Evaluation Metrics based on the Bootstrap*, SIGIR 2006 (paired bootstrap over queries);
Smucker, Allan and Carterette, *A Comparison of Statistical Significance Tests for Information Retrieval Evaluation*,
CIKM 2007 (the two-sided paired randomisation test, recommended there).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import EvaluationError

__all__ = ["RESAMPLES", "Estimate", "bootstrap_mean", "holm", "paired_difference", "randomisation_test"]

RESAMPLES = 10_000
"""Bootstrap samples, or sign patterns, drawn unless a caller says otherwise."""

_BLOCK = 4_000_000  # cells drawn at a time, so that memory does not grow with the number of queries
_EXACT_MAX = 13  # 2 ** 13 sign patterns are fewer than the 10,000 that would be drawn


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over ``n`` queries with its 95 % interval (unless made for another level)."""

    mean: float
    low: float
    high: float
    n: int

    def to_dict(self) -> dict[str, float | int]:
        """Return the four figures as plain values."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "n": self.n}


def bootstrap_mean(
    values: NDArray[np.float64],
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
    clusters: NDArray[np.int64] | None = None,
) -> Estimate:
    """Return the mean and its percentile bootstrap interval, resampling queries with replacement.

    Where ``clusters`` int64 ``(n,)`` says which values belong together, as several of one person, whole clusters are resampled
    (Cameron, Gelbach and Miller, *Review of Economics and Statistics*, 2008).

    Raises:
        EvaluationError: there is no value, a value is not finite, or the level is not between 0 and 1.
    """
    values = _checked(values, resamples)
    if not 0 < level < 1:
        raise EvaluationError(f"A confidence level of {level} is not between 0 and 1. Use 0.95.")
    of = np.arange(len(values)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    sums, counts = np.bincount(of, values), np.bincount(of).astype(np.float64)
    n = len(sums)
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, n, size=(rows, n)) for rows in _blocks(resamples, n))
    means = np.concatenate([sums[rows].sum(axis=1) / counts[rows].sum(axis=1) for rows in drawn])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def paired_difference(
    a: NDArray[np.float64], b: NDArray[np.float64], *, resamples: int = RESAMPLES, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Return the mean of ``b - a`` with its interval, both scores of a query resampled together.

    Raises:
        EvaluationError: as :func:`bootstrap_mean`, or the two do not have as many scores.
    """
    return bootstrap_mean(_difference(a, b), resamples=resamples, level=level, seed=seed)


def randomisation_test(
    a: NDArray[np.float64], b: NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = 0
) -> float:
    """Return the two-sided p value that the two systems do equally well, by flipping the sign of each difference.

    Up to 13 queries every sign pattern is counted and p is exact; above, ``resamples`` patterns are drawn and the
    observed one is counted among them, so p is never 0.

    Raises:
        EvaluationError: there is no score, a score is not finite, or the two do not have as many scores.
    """
    differences = _checked(_difference(a, b), resamples)
    n = len(differences)
    # The slack lets patterns that equal the observed one on paper count as equal after rounding.
    observed = abs(float(differences.sum())) - 1e-12 * max(1.0, float(np.abs(differences).sum()))
    if n <= _EXACT_MAX:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ differences) >= observed))
    rng = np.random.default_rng(seed)
    extreme = 0
    for rows in _blocks(resamples, n):
        signs = 2 * rng.integers(0, 2, size=(rows, n), dtype=np.int8) - 1
        extreme += int(np.count_nonzero(np.abs(signs @ differences) >= observed))
    return (1 + extreme) / (1 + resamples)


def holm(values: Sequence[float]) -> list[float]:
    """Return p values adjusted for being looked at together, by Holm's step-down procedure (1979), in the same order.

    Raises:
        EvaluationError: a value is not between 0 and 1.
    """
    if any(not 0 <= p <= 1 for p in values):
        raise EvaluationError("p values lie between 0 and 1.")
    adjusted = [0.0] * len(values)
    worst = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        worst = max(worst, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = worst
    return adjusted


def _blocks(resamples: int, n: int) -> Iterator[int]:
    step = max(1, _BLOCK // n)
    for start in range(0, resamples, step):
        yield min(step, resamples - start)


def _difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    if a.shape != b.shape:
        raise EvaluationError(f"{a.size} scores cannot be paired with {b.size}. Score both runs on the same queries.")
    return np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)


def _checked(values: NDArray[np.float64], resamples: int) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise EvaluationError("There is no score to average. Judge at least one query.")
    if not np.isfinite(values).all():
        raise EvaluationError(f"{int((~np.isfinite(values)).sum())} of {len(values)} scores are not finite numbers.")
    if resamples < 1:
        raise EvaluationError(f"{resamples} resamples cannot be drawn. Use 10000.")
    return values
