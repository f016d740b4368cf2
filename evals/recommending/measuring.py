"""How well recommendations foretell what is bought next.

In: orders, vectors of the products, a fit. Out: :class:`RecommendScores`: for each method Recall@20 and nDCG@20 over customers,
with intervals over customers, for everything they bought, for what they had bought before (again) and what they had not
(discovery, where only such may be recommended), for customers with few orders and for new products; coverage and novelty of
what was recommended. Ours is what the recommender answers; every method is given the same customers, days and catalogue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.index.vectors import ExactVectors
from engine.recommend import Bought, Orders
from engine.recommend.fitting import Fit, fit_model
from engine.recommend.model import DAY_S
from engine.recommend.serving import Recommender, new_places, with_new
from evals.recommending.baselines import BASELINES
from evals.recommending.splits import Split, split_at, split_days
from evals.stats import Estimate, bootstrap_mean

__all__ = ["OURS", "PLACED", "MethodScores", "RecommendScores", "recommend_scores", "render"]

Figures = dict[str, NDArray[np.float64]]
Shown = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The rows int64 ``(q, 20)`` shown to each customer, -1 for none: the best, and the best that they had not bought."""
Vectors = NDArray[np.float16] | NDArray[np.float32]
Baseline = Callable[[Split], NDArray[np.float32]]
_K = 20
OURS = "daogou"
PLACED = {
    "popularity, half-life 10 days": "popularity, places for new",
    "EASE, best for discovery": "EASE, places for new",
}
"""The baselines that are also measured with as many places for new products as ours may give, taken whatever they score, for those
most like what was bought."""
_SLICES = ("all", "nDCG", "again", "discovery", "nDCG, discovery", "new", "new, discovery", "0 orders", "1 order", "more")


@dataclass(frozen=True, slots=True)
class MethodScores:
    """One method: the mean of each slice with its interval, our method minus it where it is a baseline, and the share of the
    catalogue it recommended to anybody and how unexpected that was, in bits."""

    name: str
    means: Mapping[str, Estimate]
    ahead: Mapping[str, Estimate]
    coverage: float
    novelty: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "name": self.name,
            "means": {slice_: mean.to_dict() for slice_, mean in self.means.items()},
            "ahead": {slice_: mean.to_dict() for slice_, mean in self.ahead.items()},
            "coverage": self.coverage,
            "novelty": self.novelty,
        }


@dataclass(frozen=True, slots=True)
class RecommendScores:
    """The figures of every method, ours first, over so many next orders of so many customers after so many days."""

    orders: int
    customers: int
    days: int
    products: int
    methods: list[MethodScores]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "orders": self.orders,
            "customers": self.customers,
            "days": self.days,
            "products": self.products,
            "methods": [method.to_dict() for method in self.methods],
        }


def recommend_scores(
    orders: Orders,
    vectors: Vectors,
    *,
    days: int = 3,
    fit: Fit = Fit(),
    baselines: Mapping[str, Baseline] = BASELINES,
    note: Callable[[str], None] = lambda line: None,
) -> RecommendScores:
    """Measure on the last so many splits.

    Raises:
        EvaluationError: the orders cover too little time.
    """
    found: defaultdict[str, list[Figures]] = defaultdict(list)
    spread: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    people = list[NDArray[np.int64]]()
    for time_s in split_days(orders, days):
        split = split_at(orders, len(vectors), time_s)
        people.append(split.people)
        lines = max(1, len(split.before))
        share = np.maximum(np.bincount(split.before.product, minlength=len(vectors)) / lines, 1 / lines)
        for name, shown in _methods(split, vectors, fit, baselines):
            note(f"{len(split.people)} customers, {name}")
            found[name].append(_measured(split, shown))
            offered = shown[0][shown[0] >= 0]
            spread[name].append((len(np.unique(offered)) / len(vectors), float(-np.log2(share[offered]).mean())))
    every = np.concatenate(people)
    summed = [_summed(name, found, spread, every) for name in found]
    return RecommendScores(len(every), len(np.unique(every)), days, len(vectors), summed)


def _methods(split: Split, vectors: Vectors, fit: Fit, baselines: Mapping[str, Baseline]) -> Iterator[tuple[str, Shown]]:
    """Yield what each method shows, ours first."""
    yield OURS, _ours(split, vectors, fit)
    content = _closeness(split, vectors) if PLACED.keys() & baselines.keys() else np.empty(0)
    for name, method in baselines.items():
        scores = method(split)
        yield name, _both(scores, split, 0)
        if name in PLACED:
            yield PLACED[name], _both(np.asarray(scores + 1e-6 * content, np.float32), split, new_places(_K))


def _ours(split: Split, vectors: Vectors, fit: Fit) -> Shown:
    """Return what :class:`~engine.recommend.serving.Recommender` answers each customer, as it would have on the day."""
    n = len(vectors)
    model = fit_model(split.before, vectors, split.time_s, fit)
    none = np.full(n, -1, np.int32)
    recommender = Recommender(model, ExactVectors(np.asarray(vectors, np.float16)), none, clock=lambda: split.time_s)
    every = np.ones(n, bool)
    shown = np.full((2, len(split.people), _K), -1, np.int64)
    for place, history in enumerate(_histories(split)):
        for discover in (False, True):
            rows = [pick.row for pick in recommender.recommend("for_you", [], history, _K, every, discover)]
            shown[int(discover), place, : len(rows)] = rows
    return shown[0], shown[1]


