"""The report of an experiment: what each group did, how far the groups differ, and whether the assignment can be trusted.

In: :class:`~evals.experiments.reading.Exposed`. Out: values for programs, lines for a terminal, a page with plots for people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.errors import EvaluationError
from engine.schema import Money
from evals.experiments.reading import Arm, Exposed
from evals.experiments.statistics import SRM_ALARM, Difference, difference, preference, ratio_parts, srm_p
from evals.report.plots import Point, dots

__all__ = ["MEASURES", "ExperimentReport", "Measured", "experiment_page", "experiment_report", "render"]

Parts = tuple[float, NDArray[np.float64]]

MEASURES: Mapping[str, Callable[[Arm], Parts]] = {
    "searches with a click": lambda arm: ratio_parts(arm.clicked, arm.searches),
    "people who bought": lambda arm: ratio_parts(arm.orders, np.ones(arm.people)),
    "revenue per search": lambda arm: ratio_parts(arm.revenue, arm.searches),
    "satisfaction": lambda arm: ratio_parts(arm.ratings, arm.rated),
}
"""What is measured: click-through, conversion, revenue in minor units, and the mean of ratings from -1 to 1."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of one variant against the first."""

    measure: str
    variant: str
    against: str
    difference: Difference

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {"measure": self.measure, "variant": self.variant, "against": self.against, **self.difference.to_dict()}


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """Everything that can be said of an experiment. ``srm`` is how likely the groups' sizes are by chance; below the alarm nothing
    else may be believed."""

    name: str
    people: Mapping[str, int]
    srm: float
    rows: list[Measured]
    preference: Difference | None
    crossed: int
    nobody: int
    currency: str
    other_money: int

    @property
    def trusted(self) -> bool:
        """Whether the groups are as large as they should be."""
        return self.srm >= SRM_ALARM

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "name": self.name,
            "people": dict(self.people),
            "sample_ratio_p": self.srm,
            "trusted": self.trusted,
            "measures": [row.to_dict() for row in self.rows],
            "preference": self.preference.to_dict() if self.preference else None,
            "met_several_variants": self.crossed,
            "searches_of_nobody": self.nobody,
            "currency": self.currency,
            "purchases_in_other_money": self.other_money,
        }


def experiment_report(name: str, exposed: Exposed, first: str = "") -> ExperimentReport:
    """Return the report; ``first`` is the variant the others are compared with, the first by name where it is empty.

    Raises:
        EvaluationError: a group has fewer than two people, or nobody met ``first``.
    """
    if first and exposed.arms and first not in (names := [arm.name for arm in exposed.arms]):
        raise EvaluationError(f"Nobody met a variant {first!r} of {name}. Give one that was met to --first: {', '.join(names)}.")
    arms = sorted(exposed.arms, key=lambda arm: (arm.name != first, arm.name))
    rows = [
        Measured(measure, arm.name, arms[0].name, difference(of(arms[0]), of(arm)))
        for arm in arms[1:]
        for measure, of in MEASURES.items()
        if of is not MEASURES["satisfaction"] or min(arm.rated.sum(), arms[0].rated.sum()) > 0
    ]
    return ExperimentReport(
        name,
        {arm.name: arm.people for arm in arms},
        srm_p([arm.people for arm in arms]) if len(arms) > 1 else 1.0,
        rows,
        preference(exposed.duel.first, exposed.duel.second) if exposed.duel else None,
        exposed.crossed,
        exposed.nobody,
        exposed.currency,
        exposed.other_money,
    )


def verdict(report: ExperimentReport, d: Difference) -> str:
    """Return in words what a difference comes to."""
    if not report.trusted:
        return "not to be believed: the groups' sizes are wrong"
    if not d.told_apart:
        return "not told apart from chance yet"
    return "higher" if d.mean > 0 else "lower"


