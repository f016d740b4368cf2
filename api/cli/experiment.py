"""``daogou experiment``: what came of an experiment, how many people one needs, and whether its statistics can be trusted.

Prints on stdout and writes pages. Computes nothing.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.errors import EvaluationError, RequestError
from engine.settings import load_settings

__all__ = ["register"]

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    about = "Experiments: read one, plan one, try the statistics."
    experiment = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
    experiment.command("report")(_report)
    experiment.command("power")(_power)
    experiment.command("simulate")(_simulate)
    app.add_typer(experiment, name="experiment")


def _report(
    name: Annotated[str, typer.Argument(help="The experiment's name.")],
    store: Annotated[Path | None, typer.Option(help="Folder of the snapshots.")] = None,
    first: Annotated[str, typer.Option(help="The variant that the others are compared with.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write a page with plots.")] = None,
    as_json: _Json = False,
) -> None:
    """Say what each variant's people did, how far they differ, and whether that is more than chance."""
    from engine.events import EventLog
    from engine.experiment import read_experiment
    from evals.experiments.reading import read_exposed
    from evals.experiments.report import experiment_page, experiment_report, render
    from evals.lines import write_text

    settings = load_settings(store=store)
    if not first and settings.experiment:
        known = read_experiment(Path(settings.experiment))
        first = next(iter(known.variants)) if known.name == name else ""
    if not EventLog.exists(settings):
        raise EvaluationError(f"{settings.store} has no event log, so nothing was seen of an experiment. Check --store.")
    with closing(EventLog.open(settings)) as log:
        seen = read_exposed(log, name)
    report = experiment_report(name, seen, first)
    if html:
        write_text(html, experiment_page(report))
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False))
        return
    render(report, Console(highlight=False))
    if html:
        typer.echo(f"{html} written.")


def _power(
    rate: Annotated[float, typer.Option(help="The rate as it is, such as clicked searches per search.")],
    change: Annotated[float, typer.Option(help="The relative change to be told, 0.02 for two percent.")],
    searches: Annotated[float, typer.Option(help="Searches a person makes.")] = 1.0,
    alike: Annotated[float, typer.Option(help="How much one person's searches agree (intraclass correlation).")] = 0.0,
    power: Annotated[float, typer.Option(help="How surely it is to be told.")] = 0.8,
    as_json: _Json = False,
) -> None:
    """Say how many people each variant needs."""
    from evals.experiments.statistics import needed_people

    once, always = (
        needed_people(rate, change, searches=searches, alike=alike, power=power, always=always) for always in (False, True)
    )
    if as_json:
        typer.echo(json.dumps({"one_look": once, "always": always}))
    else:
        typer.echo(f"{once} people for each variant, looked at once at the end; {always} where one looks as often as one likes.")


def _simulate(
    rate: Annotated[float, typer.Option(help="Clicked searches per search.")] = 0.3,
    change: Annotated[float, typer.Option(help="Relative change of the second variant; 0 is an A/A test.")] = 0.0,
    people: Annotated[int, typer.Option(help="People of each variant; 0 is as many as the power calculation says.", min=0)] = 5000,
    experiments: Annotated[int, typer.Option(help="Experiments simulated.", min=1)] = 1000,
    searches: Annotated[float, typer.Option(help="Searches a person makes.", min=1)] = 3.0,
    looks: Annotated[int, typer.Option(help="Times one looks.", min=1)] = 20,
    power: Annotated[float, typer.Option(help="How surely the change is to be told, for the power calculation.")] = 0.8,
    seed: Annotated[int, typer.Option(help="Another seed, other people.")] = 0,
    as_json: _Json = False,
) -> None:
    """Simulate experiments whose truth is known, and count how often something is found."""
    from evals.experiments.simulation import ALIKE, simulate
    from evals.experiments.statistics import needed_people

    if not (0 < rate < 1 and 0 < rate * (1 + change) < 1):
        raise RequestError(f"A rate of {rate:g} changed by {change:g} is none between 0 and 1. Give others to --rate and --change.")
    if not people:
        people = needed_people(rate, change, searches=searches, alike=ALIKE, power=power, always=True)
    found = simulate(experiments, people, rate, change, looks=looks, searches=searches, seed=seed)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
        return
    typer.echo(f"{found.experiments} experiments of twice {found.people} people, looked at {found.looks} times. Told apart:")
    for name, n in (
        ("by the interval that holds always, at any look", found.always_any),
        ("by it at the last look", found.always_last),
        ("by the interval for one look, at any look, which one may not do", found.once_any),
        ("by it at the last look", found.once_last),
        ("alarms about the sizes of the groups", found.size_alarms),
    ):
        typer.echo(f"  {n:5d}  {100 * n / found.experiments:5.1f} %  {name}")
