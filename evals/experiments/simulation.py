"""Experiments whose truth is known: whether nothing is found where there is nothing, and a planted effect where there is one.

In: a rate, an effect, a number of people. Out: how often it was found, looking many times or once. Drawn from a seed, through
the same statistics as the report of a real one. Knows nothing of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evals.experiments.statistics import difference, ratio_parts, srm_p

__all__ = ["ALIKE", "Simulated", "simulate"]

_AGREEING = 20.0
ALIKE = 1 / (_AGREEING + 1)
"""How much the searches of one simulated person agree (intraclass correlation)."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Of so many experiments, how many were told apart: by the interval that holds always at any look or at the last, and by
    the one for a single look at any look (which one may not do) or at the last; and how often the sizes raised an alarm."""

    experiments: int
    people: int
    looks: int
    always_any: int
    always_last: int
    once_any: int
    once_last: int
    size_alarms: int

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def simulate(
    experiments: int, people: int, rate: float, relative: float = 0.0, *, looks: int = 20, searches: float = 3.0, seed: int = 0
) -> Simulated:
    """Return what came of experiments with so many people in each group, whose click-through is ``rate`` and, in the second, higher
    by ``relative``. People make 1 to many searches, ``searches`` on average, and differ in how much they click."""
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(("always_any", "always_last", "once_any", "once_last", "size_alarms"), 0)
    steps = np.unique(np.linspace(max(100, people / looks), people, looks).astype(int))
    for _ in range(experiments):
        groups = []
        for effect in (0.0, relative):
            asked = 1 + rng.poisson(searches - 1, people)
            own = rng.beta(_AGREEING * rate * (1 + effect), _AGREEING * (1 - rate * (1 + effect)), people)
            groups.append((rng.binomial(asked, own).astype(float), asked.astype(float)))
        found = [difference(*(ratio_parts(clicked[:n], asked[:n]) for clicked, asked in groups)) for n in steps.tolist()]
        counts["always_any"] += any(d.told_apart for d in found)
        counts["always_last"] += found[-1].told_apart
        counts["once_any"] += any(d.p < 0.05 for d in found)
        counts["once_last"] += found[-1].p < 0.05
        dealt = int(rng.binomial(2 * people, 0.5))
        counts["size_alarms"] += srm_p([dealt, 2 * people - dealt]) < 0.001
    return Simulated(experiments, people, len(steps), **counts)
