"""``daogou tune``, ``calibrate`` and ``learn``: a shop's own weights and order, from its judgements.

Prints settings for ``daogou.toml`` and what they are worth; writes them only where asked, and only where they hold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from engine.settings import load_settings

if TYPE_CHECKING:
    from engine.engine import Engine
    from evals.calibration import Judged
    from evals.evalsets import EvalSet
    from evals.tune import Gain

__all__ = ["register"]

_Store = Annotated[Path | None, typer.Option(help="Folder of the snapshots.")]
_Data = Annotated[Path, typer.Option(help="Folder with queries and judgements.")]
_Queries = Annotated[Path | None, typer.Option(help="Other texts for the same query ids.")]
_View = Annotated[str, typer.Option(help="Which judgements; empty is the main view.")]
_Out = Annotated[Path | None, typer.Option(help="Write the settings to this TOML file, if they hold.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("tune")(_tune)
    app.command("calibrate")(_calibrate)
    app.command("learn")(_learn)


def _tune(
    data: _Data = Path("examples/demo"),
    store: _Store = None,
    queries: _Queries = None,
    view: _View = "",
    folds: Annotated[int, typer.Option(help="Parts for cross-validation.", min=2, max=20)] = 5,
    out: _Out = None,
    as_json: _Json = False,
) -> None:
    """Find the shop's own weights of meaning and feedback; refuse a gain that may be chance."""
    from evals.evalsets import load_evalset
    from evals.lines import write_text
    from evals.tune import ALPHAS, FEEDBACKS, toml_of, tune

    evalset = load_evalset(data, queries)
    engine = _open(store)
    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task("Trying weights", total=1 + len(ALPHAS) * len(FEEDBACKS))
        found = tune(engine, evalset.queries, evalset.view(view).qrels, folds=folds, advance=lambda n: bars.advance(task, n))
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
    else:
        sign = "cannot be told from chance" if found.gain.mean > 0 else "is none"
        if found.kept:
            sign = "holds on queries it was not chosen on"
        typer.echo(f"{_gained(found)} The gain {sign}.")
        typer.echo(toml_of(found.settings) if found.kept else "The settings in force stay.")
    if out and found.kept:
        write_text(out, toml_of(found.settings))


def _calibrate(
    data: _Data = Path("examples/demo"),
    store: _Store = None,
    queries: _Queries = None,
    view: _View = "",
    min_rel: Annotated[int, typer.Option(help="Rating from which a product is relevant.", min=1)] = 2,
    unsuitable: Annotated[
        Path | None, typer.Option(help="Queries, one a line, that the shop has nothing suitable for.")
    ] = None,
    from_data: Annotated[
        Path | None, typer.Option(help="Fit to these judgements, of another catalogue, and measure that on --data.")
    ] = None,
    from_store: Annotated[Path | None, typer.Option(help="Folder of the other catalogue's snapshots.")] = None,
    out: _Out = None,
    as_json: _Json = False,
) -> None:
    """Measure how well the probabilities of hits hold, and fit them to these judgements."""
    from engine.match import Calibration
    from evals.calibration import fit_calibration, score_matching, score_suitable
    from evals.lines import numbered_lines, write_text
    from evals.tune import toml_of

    engine, evalset, judged = _judged(store, data, queries, view, min_rel)
    fitted = fit_calibration(judged)
    weights = list(fitted.weights)
    used = Calibration(*engine.settings.calibration)
    if from_data:
        used = fit_calibration(_judged(from_store or store, from_data, None, "", min_rel)[2])
    now = score_matching(used, judged, engine.settings.tail_relevance)
    hopeless = [text.strip() for _, text in numbered_lines(unsuitable)] if unsuitable else []
    carried = engine.tuned(calibration=used.weights) if from_data else engine
    limit = engine.settings.min_relevance
    suitable = score_suitable(carried, evalset.queries, evalset.view(view).qrels, limit, min_rel, hopeless)
    if as_json:
        values = {"matching": now.to_dict(), "nothing_suitable": suitable.to_dict(), "fitted": weights}
        typer.echo(json.dumps(values))
    else:
        typer.echo(
            f"{now.pairs} judged pairs, threshold {now.threshold:g}: accuracy {now.accuracy:.3f}, precision {now.precision:.3f}, "
            f"recall {now.recall:.3f}, F1 {now.f1:.3f}, calibration error {now.error:.3f}, AUROC {now.auroc:.3f}."
        )
        typer.echo(
            f"Nothing suitable: AUROC {suitable.auroc:.3f}; of {suitable.served} queries the shop can serve "
            f"{suitable.wrongly_refused} are refused, of {suitable.missing} it cannot {suitable.rightly_refused} are."
        )
        if from_data:
            typer.echo(f"Measured with what was fitted to {from_data}, which has not seen these judgements.")
        typer.echo("Fitted to these judgements:\n" + toml_of({"calibration": weights}))
    if out:
        write_text(out, toml_of({"calibration": weights}))


def _learn(
    data: _Data = Path("examples/demo"),
    store: _Store = None,
    queries: _Queries = None,
    view: _View = "",
    folds: Annotated[int, typer.Option(help="Parts for cross-validation.", min=2, max=20)] = 5,
    out: Annotated[Path | None, typer.Option(help="Write the ranker to this folder, if its gain holds.")] = None,
    as_json: _Json = False,
) -> None:
    """Learn the order of hits from a thousand judged queries or more (LambdaMART); refuse a gain that may be chance."""
    from evals.evalsets import load_evalset
    from evals.learn import learn, save_ranker

    evalset = load_evalset(data, queries)
    qrels = evalset.view(view).qrels
    engine = _open(store)
    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task("Learning", total=len(evalset.queries) + folds)
        found = learn(engine, evalset.queries, qrels, folds=folds, advance=lambda n: bars.advance(task, n))
    if out and found.kept:
        save_ranker(found, out)
    if as_json:
        typer.echo(json.dumps(found.to_dict()))
        return
    typer.echo(_gained(found))
    most = sorted(found.weights.items(), key=lambda item: -item[1])[:5]
    typer.echo("What decides: " + ", ".join(f"{name} {share:.0%}" for name, share in most) + ".")
    if not found.kept:
        typer.echo("The gain cannot be told from chance; the order stays.")
    elif out:
        typer.echo(f"Written to {out}. Set DAOGOU_RANKER={out} to use it.")


def _gained(found: Gain) -> str:
    return (
        f"nDCG@10 {found.before:.3f} now, {found.after:.3f} cross-validated over {found.gain.n} queries: "
        f"{found.gain.mean:+.3f} ({found.gain.low:+.3f} to {found.gain.high:+.3f}), p = {found.p:.3f}."
    )


def _judged(
    store: Path | None, data: Path, queries: Path | None, view: str, min_rel: int
) -> tuple[Engine, EvalSet, Judged]:
    from evals.calibration import judged_signals
    from evals.evalsets import load_evalset

    evalset = load_evalset(data, queries)
    engine = _open(store)
    judged = judged_signals(engine, evalset.queries, evalset.view(view).qrels, min_rel, engine.product_ids)
    return engine, evalset, judged



def _open(store: Path | None) -> Engine:
    from engine.engine import Engine

    return Engine.open(load_settings(store=store))
