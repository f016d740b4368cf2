"""``daogou report``: everything measured on a shop, as one page for people and one file for programs. Computes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from engine.settings import load_settings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(_report)


def _report(
    data: Annotated[Path, typer.Option(help="Folder with queries and judgements.")] = Path("examples/demo"),
    store: Annotated[Path | None, typer.Option(help="Folder of the snapshots.")] = None,
    queries: Annotated[Path | None, typer.Option(help="Other texts for the same query ids.")] = None,
    view: Annotated[str, typer.Option(help="Which judgements; empty is the main view.")] = "",
    run: Annotated[list[Path] | None, typer.Option(help="A TREC run of another system to compare with; repeatable.")] = None,
    unsuitable: Annotated[
        Path | None, typer.Option(help="Queries, one a line, that the shop has nothing suitable for.")
    ] = None,
    min_rel: Annotated[int, typer.Option(help="Rating from which a product is relevant.", min=1)] = 2,
    html: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("relevance.html"),
    json_out: Annotated[Path, typer.Option(help="Where the values go.")] = Path("relevance.json"),
) -> None:
    """Measure everything and write a page with plots and a JSON file."""
    from engine.engine import Engine
    from evals.evalsets import load_evalset
    from evals.lines import numbered_lines, write_text
    from evals.report import gather, page
    from evals.report.gather import STEPS
    from evals.run import read_run

    evalset = load_evalset(data, queries)
    others = {path.stem: read_run(path) for path in run or ()}
    hopeless = [text.strip() for _, text in numbered_lines(unsuitable)] if unsuitable else []
    engine = Engine.open(load_settings(store=store))
    with Progress(console=Console(stderr=True)) as bars:
        task = bars.add_task("Measuring", total=len(STEPS))

        def advance(step: str) -> None:
            bars.update(task, advance=1, description=f"Measured {step}")

        values = gather(engine, evalset, view=view, min_rel=min_rel, others=others, hopeless=hopeless, advance=advance)
    write_text(json_out, json.dumps(values, ensure_ascii=False, indent=1) + "\n")
    write_text(html, page(values))
    typer.echo(f"{html} and {json_out} written.")
