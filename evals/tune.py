"""A shop's own search weights, found by cross-validation and refused where they could be luck.

In: an engine and judged queries. Out: :class:`Tuning`. Queries are dealt into folds by their words (so that ``laptop``
and ``laptops`` fall together); the best weights of all folds but one are scored on the one left out, so every query is
scored by weights that never saw it. The gain over the settings in force must pass a paired randomisation test. Knows
nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.train.examples import fold_of
from evals.evalsets import Qrels
from evals.measures import DECIDING, score_queries
from evals.run import make_run
from evals.stats import Estimate, paired_difference, randomisation_test

__all__ = ["ALPHAS", "FEEDBACKS", "Gain", "Tuning", "tune", "weigh_gain"]

ALPHAS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FEEDBACKS = (0.0, 0.2, 0.3, 0.4)
_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean scores ``before`` and ``after`` on queries that the change had not seen, their ``gain`` with the p value of none,
    and ``kept``, whether it can be told from chance."""

    before: float
    after: float
    gain: Estimate
    p: float
    kept: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the gain as plain JSON values."""
        return {
            "measure": DECIDING,
            "before": round(self.before, 4),
            "after": round(self.after, 4),
            "gain": self.gain.to_dict(),
            "p": round(self.p, 4),
            "kept": self.kept,
        }


def weigh_gain(before: NDArray[np.float64], after: NDArray[np.float64], level: float, seed: int) -> dict[str, Any]:
    """Return the fields of :class:`Gain` for two scores of each query, by a paired randomisation test at ``level``."""
    gain, p = paired_difference(before, after, seed=seed), randomisation_test(before, after, seed=seed)
    kept = bool(gain.mean > 0 and p < level)
    return {"before": float(before.mean()), "after": float(after.mean()), "gain": gain, "p": p, "kept": kept}


@dataclass(frozen=True, slots=True)
class Tuning(Gain):
    """``settings`` are best on all queries; the gain is that of the cross-validated ones over those in force. ``chosen``
    are the best of each fold's other queries."""

    settings: Mapping[str, float]
    chosen: tuple[Mapping[str, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the tuning as plain JSON values."""
        more = {"settings": dict(self.settings), "chosen_by_fold": [dict(c) for c in self.chosen]}
        return Gain.to_dict(self) | more


def tune(
    engine: Engine,
    queries: Mapping[str, str],
    qrels: Qrels,
    *,
    folds: int = 5,
    level: float = 0.05,
    seed: int = 0,
    advance: Callable[[int], None] = lambda n: None,
) -> Tuning:
    """Return the best weights and whether their gain holds on queries they have not seen.

    Raises:
        EvaluationError: there are fewer than two folds, or fewer judged queries than folds.
    """
    judged = {qid: text for qid, text in queries.items() if any(r > 0 for r in qrels.get(qid, {}).values())}
    if folds < 2 or len(judged) < 2 * folds:
        raise EvaluationError(
            f"{len(judged)} queries with a relevant product cannot be dealt into {folds} folds. Judge more queries."
        )
    now = {"alpha": engine.settings.alpha, "feedback": engine.settings.feedback}
    others = ({"alpha": a, "feedback": f} for a, f in product(ALPHAS, FEEDBACKS))
    grid = [now, *(point for point in others if point != now)]
    table = np.empty((len(grid), len(judged)))
    for row, point in enumerate(grid):
        table[row] = _scores(engine.tuned(**point), judged, qrels)
        advance(1)
    fold = np.array([fold_of(text, folds) for text in judged.values()])
    used = [f for f in range(folds) if (fold == f).any() and (fold != f).any()]
    best = [_best(table[:, fold != f]) for f in used]
    held = np.empty(len(judged))
    for f, place in zip(used, best, strict=True):
        held[fold == f] = table[place, fold == f]
    return Tuning(
        settings=grid[_best(table)],
        chosen=tuple(grid[b] for b in best),
        **weigh_gain(table[0], held, level, seed),
    )


def _best(table: NDArray[np.float64]) -> int:
    """Return the best row; the settings in force, which come first, win ties."""
    return int(np.argmax(table.mean(axis=1).round(9)))


def _scores(engine: Engine, queries: Mapping[str, str], qrels: Qrels) -> NDArray[np.float64]:
    rankings = make_run(engine, queries, depth=_DEPTH).rankings
    scored = score_queries(rankings, {qid: qrels[qid] for qid in queries})
    values = scored.column(DECIDING)
    place = {qid: i for i, qid in enumerate(scored.qids)}
    return np.array([values[place[qid]] for qid in queries])


def toml_of(settings: Mapping[str, float | Sequence[float]]) -> str:
    """Return settings as lines of a TOML file."""
    return "".join(f"{name} = {list(v) if isinstance(v, Sequence) else v}\n" for name, v in settings.items())
