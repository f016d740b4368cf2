"""Differences between two groups of people, to be looked at once or every day.

In: arrays with a number for each person. Out: :class:`Difference`. Rates such as clicks per search are ratios of sums over
people who differ in how much they search; they are made into one number for each person by the delta method (Deng, Knoblich and
Lu, *Applying the Delta Method in Metric Analytics*, KDD 2018). The second interval holds at every moment at once, so that one
may stop when one likes: asymptotic confidence sequences (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, *Time-uniform central
limit theory and asymptotic confidence sequences*, Annals of Statistics 2024). Knows nothing of events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from engine.errors import EvaluationError

__all__ = ["SRM_ALARM", "Difference", "difference", "needed_people", "preference", "ratio_parts", "sequence_radius", "srm_p"]

_LEVEL = 0.95
_PLANNED = 2_000
"""People of one group at which the interval that holds always is narrowest."""
SRM_ALARM = 0.001
"""p of a deviation of the groups' sizes below which something is wrong with the assignment."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """The value of a measure in both groups, and second minus first: its interval for one look, at a time that was set before, and
    the one that holds always; ``p`` is for one look, ``p_always`` for any."""

    first: float
    second: float
    mean: float
    low: float
    high: float
    low_always: float
    high_always: float
    p: float
    p_always: float

    @property
    def relative(self) -> float:
        """The difference as a share of the first group's value, NaN where that is 0."""
        return self.mean / self.first if self.first else math.nan

    @property
    def told_apart(self) -> bool:
        """Whether the groups differ by more than chance, however often one has looked."""
        return self.low_always > 0 or self.high_always < 0

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"relative": None if math.isnan(self.relative) else self.relative, "told_apart": self.told_apart}


def ratio_parts(numerator: Values, denominator: Values) -> tuple[float, Values]:
    """Return the ratio of two sums over people, and for each person a number whose mean it is and whose spread is its spread."""
    mean = float(denominator.mean()) if len(denominator) else 0.0
    if mean == 0:
        return 0.0, np.zeros(len(numerator))
    ratio = float(numerator.mean()) / mean
    return ratio, ratio + (numerator - ratio * denominator) / mean


def difference(first: tuple[float, Values], second: tuple[float, Values]) -> Difference:
    """Return how far the second group is above the first; each is its value and what :func:`ratio_parts` gives for its people.

    Raises:
        EvaluationError: a group has fewer than two people.
    """
    (value_1, parts_1), (value_2, parts_2) = first, second
    n_1, n_2 = len(parts_1), len(parts_2)
    if min(n_1, n_2) < 2:
        raise EvaluationError(f"Groups of {n_1} and {n_2} people cannot be compared. Wait for more.")
    variance = float(parts_1.var(ddof=1)) / n_1 + float(parts_2.var(ddof=1)) / n_2
    spread, mean = math.sqrt(variance), value_2 - value_1
    once = float(stats.norm.ppf(0.5 + _LEVEL / 2)) * spread
    always = sequence_radius(min(n_1, n_2), 1 - _LEVEL) * spread * math.sqrt(min(n_1, n_2))
    p = float(2 * stats.norm.sf(abs(mean) / spread)) if spread else float(mean == 0)
    return Difference(
        value_1, value_2, mean, mean - once, mean + once, mean - always, mean + always, p, _p_always(mean, spread, min(n_1, n_2))
    )


def sequence_radius(n: int, alpha: float) -> float:
    """Return how far, in standard deviations of one value, the mean of the first ``n`` may lie from the truth if that is to hold at
    every ``n`` with probability 1 - ``alpha`` (equation 4 of the paper, its ρ chosen for :data:`_PLANNED`)."""
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / _PLANNED
    return math.sqrt(2 * (n * rho2 + 1) / (n * n * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha))


def _p_always(mean: float, spread: float, n: int) -> float:
    """Return the smallest level at which the interval that holds always leaves out 0, 1 where none does."""
    if not spread:
        return float(mean == 0)
    distance = abs(mean) / (spread * math.sqrt(n))
    low, high = math.log(1e-12), 0.0
    if distance < sequence_radius(n, 1 - 1e-9):
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if distance >= sequence_radius(n, math.exp(middle)) else (middle, high)
    return min(1.0, math.exp(high))


def srm_p(counts: list[int]) -> float:
    """Return how likely groups that were dealt equally differ in size by so much (χ² test)."""
    return float(stats.chisquare(counts).pvalue) if sum(counts) else 1.0


def needed_people(
    rate: float, relative: float, *, searches: float = 1.0, alike: float = 0.0, power: float = 0.8, always: bool = False
) -> int:
    """Return how many people each group needs to tell a relative change of a rate, such as clicks per search, with this power.

    ``searches`` is how many a person makes, one and then as chance has it (Poisson); ``alike`` is how much the outcomes of one
    person's searches agree (intraclass correlation), which makes many searches of few people tell less (Kish, *Survey Sampling*,
    1965). With ``always`` it is for the interval that holds always, looked at at the end.

    Raises:
        EvaluationError: a value makes no sense.
    """
    sensible = 0 < rate < 1 and 0 < abs(relative) < 1 and searches >= 1 and 0 <= alike < 1 and 0 < power < 1
    if not sensible or rate * (1 + relative) >= 1:
        raise EvaluationError("A power calculation needs a rate between 0 and 1, and a relative change that leaves it there.")
    other = rate * (1 + relative)
    agreeing = 1 + ((searches**2 + searches - 1) / searches - 1) * alike
    variance = (rate * (1 - rate) + other * (1 - other)) / searches * agreeing
    reach, miss = float(stats.norm.ppf(0.5 + _LEVEL / 2)), float(stats.norm.ppf(power))
    n = (reach + miss) ** 2 * variance / (rate - other) ** 2
    for _ in range(50 if always else 0):
        reach = sequence_radius(max(2, math.ceil(n)), 1 - _LEVEL) * math.sqrt(max(2, math.ceil(n)))
        n = (reach + miss) ** 2 * variance / (rate - other) ** 2
    return max(2, math.ceil(n))


def preference(first: Values, second: Values) -> Difference:
    """Return how far the picks of the second of two interleaved variants are clicked more, from -1 to 1: of each person the
    share of clicks on its picks less that on the first's, people who clicked alike counting 0."""
    total = first + second
    shares = np.where(total > 0, (second - first) / np.maximum(total, 1), 0.0)[total > 0]
    if len(shares) < 2:
        raise EvaluationError(f"{len(shares)} people clicked on interleaved answers, which is too few. Wait for more.")
    mean, spread = float(shares.mean()), float(shares.std(ddof=1)) / math.sqrt(len(shares))
    once, always = 1.959964 * spread, sequence_radius(len(shares), 1 - _LEVEL) * spread * math.sqrt(len(shares))
    p = float(2 * stats.norm.sf(abs(mean) / spread)) if spread else float(mean == 0)
    share = float((first / np.maximum(total, 1))[total > 0].mean())
    return Difference(
        share, 1 - share, mean, mean - once, mean + once, mean - always, mean + always, p, _p_always(mean, spread, len(shares))
    )
