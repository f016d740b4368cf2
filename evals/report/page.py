"""The report as one HTML file with nothing to load: styles and plots inside, no script.

In: the values of :func:`~evals.report.gather.gather`. Out: HTML. Every text from a query or a catalogue is escaped by jinja2.
Measures nothing.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from evals.measures import DECIDING
from evals.report.plots import Point, bars, diagonal, dots

__all__ = ["page"]

_WORST = 15


def page(values: dict[str, Any]) -> str:
    """Return the HTML of a report."""
    environment = Environment(
        loader=PackageLoader("evals.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    main = next(view for view in values["retrieval"]["views"] if view["view"] == values["view"])
    ordering = values["ranking"]["views"][0]
    answered = [row for row in values["per_query"] if row["possible"]]
    worst = sorted(answered, key=lambda row: (row[DECIDING], row["qid"]))[:_WORST]
    return environment.get_template("report.html.j2").render(
        v=values,
        main={row["measure"]: row for row in main["measures"]},
        ordering={row["measure"]: row for row in ordering["measures"]},
        worst=worst,
        plots={name: Markup(svg) for name, svg in _plots(values, answered).items()},
    )


def _plots(values: dict[str, Any], answered: list[dict[str, Any]]) -> dict[str, str]:
    views = []
    for view in values["retrieval"]["views"]:
        row = next(row for row in view["measures"] if row["measure"] == DECIDING)
        opened = row["if_rated"]
        views.append(_point(view["view"], row["all"], (opened["low"], opened["high"]) if opened else None))
    plots = {
        "views": dots(views, "mean nDCG@10, 95 % interval; pale: were everything rated"),
        "compared": dots([_point(f"against {c['system']}", c["difference"]) for c in values["compared"]],
                         "difference in nDCG@10, ours minus theirs, 95 % interval", zero=True),
        "kinds": dots([_point(f"{k['kind']} ({k['n']})", k) for k in values["kinds"]], "mean nDCG@10, 95 % interval"),
        "queries": bars([row[DECIDING] for row in answered], DECIDING, f"{len(answered)} queries with a relevant product"),
    }  # fmt: skip
    if "probabilities" in values:
        points = [(b["said"], b["true"], b["share"]) for b in values["probabilities"]["bins"]]
        plots["probabilities"] = diagonal(points, "probability said", "share that is relevant")
    if forms := values.get("other_writings", {}).get("forms"):
        plots["writings"] = dots(
            [_point(f"{form} ({f['n']})", f["difference"]) for form, f in forms.items()],
            "change of nDCG@10 over rated products, 95 % interval",
            zero=True,
        )
    if "model_numbers" in values:
        forms = values["model_numbers"]["forms"]
        plots["codes"] = dots([_point(f"{form} ({f['n']})", f) for form, f in forms.items()],
                              "mean reciprocal rank of the product, 95 % interval")  # fmt: skip
    if mends := values.get("spelling", {}).get("mended"):
        mended = [_point(f"slip at the {place} ({e['n']})", e) for place, e in mends.items()]
        plots["spelling"] = dots(mended, "share of slips mended, 95 % interval")
    return plots


def _point(name: str, estimate: dict[str, Any], wide: tuple[float, float] | None = None) -> Point:
    return Point(name, estimate["mean"], estimate["low"], estimate["high"], wide)
