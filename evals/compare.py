"""Compare two runs query by query.

In: two runs and one view of an evaluation set. Out: a :class:`Comparison`: for each measure the mean difference with
its interval, the p value of a paired randomisation test, and who wins how many queries; and the queries that moved
most. Knows nothing of how the runs were made. Differences are always B minus A.

p values are for one measure each, not corrected for looking at five: decide by the first measure, nDCG@10.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evals.evalsets import EvalSet, View
from evals.measures import MIN_REL, QueryScores, score_queries
from evals.run import Run
from evals.stats import RESAMPLES, Estimate, holm, paired_difference, randomisation_test

__all__ = ["MAX_JUDGED_GAP", "Change", "Comparison", "MeasureComparison", "compare", "render"]

MAX_JUDGED_GAP = 0.05
"""Largest difference of Judged@10 at which two runs are taken to be comparable."""

_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class MeasureComparison:
    """One measure of both runs. ``wins`` counts the queries where B is better, ``losses`` where A is."""

    measure: str
    mean_a: float
    mean_b: float
    difference: Estimate
    p: float
    p_holm: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class Change:
    """One query's score in both runs, in the measure to decide by."""

    qid: str
    query: str
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs compared from one view. ``changes`` are the queries that moved most, largest move first.

    ``unjudged`` are queries of either run without any judgement: they are in no figure.
    """

    evalset: str
    view: View
    tag_a: str
    tag_b: str
    measures: tuple[MeasureComparison, ...]
    changes: tuple[Change, ...]
    unjudged: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON values."""
        return {
            "evalset": self.evalset,
            "view": self.view.name,
            "note": self.view.note,
            "a": self.tag_a,
            "b": self.tag_b,
            "measures": [
                {
                    "measure": row.measure,
                    "a": row.mean_a,
                    "b": row.mean_b,
                    "difference": row.difference.to_dict(),
                    "p": row.p,
                    "p_holm": row.p_holm,
                    "wins": row.wins,
                    "losses": row.losses,
                    "ties": row.ties,
                }
                for row in self.measures
            ],
            "changes": [{"qid": c.qid, "query": c.query, "a": c.a, "b": c.b} for c in self.changes],
            "unjudged": list(self.unjudged),
            "warnings": list(self.warnings),
        }


def compare(
    run_a: Run,
    run_b: Run,
    evalset: EvalSet,
    view: str = "",
    *,
    min_rel: int = MIN_REL,
    most_changes: int = 10,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare B with A on every judged query of one view; an empty view name is the main one.

    Raises:
        EvaluationError: the view is unknown, has no judgements, or none that reaches ``min_rel``.
    """
    chosen = evalset.view(view)
    a = score_queries(run_a.rankings, chosen.qrels, min_rel, chosen.condensed)
    b = score_queries(run_b.rankings, chosen.qrels, min_rel, chosen.condensed)
    measures = tuple(
        _measure(measure.name, a.values[:, column], b.values[:, column], resamples, seed)
        for column, measure in enumerate(a.measures)
    )
    adjusted = holm([row.p for row in measures])
    measures = tuple(replace(row, p_holm=p) for row, p in zip(measures, adjusted, strict=True))
    changes = _changes(a, b, evalset)[:most_changes]
    unjudged = tuple(sorted((set(run_a.rankings) | set(run_b.rankings)) - set(a.qids)))
    return Comparison(evalset.name, chosen, run_a.tag, run_b.tag, measures, changes, unjudged, _warnings(a, b, chosen))


def _measure(name: str, a: NDArray[np.float64], b: NDArray[np.float64], resamples: int, seed: int) -> MeasureComparison:
    difference = b - a
    wins, losses = int((difference > _TIE).sum()), int((difference < -_TIE).sum())
    return MeasureComparison(
        name,
        float(a.mean()),
        float(b.mean()),
        paired_difference(a, b, resamples=resamples, seed=seed),
        p := randomisation_test(a, b, resamples=resamples, seed=seed),
        p,
        wins,
        losses,
        len(difference) - wins - losses,
    )


def _changes(a: QueryScores, b: QueryScores, evalset: EvalSet) -> tuple[Change, ...]:
    changes = [
        Change(qid, evalset.queries.get(qid, ""), float(before), float(after))
        for qid, before, after in zip(a.qids, a.values[:, 0], b.values[:, 0], strict=True)
        if abs(after - before) > _TIE
    ]
    return tuple(sorted(changes, key=lambda change: (-abs(change.b - change.a), change.qid)))


def _warnings(a: QueryScores, b: QueryScores, view: View) -> tuple[str, ...]:
    warnings = []
    both = a.answered & b.answered  # a query answered with nothing says nothing about how far the judgements reach
    if both.any() and not view.condensed:
        judged_a, judged_b = (float(scores.column("Judged@10")[both].mean()) for scores in (a, b))
        if abs(judged_a - judged_b) > MAX_JUDGED_GAP:
            warnings.append(
                f"These runs are not comparable from the view {view.name!r}: Judged@10 is {judged_a:.2f} for A and "
                f"{judged_b:.2f} for B, so more of one run's results were never rated and count as wrong. "
                "Look at a condensed view or rate more products."
            )
    for name, scores in (("A", a), ("B", b)):
        if empty := int((~scores.answered).sum()):
            warnings.append(f"Run {name} returned nothing for {empty} of {len(scores.qids)} queries, which score 0.")
    return tuple(warnings)


def render(comparison: Comparison, console: Console) -> None:
    """Print the comparison: warnings first, then measures, then the queries that moved most."""
    note = f" ({comparison.view.note})" if comparison.view.note else ""
    title = f"{comparison.evalset}, view {comparison.view.name}{note}"
    console.print(escape(f"{title}. A is {comparison.tag_a}, B is {comparison.tag_b}."))
    for warning in comparison.warnings:
        console.print(f"[bold yellow]Warning:[/bold yellow] {escape(warning)}")
    if comparison.unjudged:
        console.print(f"{len(comparison.unjudged)} queries of the runs have no judgement and are in no figure.")
    console.print(_measure_table(comparison))
    if comparison.changes:
        console.print(_change_table(comparison))


def _measure_table(comparison: Comparison) -> Table:
    table = Table(title="Means over all judged queries", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("measure", no_wrap=True)
    for heading in ("A", "B", "B-A", "95 %", "p (Holm)", "won", "lost", "same"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in comparison.measures:
        low, high = f"{row.difference.low:+.3f}", f"{row.difference.high:+.3f}"
        figures = (f"{row.mean_a:.3f}", f"{row.mean_b:.3f}", f"{row.difference.mean:+.3f}", f"{low} {high}")
        table.add_row(row.measure, *figures, f"{row.p_holm:.4f}", str(row.wins), str(row.losses), str(row.ties))
    return table


def _change_table(comparison: Comparison) -> Table:
    table = Table(
        title=f"Queries that moved most, {comparison.measures[0].measure}",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("qid", no_wrap=True)
    table.add_column("query")
    for heading in ("A", "B", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    for change in comparison.changes:
        figures = (f"{change.a:.3f}", f"{change.b:.3f}", f"{change.b - change.a:+.3f}")
        table.add_row(escape(change.qid), escape(change.query), *figures)
    return table