def shown(measure: str, value: float, currency: str) -> str:
    """Return a value as people read it."""
    if measure == "revenue per search":
        return f"{value / 10 ** Money.decimals(currency or 'USD'):.3f} {currency}".strip()
    return f"{value:+.3f}" if measure == "satisfaction" else f"{100 * value:.2f} %"


def render(report: ExperimentReport, console: Console) -> None:
    """Print the report."""
    people = ", ".join(f"{n} {variant}" for variant, n in report.people.items())
    console.print(f"{report.name}: {people or 'interleaved only'}", markup=False)
    if len(report.people) > 1:
        said = "as it should be" if report.trusted else "WRONG: people are missing from a group, so believe nothing below"
        console.print(f"Sizes of the groups: p {report.srm:.4f}, {said}.", markup=False)
    if report.crossed:
        console.print(f"{report.crossed} people met several variants and are left out.")
    if report.nobody:
        console.print(f"{report.nobody} searches are of nobody, for want of consent, and are left out.")
    values, ranges = (Table(box=None, pad_edge=False) for _ in range(2))
    for table, heads in ((values, ("first", "this", "change", "")), (ranges, ("one look, 95 %", "always, 95 %"))):
        table.add_column("measure", no_wrap=True)
        table.add_column("variant", overflow="fold")
        for head in heads:
            table.add_column(head, justify="right" if head else "left", no_wrap=bool(head))
    for row in report.rows:
        d, money = row.difference, report.currency
        first, second = (shown(row.measure, v, money) for v in (d.first, d.second))
        values.add_row(row.measure, row.variant, first, second, _change(d.mean, row), verdict(report, d))
        ranges.add_row(row.measure, row.variant, _range(d.low, d.high, row), _range(d.low_always, d.high_always, row))
    for table in (values, ranges) if report.rows else ():
        console.print(table)
    if report.preference:
        d = report.preference
        console.print(
            f"Interleaved: {100 * d.second:.1f} % of clicks on picks of the second variant; preference {d.mean:+.3f}, always "
            f"{d.low_always:+.3f} to {d.high_always:+.3f}, {verdict(report, d)}.",
            soft_wrap=True,
        )


def _change(value: float, row: Measured) -> str:
    """Return a change, relative to the first variant but for satisfaction, which may be around 0."""
    first = row.difference.first
    return f"{value:+.3f}" if row.measure == "satisfaction" or not first else f"{100 * value / first:+.1f} %"


def _range(low: float, high: float, row: Measured) -> str:
    return f"{_change(low, row)} to {_change(high, row)}"


def experiment_page(report: ExperimentReport) -> str:
    """Return the report as one HTML file with nothing to load."""
    loader = PackageLoader("evals.experiments", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    points = [
        Point(f"{row.measure}, {row.variant}", 100 * d.relative, 100 * d.low / d.first, 100 * d.high / d.first,
              (100 * d.low_always / d.first, 100 * d.high_always / d.first))
        for row in report.rows if (d := row.difference).first > 0 and row.measure != "satisfaction"
    ]  # fmt: skip
    rows = [
        {
            "measure": row.measure,
            "variant": row.variant,
            "first": shown(row.measure, row.difference.first, report.currency),
            "second": shown(row.measure, row.difference.second, report.currency),
            "change": _change(row.difference.mean, row),
            "always": _range(row.difference.low_always, row.difference.high_always, row),
            "verdict": verdict(report, row.difference),
        }
        for row in report.rows
    ]
    plot = dots(points, "change in % of the first variant; pale: holds however often one looks", zero=True) if points else ""
    preferred, duel = report.preference, ""
    if preferred:
        always = (preferred.low_always, preferred.high_always)
        point = Point("second variant", preferred.mean, preferred.low, preferred.high, always)
        duel = dots([point], "preference, from -1 to 1; pale: holds however often one looks", zero=True)
    said = verdict(report, preferred) if preferred else ""
    page = environment.get_template("experiment.html.j2")
    return page.render(r=report, rows=rows, plot=Markup(plot), duel=Markup(duel), said=said)