def _histories(split: Split) -> Iterator[dict[int, Bought]]:
    """Yield what each customer bought before."""
    before = split.before
    lines, first = np.unique(np.stack([before.person, before.product, before.order]), axis=1, return_index=True)
    ages = (split.time_s - before.time_s[first]) / DAY_S
    for person in split.people:
        mine = slice(*np.searchsorted(lines[0], (person, person + 1)))
        rows, starts = np.unique(lines[1, mine], return_index=True)
        yield {int(row): Bought.at(of.tolist()) for row, of in zip(rows, np.split(ages[mine], starts)[1:], strict=True)}


def _closeness(split: Split, vectors: Vectors) -> NDArray[np.float32]:
    """Return the cosines float32 ``(q, n)`` of every product to what each customer bought, or to what everybody buys."""
    of = np.asarray(vectors, np.float32)
    bought = split.bought @ of
    bought[split.visits == 0] = np.bincount(split.before.product, minlength=len(of)).astype(np.float32) @ of
    lengths = np.maximum(np.linalg.norm(bought, axis=1, keepdims=True), 1e-9)
    return np.asarray(bought / lengths @ of.T, np.float32)


def _both(scores: NDArray[np.float32], split: Split, places: int) -> Shown:
    """Return the best for each customer, and the best that they had not bought."""
    had = split.bought.toarray() > 0
    return _first(scores, split, places), _first(np.where(had, np.float32(-np.inf), scores), split, places)


def _first(scores: NDArray[np.float32], split: Split, places: int) -> NDArray[np.int64]:
    """Return the best of each row, ties by product, with places for new products."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :_K]
    if not places:
        return best
    above = scores - scores[np.isfinite(scores)].min()
    return np.stack([with_new(above[row], best[row], split.cold, _K, places, 0.0) for row in range(len(scores))])


def _measured(split: Split, shown: Shown) -> Figures:
    """Return the score of every customer in every slice, NaN where a slice has nothing of them."""
    targets, had = split.targets.toarray() > 0, split.bought.toarray() > 0
    again, discovered = targets & had, targets & ~had
    every, unseen = shown
    figures: Figures = {
        "all": _recall(targets, every),
        "nDCG": _ndcg(targets, every),
        "again": _recall(again, every),
        "new": _recall(targets & split.cold, every),
        "discovery": _recall(discovered, unseen),
        "nDCG, discovery": _ndcg(discovered, unseen),
        "new, discovery": _recall(discovered & split.cold, unseen),
    }
    for name, of in (("0 orders", split.visits == 0), ("1 order", split.visits == 1), ("more", split.visits > 1)):
        figures[name] = np.where(of, figures["all"], np.nan)
    return figures


def _hits(targets: NDArray[np.bool_], shown: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.take_along_axis(targets, shown, 1) & (shown >= 0)


def _recall(targets: NDArray[np.bool_], shown: NDArray[np.int64]) -> NDArray[np.float64]:
    of = targets.sum(1)
    return np.where(of > 0, _hits(targets, shown).sum(1) / np.maximum(of, 1), np.nan)


def _ndcg(targets: NDArray[np.bool_], shown: NDArray[np.int64]) -> NDArray[np.float64]:
    discount = 1 / np.log2(np.arange(2, _K + 2))
    ideal = np.concatenate([[np.nan], np.cumsum(discount)])[np.minimum(targets.sum(1), _K)]
    return np.asarray((_hits(targets, shown) * discount).sum(1) / ideal)


def _summed(
    name: str,
    found: Mapping[str, list[Figures]],
    spread: Mapping[str, list[tuple[float, float]]],
    people: NDArray[np.int64],
) -> MethodScores:
    """Return a method's figures, with intervals that take the days of one customer together."""
    own = {s: np.concatenate([day[s] for day in found[name]]) for s in _SLICES}
    ours = {s: np.concatenate([day[s] for day in found[OURS]]) for s in _SLICES}
    coverage, novelty = np.mean(spread[name], axis=0)
    there = {s: ~np.isnan(v) for s, v in own.items()}

    def mean(values: NDArray[np.float64], of: NDArray[np.bool_]) -> Estimate:
        return bootstrap_mean(values[of], resamples=2000, clusters=people[of])

    means = {s: mean(v, there[s]) for s, v in own.items() if there[s].any()}
    ahead = {s: mean(ours[s] - own[s], there[s]) for s in means} if name != OURS else {}
    return MethodScores(name, means, ahead, float(coverage), float(novelty))


def render(scores: RecommendScores, console: Console) -> None:
    """Print a table of means, and one of how far ours is ahead."""
    said = f"{scores.orders} next orders of {scores.customers} customers after {scores.days} days, {scores.products} products"
    console.print(f"{said}; Recall@{_K} where nothing else is said.", soft_wrap=True)
    for slices in (_SLICES[:5], _SLICES[5:], ("coverage", "novelty")):
        table = Table(box=None, pad_edge=False)
        table.add_column("method", no_wrap=True)
        for head in slices:
            table.add_column(head, justify="right", min_width=6)
        for method in scores.methods:
            told = {s: f"{mean.mean:.4f}" for s, mean in method.means.items()}
            told |= {"coverage": f"{method.coverage:.3f}", "novelty": f"{method.novelty:.2f}"}
            table.add_row(method.name, *(told.get(s, "–") for s in slices))
        console.print(table)
    for method in scores.methods[1:]:
        ahead = [(s, method.ahead[s]) for s in ("all", "discovery", "new") if s in method.ahead]
        parts = [f"{s} {a.mean:+.4f} ({a.low:+.4f} to {a.high:+.4f})" for s, a in ahead]
        console.print(f"{OURS} minus {method.name}: " + ", ".join(parts), soft_wrap=True)
