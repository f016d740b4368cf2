"""``daogou estimate``: what indexing a feed will take, before anyone starts.

Prints it as lines or as JSON. Knows nothing of how it is found out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.settings import load_settings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("estimate")(_estimate)


def _estimate(
    feed: Annotated[Path, typer.Argument(help="The feed that is to be indexed.")],
    store: Annotated[Path | None, typer.Option(help="Folder the snapshots will be in.")] = None,
    model: Annotated[str | None, typer.Option(help="sentence-transformers model, by name or path.")] = None,
    format: Annotated[str, typer.Option(help="Feed format, where it is not recognised.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say how long indexing a feed will take, and how much memory and disk, measured on a sample of it on this machine."""
    from indexer.estimate import estimate

    settings = load_settings(store=store, model=model)
    with Console(stderr=True).status("Reading, embedding and building a sample"):
        said = estimate(feed, settings, format=format)
    if as_json:
        typer.echo(json.dumps(said.to_dict()))
        return
    about = "" if said.exact else "about "
    stages = f"reading {_time(said.reading_s)}, embedding {_time(said.embedding_s)}, building {_time(said.building_s)}"
    shared = f"{_size(said.mapped_bytes)} mapped, which all share"
    told = {
        "products": f"{about}{said.products:,} of {about}{said.rows:,} rows; {said.rejected:.1%} of a sample are rejected",
        "time": f"about {_time(said.seconds)}: {stages}",
        "memory while indexing": f"at most {_size(said.own_bytes)} (index_memory_mb)",
        "memory of a server": f"about {_size(said.serving_bytes)} for each process, and {shared}",
        "vector index": said.index,
        "disk": f"about {_size(said.disk_bytes)} a snapshot, of which {settings.keep_snapshots} are kept",
        "disk while indexing": f"about {_size(said.working_bytes)} more; {_size(said.free_bytes)} are free",
    }
    width = max(map(len, told))
    for name, value in told.items():
        typer.echo(f"{name:<{width}}  {value}")
    if not said.fits:
        typer.echo("The disk is too small for it. Free some space, or lower keep_snapshots.")


def _time(seconds: float) -> str:
    """Return a span of time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(number: float) -> str:
    return f"{number / 2**20:,.0f} MB" if number < 10 * 2**30 else f"{number / 2**30:,.1f} GB"
