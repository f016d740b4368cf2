"""``daogou update`` and ``daogou compact``: a few changes to a large catalogue.

Draws the progress on stderr and prints the report on stdout. Knows nothing of deltas.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from api.cli.index import Bars
from engine.settings import load_settings

if TYPE_CHECKING:
    from indexer.update import UpdateReport

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("update")(_update)
    app.command("compact")(_compact)


def _update(
    feed: Annotated[Path | None, typer.Argument(help="Products that came or changed; the others stay as they are.")] = None,
    delete: Annotated[Path | None, typer.Option(help="File with the ids of products that are gone, one a line.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of the snapshots.")] = None,
    format: Annotated[str, typer.Option(help="Feed format, where it is not recognised.")] = "",
    currency: Annotated[str | None, typer.Option(help="Currency of prices that name none.")] = None,
    allow_shrink: Annotated[bool, typer.Option(help="Accept that far fewer products are left.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option(help="Draw no progress.")] = False,
) -> None:
    """Publish products that came, changed or are gone, without indexing the others again."""
    from indexer.reindex import NullProgress
    from indexer.update import update

    if feed is None and delete is None:
        raise typer.BadParameter("Name a feed of changed products, or --delete with a file of ids, or both.")
    settings = load_settings(store=store, default_currency=currency)
    bars = None if quiet else Bars(Console(stderr=True, highlight=False))
    with bars.bars if bars else nullcontext():
        report = update(
            feed,
            settings,
            delete=_ids(delete) if delete else (),
            format=format,
            allow_shrink=allow_shrink,
            progress=bars or NullProgress(),
        )
    typer.echo(json.dumps(report.to_dict(), ensure_ascii=False) if as_json else _told(report))


def _ids(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]


def _told(report: UpdateReport) -> str:
    lines = [
        f"{report.changed:,} products changed, {report.new:,} new, {report.deleted:,} deleted, {report.unchanged:,} as they were; "
        f"{report.embedded:,} embedded"
    ]
    if report.unknown:
        lines.append(f"{report.unknown:,} of the ids to delete are of no product")
    for reason, count in report.rejected.items():
        lines.append(f"{count:,} rows rejected: {reason}")
    if report.rejected:
        lines.append(f"The reason of each is in {report.rejects_file}.")
    if report.compacted:
        lines.append("So much had changed that everything was built into one again.")
    waiting = f", {report.delta:,} of them in the delta" if report.delta else ""
    unchanged = report.snapshot == report.previous
    serves = f"{report.snapshot} stays" if unchanged else f"{report.snapshot} serves"
    lines.append(f"{serves}: {report.products:,} products{waiting} ({report.seconds:.1f} s)")
    return "\n".join(lines)


def _compact(
    store: Annotated[Path | None, typer.Option(help="Folder of the snapshots.")] = None,
    quiet: Annotated[bool, typer.Option(help="Draw no progress.")] = False,
) -> None:
    """Build what `daogou update` has added into one with the rest, as indexing the whole feed would."""
    from indexer.reindex import NullProgress
    from indexer.update import compact

    bars = None if quiet else Bars(Console(stderr=True, highlight=False))
    with bars.bars if bars else nullcontext():
        snapshot = compact(load_settings(store=store), progress=bars or NullProgress())
    typer.echo(f"{snapshot} serves")
