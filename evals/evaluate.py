"""Score one run on an evaluation set, from every view, and show it.

In: a :class:`~evals.run.Run` and an :class:`~evals.evalsets.EvalSet`. Out: a :class:`Report`, as plain values
(:meth:`Report.to_dict`), as tables (:func:`render`) or as one line a query (:func:`write_per_query`).
Knows nothing of how the run was made.

Every mean is over *all* judged queries; beside it stands the mean over the queries where the measure can leave 0 at
all, because "nothing suitable" is the right answer to the others and no ranking can show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.errors import EvaluationError
from evals.bounds import bounds
from evals.evalsets import EvalSet, View
from evals.lines import write_text
from evals.measures import MIN_REL, QueryScores, score_queries
from evals.run import Run
from evals.stats import RESAMPLES, Estimate, bootstrap_mean

__all__ = ["TASKS", "MeasureResult", "Report", "Task", "ViewResult", "evaluate", "render", "write_per_query"]

Task = Literal["retrieval", "ranking"]
TASKS: dict[Task, str] = {
    "retrieval": "The whole catalogue was searched.",
    "ranking": "Only the judged products of each query were put in order, so nothing says whether they would be found.",
}
"""What a run had to do."""
_NARROW = 0.0005


@dataclass(frozen=True, slots=True)
class MeasureResult:
    """One measure's mean over all judged queries, and over those where it can leave 0 (None: there are none).

    ``open`` is how low and how high the mean over all could be had every product been rated (:mod:`evals.bounds`); None
    where that is not known or nothing is open.
    """

    measure: str
    all: Estimate
    with_positives: Estimate | None
    open: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class ViewResult:
    """Everything one view says about a run.

    ``unanswered`` are judged queries without any result: they score 0. ``unjudged`` are queries, of the set or of the
    run, without any judgement: they are in no mean.
    """

    view: View
    results: tuple[MeasureResult, ...]
    scores: QueryScores
    unanswered: tuple[str, ...]
    unjudged: tuple[str, ...]

    def result(self, measure: str) -> MeasureResult:
        """Return the result of one measure by its printed name.

        Raises:
            EvaluationError: the view does not have that measure.
        """
        for result in self.results:
            if result.measure == measure:
                return result
        known = ", ".join(result.measure for result in self.results)
        raise EvaluationError(f"There is no measure {measure!r} here. Choose one of: {known}.")


@dataclass(frozen=True, slots=True)
class Report:
    """One run scored on one evaluation set. ``min_rel`` is the rating from which P, RR and R count a product; ``task``
    says whether the run searched the whole catalogue or only put each query's judged products in order."""

    evalset: EvalSet
    run: Run
    min_rel: int
    views: tuple[ViewResult, ...]
    task: Task = "retrieval"

    def view(self, name: str = "") -> ViewResult:
        """Return one view's result; an empty name is the main view.

        Raises:
            EvaluationError: the report does not have that view.
        """
        for result in self.views:
            if name in ("", result.view.name):
                return result
        known = ", ".join(result.view.name for result in self.views)
        raise EvaluationError(f"The report has no view {name!r}. Choose one of: {known}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values, per-query scores left out."""
        return {
            "evalset": self.evalset.name,
            "run": self.run.tag,
            "task": self.task,
            "min_rel": self.min_rel,
            "gains": "linear",
            "views": [_view_dict(result) for result in self.views],
        }


def evaluate(
    run: Run,
    evalset: EvalSet,
    *,
    views: Iterable[str] = (),
    min_rel: int = MIN_REL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    task: Task = "retrieval",
) -> Report:
    """Score the run from the named views, or from every view.

    Raises:
        EvaluationError: a view is unknown, has no judgements, or none that reaches ``min_rel``.
    """
    chosen = [evalset.view(name) for name in views] or list(evalset.views())
    results = tuple(_score_view(run, evalset, view, min_rel, resamples, seed) for view in chosen)
    return Report(evalset, run, min_rel, results, task)


def _score_view(run: Run, evalset: EvalSet, view: View, min_rel: int, resamples: int, seed: int) -> ViewResult:
    scores = score_queries(run.rankings, view.qrels, min_rel, view.condensed)
    results = []
    for column, measure in enumerate(scores.measures):
        values, possible = scores.values[:, column], scores.possible[:, column]
        limits = None if view.condensed else bounds(measure.name, scores.qids, run.rankings, view.qrels, min_rel)
        results.append(
            MeasureResult(
                measure.name,
                bootstrap_mean(values, resamples=resamples, seed=seed),
                bootstrap_mean(values[possible], resamples=resamples, seed=seed) if possible.any() else None,
                None if limits is None else (float(limits[:, 0].mean()), float(limits[:, 1].mean())),
            )
        )
    unanswered = tuple(qid for qid, answered in zip(scores.qids, scores.answered, strict=True) if not answered)
    unjudged = tuple(sorted((set(run.rankings) | set(evalset.queries)) - set(scores.qids)))
    return ViewResult(view, tuple(results), scores, unanswered, unjudged)


def render(report: Report, console: Console) -> None:
    """Print one table a view, with what is missing named under it."""
    console.print(
        f"[bold]{escape(report.evalset.name)}[/bold], run {escape(report.run.tag)}. {TASKS[report.task]} nDCG has linear "
        f"gains; P, RR and R count products rated {report.min_rel} or more. Intervals are 95 % bootstrap intervals over "
        "queries."
    )
    for result in report.views:
        console.print(_table(result))
        for line in _notes(result):
            console.print(f"  {escape(line)}")


def write_per_query(report: Report, path: Path) -> None:
    """Write a TSV with one line a view and judged query: its scores, how much it returned, how many are relevant.

    Raises:
        EvaluationError: the file cannot be written.
    """
    measures = [result.measure for result in report.views[0].results] if report.views else []
    lines = ["\t".join(["qid", "query", "view", *measures, "returned", "relevant"])]
    for result in report.views:
        for qid, values in zip(result.scores.qids, result.scores.values, strict=True):
            query = " ".join(report.evalset.queries.get(qid, "").split())
            relevant = sum(rating >= report.min_rel for rating in result.view.qrels[qid].values())
            returned = len(report.run.rankings.get(qid, ()))
            figures = [f"{value:.4f}" for value in values]
            lines.append("\t".join([qid, query, result.view.name, *figures, str(returned), str(relevant)]))
    write_text(path, "\n".join(lines) + "\n")


def _table(result: ViewResult) -> Table:
    note = f" ({result.view.note})" if result.view.note else ""
    table = Table(
        title=escape(f"{result.view.name}{note}"), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column("measure", no_wrap=True)
    for heading in ("all queries", "95 %", "n", "with positives", "95 %", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in result.results:
        table.add_row(row.measure, *_cells(row.all), *_cells(row.with_positives))
    return table


def _cells(estimate: Estimate | None) -> tuple[str, str, str]:
    if estimate is None:
        return "-", "-", "0"
    return f"{estimate.mean:.3f}", f"{estimate.low:.3f}-{estimate.high:.3f}", str(estimate.n)


def _notes(result: ViewResult) -> list[str]:
    total = len(result.scores.qids)
    notes = []
    for measure, possible in zip(result.scores.measures, result.scores.possible.T, strict=True):
        empty = total - int(possible.sum())
        line = f"{empty} of {total} queries have no product rated {measure.needs} or more and score 0."
        if empty and line not in notes:
            notes.append(line)
    wide = [row for row in result.results if row.open and row.open[1] - row.open[0] > _NARROW]
    if wide:
        could = ", ".join(f"{row.measure} {row.open[0]:.3f} to {row.open[1]:.3f}" for row in wide if row.open)
        notes.append(f"Were every product in the first ten rated: {could}.")
    if result.unanswered:
        notes.append(f"{len(result.unanswered)} queries returned nothing and score 0: {_some(result.unanswered)}.")
    if result.unjudged:
        notes.append(f"{len(result.unjudged)} queries have no judgement and are in no mean: {_some(result.unjudged)}.")
    return notes


def _some(qids: tuple[str, ...], most: int = 10) -> str:
    return ", ".join(qids[:most]) + (f" and {len(qids) - most} more" if len(qids) > most else "")


def _view_dict(result: ViewResult) -> dict[str, Any]:
    return {
        "view": result.view.name,
        "note": result.view.note,
        "condensed": result.view.condensed,
        "queries": len(result.scores.qids),
        "judgements": sum(len(ratings) for ratings in result.view.qrels.values()),
        "unanswered": list(result.unanswered),
        "unjudged": list(result.unjudged),
        "measures": [
            {
                "measure": row.measure,
                "all": row.all.to_dict(),
                "with_positives": row.with_positives.to_dict() if row.with_positives else None,
                "if_rated": {"low": row.open[0], "high": row.open[1]} if row.open else None,
            }
            for row in result.results
        ],
    }
