"""How well recommendations foretell what is bought next.

In: orders, vectors of the products, a fit. Out: :class:`RecommendScores`: for each method Recall@20 and nDCG@20 over customers,
with intervals over customers, for everything they bought, for what they had bought before (again) and what they had not
(discovery, where only such may be recommended), for customers with few orders and for new products; coverage and novelty of
what was recommended. Every method is given the same customers, days and catalogue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.recommend import Fit, Orders, fit_model
from engine.recommend.model import AGAIN, AGAIN_HALF_LIFE_DAYS, DAY_S, LENT, NOW, Model
from engine.recommend.serving import new_places, with_new
from evals.recommending.baselines import BASELINES
from evals.recommending.splits import Split, split_at, split_days
from evals.stats import Estimate, bootstrap_mean

__all__ = ["OURS", "MethodScores", "RecommendScores", "recommend_scores", "render"]

Figures = dict[str, NDArray[np.float64]]
_K = 20
OURS = "daogou"
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
    """The figures of every method, ours first, over so many customers and days."""

    customers: int
    days: int
    products: int
    methods: list[MethodScores]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "customers": self.customers,
            "days": self.days,
            "products": self.products,
            "methods": [method.to_dict() for method in self.methods],
        }


def recommend_scores(
    orders: Orders,
    vectors: NDArray[np.float16] | NDArray[np.float32],
    *,
    days: int = 3,
    fit: Fit = Fit(),
    baselines: Mapping[str, Callable[[Split], NDArray[np.float32]]] = BASELINES,
    note: Callable[[str], None] = lambda line: None,
) -> RecommendScores:
    """Measure on the last so many splits.

    Raises:
        EvaluationError: the orders cover too little time.
    """
    found: defaultdict[str, list[Figures]] = defaultdict(list)
    spread: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    customers = 0
    for time_s in split_days(orders, days):
        split = split_at(orders, len(vectors), time_s)
        customers += len(split.people)
        share = np.bincount(split.before.product, minlength=len(vectors)) / max(1, len(split.before))
        for name, scores in _methods(split, vectors, fit, baselines):
            note(f"{len(split.people)} customers, {name}")
            figures, shown = _measured(split, scores, new_places(_K) if name == OURS else 0)
            found[name].append(figures)
            rare = -np.log2(np.maximum(share[shown], 1 / max(1, len(split.before))))
            spread[name].append((len(np.unique(shown)) / int(split.listed.sum()), float(rare.mean())))
    return RecommendScores(customers, days, len(vectors), [_summed(name, found, spread) for name in found])


def _methods(split: Split, vectors: Any, fit: Fit, baselines: Any) -> Any:
    """Yield each method's name and scores, ours first."""
    yield OURS, _ours(fit_model(split.before, vectors, split.time_s, fit), split)
    for name, method in baselines.items():
        yield name, method(split)


def _ours(model: Model, split: Split) -> NDArray[np.float32]:
    """Return the scores of :meth:`Model.parts` for every customer at once."""
    together = model.together
    n = model.size
    weights = scipy.sparse.csr_matrix((together.values, together.columns, together.starts), shape=(n, n))
    bought = split.bought.copy()
    bought.data = np.log2(1 + bought.data)
    strength = model.trend * np.maximum((bought @ weights).toarray(), 0)
    lenders = scipy.sparse.csr_matrix((model.lenders.values, model.lenders.columns, model.lenders.starts), shape=(n, n))
    lent = LENT * (1 - model.own) * np.asarray((lenders @ strength.T).T)
    again = AGAIN * model.trend * model.again * _fresh(split).toarray()
    return np.asarray(model.own * strength + lent + again + NOW * model.now, np.float32)


def _fresh(split: Split) -> scipy.sparse.csr_matrix:
    """Return the orders of each product by each customer, old ones counting less, float32 ``(q, n)``."""
    before = split.before
    mine = np.isin(before.person, split.people)
    lines, first = np.unique(np.stack([before.person[mine], before.order[mine], before.product[mine]]), axis=1, return_index=True)
    age = (split.time_s - before.time_s[mine][first]) / DAY_S
    rows = np.searchsorted(split.people, lines[0])
    return scipy.sparse.csr_matrix((0.5 ** (age / AGAIN_HALF_LIFE_DAYS), (rows, lines[2])), shape=split.bought.shape)


