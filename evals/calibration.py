"""How well the probabilities of hits hold, and how to fit them to a shop's own judgements.

In: an engine and judged pairs. Out: a fitted :class:`~engine.match.Calibration`, and :class:`MatchReport` with
accuracy, precision, recall, F1 and calibration error at the threshold. Every query weighs the same, whether ten of its
products were judged or a hundred. Knows nothing of files.

Logistic regression by iteratively reweighted least squares (McCullagh and Nelder, *Generalized Linear Models*, 1989)
with a weak ridge; calibration error as in Guo et al., *On Calibration of Modern Neural Networks*, 2017 (ten bins).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import EvaluationError
from engine.fit import Evidence
from engine.match import Calibration
from evals.evalsets import Qrels
from evals.measures import MIN_REL

__all__ = [
    "Judged",
    "MatchReport",
    "SuitableReport",
    "auroc",
    "fit_calibration",
    "judged_signals",
    "probabilities",
    "reliability",
    "score_matching",
    "score_suitable",
]

_BINS = 10
_RIDGE = 1.0
_STEPS = 50


class Signaller(Protocol):
    """What an engine says of products, found or not, and of the likeliest of all."""

    def signals(self, q: str, product_ids: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 ``(n, 5)``."""
        ...

    def best_relevance(self, q: str) -> float:
        """Return the probability of the likeliest product."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """Judged pairs: ``signals`` float32 ``(n, 5)``, ``relevant`` bool ``(n,)`` and ``query`` int64 ``(n,)``."""

    signals: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    query: NDArray[np.int64]

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights that make every query count the same, with a mean of 1."""
        _, place, count = np.unique(self.query, return_inverse=True, return_counts=True)
        weight = 1.0 / count[place]
        return np.asarray(weight / weight.mean(), np.float64)


@dataclass(frozen=True, slots=True)
class MatchReport:
    """``accuracy`` to ``f1`` at ``threshold``; ``error`` is the expected calibration error, ``auroc`` how well relevant
    products are told from others; ``pairs`` judged pairs."""

    threshold: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    error: float
    auroc: float
    pairs: int

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: round(v, 4) if isinstance(v, float) else v for name, v in values.items()}


@dataclass(frozen=True, slots=True)
class SuitableReport:
    """Of ``served`` queries that the shop has something for, ``wrongly_refused`` are told it has nothing suitable; of
    ``missing`` ones it has nothing for, ``rightly_refused`` are. ``auroc`` is how well the two are told apart."""

    auroc: float
    served: int
    wrongly_refused: int
    missing: int
    rightly_refused: int

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {"auroc": round(self.auroc, 4)}


def score_suitable(
    engine: Signaller,
    queries: Mapping[str, str],
    qrels: Qrels,
    limit: float,
    min_rel: int = MIN_REL,
    hopeless: Sequence[str] = (),
) -> SuitableReport:
    """Return how well the likeliest product's probability tells needs the shop can meet from those it cannot.

    Served are queries with a product rated ``min_rel`` or more, missing those with none rated 1 or more, and ``hopeless``.
    """
    best = {qid: engine.best_relevance(text) for qid, text in queries.items() if qid in qrels}
    served = [p for qid, p in best.items() if any(r >= min_rel for r in qrels[qid].values())]
    missing = [p for qid, p in best.items() if not any(r >= 1 for r in qrels[qid].values())]
    missing += [engine.best_relevance(q) for q in hopeless]
    refused = (sum(p < limit for p in served), sum(p < limit for p in missing))
    return SuitableReport(auroc(served, missing), len(served), refused[0], len(missing), refused[1])


def judged_signals(
    engine: Signaller, queries: Mapping[str, str], qrels: Qrels, min_rel: int, known: frozenset[str]
) -> Judged:
    """Return the signals of every judged pair whose product is ``known`` to the engine.

    Raises:
        EvaluationError: there is no such pair.
    """
    signals, relevant, query = [], [], []
    for number, (qid, text) in enumerate(queries.items()):
        rated = {i: r for i, r in qrels.get(qid, {}).items() if i in known}
        if rated:
            signals.append(engine.signals(text, list(rated)))
            relevant += [rating >= min_rel for rating in rated.values()]
            query += [number] * len(rated)
    if not signals:
        raise EvaluationError("None of the judged products is in this snapshot. Index the catalogue that was judged.")
    return Judged(np.concatenate(signals), np.array(relevant, bool), np.array(query, np.int64))


def fit_calibration(judged: Judged) -> Calibration:
    """Return the calibration that fits the judgements best.

    Raises:
        EvaluationError: all pairs are relevant, or none is.
    """
    if judged.relevant.all() or not judged.relevant.any():
        raise EvaluationError("A calibration needs relevant and irrelevant pairs; all of these are the same.")
    x = np.column_stack([np.ones(len(judged.signals)), judged.signals]).astype(np.float64)
    y, w = judged.relevant.astype(np.float64), judged.weights
    ridge = _RIDGE * np.diag([0.0, *[1.0] * (x.shape[1] - 1)])
    beta = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-x @ beta))
        slope = x.T @ (w * (y - p)) - ridge @ beta
        curve = (x * (w * p * (1 - p))[:, None]).T @ x + ridge
        step = np.linalg.solve(curve, slope)
        beta += step
        if float(np.abs(step).max()) < 1e-8:
            break
    return Calibration(*(round(float(b), 3) for b in beta))


def probabilities(calibration: Calibration, signals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability of each row of signals ``(n, 5)``."""
    near, coverage, agrees, differs, other = signals.T
    return calibration.probability(near, coverage, Evidence(agrees, differs, other, 1))


def score_matching(calibration: Calibration, judged: Judged, threshold: float) -> MatchReport:
    """Return how well a calibration predicts judgements it need not have been fitted on."""
    p, y, w = probabilities(calibration, judged.signals), judged.relevant, judged.weights
    found = p >= threshold
    hit = float(w[found & y].sum())
    precision = hit / float(w[found].sum()) if found.any() else 0.0
    recall = hit / float(w[y].sum()) if y.any() else 0.0
    gaps = [share * abs(said - true) for said, true, share in reliability(calibration, judged)]
    return MatchReport(
        threshold=threshold,
        accuracy=float(np.average(found == y, weights=w)),
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        error=sum(gaps),
        auroc=auroc(p[y], p[~y]),
        pairs=len(y),
    )


def reliability(calibration: Calibration, judged: Judged) -> list[tuple[float, float, float]]:
    """Return, for each tenth of the probabilities with a pair in it, the mean probability said, the share that is relevant,
    and the share of all pairs."""
    p, y, w = probabilities(calibration, judged.signals), judged.relevant, judged.weights
    bins = np.minimum((p * _BINS).astype(int), _BINS - 1)
    inside = [bins == b for b in range(_BINS) if (bins == b).any()]
    return [
        (float(np.average(p[m], weights=w[m])), float(np.average(y[m], weights=w[m])), float(w[m].sum() / w.sum()))
        for m in inside
    ]


def auroc(positive: Sequence[float] | NDArray[np.float32], negative: Sequence[float] | NDArray[np.float32]) -> float:
    """Return the probability that a positive scores above a negative, ties counting half; 0.5 where one is missing."""
    pos, neg = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    if not len(pos) or not len(neg):
        return 0.5
    order = np.sort(neg)
    below = np.searchsorted(order, pos, "left")
    level = np.searchsorted(order, pos, "right") - below
    return float((below + level / 2).mean() / len(neg))