def _measured(split: Split, scores: NDArray[np.float32], places: int) -> tuple[Figures, NDArray[np.int64]]:
    """Return the score of every customer in every slice, NaN where a slice has nothing of them, and what was recommended."""
    targets, had = split.targets.toarray() > 0, split.bought.toarray() > 0
    figures: Figures = {}
    offered = np.where(split.listed, scores, -np.inf)
    shown = _first(offered, split, places)
    hits = np.take_along_axis(targets, shown, 1)
    counts = targets.sum(1)
    figures["all"] = _share(hits.sum(1), counts)
    figures["nDCG"] = _ndcg(hits, counts)
    again, discovered = targets & had, targets & ~had
    figures["again"] = _share(np.take_along_axis(again, shown, 1).sum(1), again.sum(1))
    figures["new"] = _share(np.take_along_axis(targets & split.cold, shown, 1).sum(1), (targets & split.cold).sum(1))
    unseen = _first(np.where(had, -np.inf, offered), split, places)
    hits = np.take_along_axis(discovered, unseen, 1)
    figures["discovery"] = _share(hits.sum(1), discovered.sum(1))
    figures["nDCG, discovery"] = _ndcg(hits, discovered.sum(1))
    cold = discovered & split.cold
    figures["new, discovery"] = _share(np.take_along_axis(cold, unseen, 1).sum(1), cold.sum(1))
    for name, of in (("0 orders", split.visits == 0), ("1 order", split.visits == 1), ("more", split.visits > 1)):
        figures[name] = np.where(of, figures["all"], np.nan)
    return figures, shown


def _first(scores: NDArray[np.float32], split: Split, places: int) -> NDArray[np.int64]:
    """Return the best of each row, ties by product, with places for new products."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, : 4 * _K]
    if not places:
        return best[:, :_K]
    return np.stack([with_new(scores[row], best[row], split.cold, _K, places) for row in range(len(scores))])


def _share(hits: NDArray[np.int64], of: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(of > 0, hits / np.maximum(of, 1), np.nan)


def _ndcg(hits: NDArray[np.bool_], of: NDArray[np.int64]) -> NDArray[np.float64]:
    discount = 1 / np.log2(np.arange(2, _K + 2))
    ideal = np.concatenate([[np.nan], np.cumsum(discount)])[np.minimum(of, _K)]
    return np.asarray((hits * discount).sum(1) / ideal)


def _summed(
    name: str, found: Mapping[str, list[Figures]], spread: Mapping[str, list[tuple[float, float]]]
) -> MethodScores:
    own = {s: np.concatenate([day[s] for day in found[name]]) for s in _SLICES}
    ours = {s: np.concatenate([day[s] for day in found[OURS]]) for s in _SLICES}
    coverage, novelty = np.mean(spread[name], axis=0)
    means = {s: bootstrap_mean(v[~np.isnan(v)], resamples=2000) for s, v in own.items() if not np.isnan(v).all()}
    ahead = {s: bootstrap_mean((ours[s] - own[s])[~np.isnan(own[s])], resamples=2000) for s in means} if name != OURS else {}
    return MethodScores(name, means, ahead, float(coverage), float(novelty))


def render(scores: RecommendScores, console: Console) -> None:
    """Print a table of means, and one of how far ours is ahead."""
    said = f"{scores.customers} next orders after {scores.days} days, {scores.products} products"
    console.print(f"{said}; Recall@{_K} where nothing else is said.")
    for slices in (_SLICES[:5], _SLICES[5:]):
        table = Table(box=None, pad_edge=False)
        table.add_column("method", no_wrap=True)
        heads = (*slices, *(("coverage", "novelty") if slices != _SLICES[:5] else ()))
        for head in heads:
            table.add_column(head, justify="right")
        for method in scores.methods:
            cells = [f"{method.means[s].mean:.4f}" if s in method.means else "–" for s in slices]
            spread = [f"{method.coverage:.3f}", f"{method.novelty:.2f}"] if slices != _SLICES[:5] else []
            table.add_row(method.name, *cells, *spread)
        console.print(table)
    for method in scores.methods[1:]:
        ahead = [(s, method.ahead[s]) for s in ("all", "discovery", "new") if s in method.ahead]
        parts = [f"{s} {a.mean:+.4f} ({a.low:+.4f} to {a.high:+.4f})" for s, a in ahead]
        console.print(f"{OURS} minus {method.name}: " + ", ".join(parts), soft_wrap=True)
