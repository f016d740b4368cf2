"""``daogou index``: a feed in, a published snapshot out.

Draws the progress on stderr and prints the report on stdout. Knows nothing of how a feed is read or a snapshot built.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from engine.settings import load_settings

if TYPE_CHECKING:
    from engine.engine import Engine
    from indexer.reindex import IndexReport, Judge

__all__ = ["Bars", "register"]

_COLUMNS_SHOWN = 12
_REJECTS_SHOWN = 5


class Bars:
    """Draws the progress of a reindex: a bar for each stage, with a rate and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._task: TaskID | None = None
        self.bars = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._unit = ""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Begin a bar."""
        self._unit = unit
        self._task = self.bars.add_task(stage, total=total, rate="")

    def advance(self, n: int) -> None:
        """Move the bar."""
        if self._task is None:
            return
        self.bars.advance(self._task, n)
        speed = self.bars.tasks[-1].speed or 0.0
        shown = f"{speed / 1e6:.1f} MB/s" if self._unit == "bytes" else f"{speed:.0f} {self._unit}/s"
        self.bars.update(self._task, rate=shown)

    def note(self, text: str) -> None:
        """Say something above the bars."""
        self._console.print(text, style="dim", markup=False)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("index")(_index)


def _index(
    feed: Annotated[Path, typer.Argument(help="Google Merchant, Shopify or WooCommerce feed, JSON lines, Parquet; also gzipped.")],
    store: Annotated[Path | None, typer.Option(help="Folder of the snapshots.")] = None,
    model: Annotated[str | None, typer.Option(help="sentence-transformers model, by name or path.")] = None,
    format: Annotated[str, typer.Option(help="Feed format, where it is not recognised.")] = "",
    currency: Annotated[str | None, typer.Option(help="Currency of prices that name none.")] = None,
    query_log: Annotated[str | None, typer.Option(help="Search log (UBI) whose common searches are suggested.")] = None,
    engine: Annotated[str | None, typer.Option(help="What embeds products: `local`, or `ray` for a cluster.")] = None,
    guard: Annotated[
        list[Path] | None,
        typer.Option(help="Judged queries (with a feed of their own: another catalogue) that a new encoder may not do worse on."),
    ] = None,
    accept_worse: Annotated[bool, typer.Option("--accept-worse", help="Publish a new encoder even where it is worse.")] = False,
    allow_shrink: Annotated[bool, typer.Option(help="Accept a feed with far fewer products than before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option(help="Draw no progress.")] = False,
) -> None:
    """Index a product feed and publish it; what has not changed is not embedded again."""
    from indexer.reindex import NullProgress, reindex

    settings = load_settings(store=store, model=model, default_currency=currency, query_log=query_log, embed_engine=engine)
    console = Console(stderr=True, highlight=False)
    bars = None if quiet else Bars(console)
    with bars.bars if bars else nullcontext():
        report = reindex(
            feed,
            settings,
            format=format,
            allow_shrink=allow_shrink,
            progress=bars or NullProgress(),
            judge=_judge(guard or [], accept_worse),
        )
    if as_json:
        typer.echo(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        _show(report, Console(highlight=False))


def _judge(guards: list[Path], accept_worse: bool) -> Judge:
    """Return what compares two encoders: on the catalogue, and on the judged queries of the folders."""

    def judge(before: Engine, after: Engine) -> list[dict[str, Any]]:
        from evals.encoder_gate import check_slices, compare_engines, opened_guards, save_slices

        with opened_guards(guards, before, after) as opened:
            slices = compare_engines(before, after, opened)
        save_slices(slices, before, after)
        if not accept_worse:
            check_slices(slices, after.model_name)
        return [s.to_dict() for s in slices]

    return judge


def _show_judged(report: IndexReport, console: Console) -> None:
    """Print what the change of encoder does."""
    if report.judged:
        console.print("nDCG@10 with the encoder that served, and with this one:", markup=False)
    for row in report.judged:
        gain = row["gain"]
        console.print(
            f"  {row['slice']:<28} {row['before']:.3f} → {row['after']:.3f}  ({gain['mean']:+.3f}, {gain['low']:+.3f} to "
            f"{gain['high']:+.3f}, p {row['p']:.3f}, {gain['n']} queries){'  worse' if row['worse'] else ''}",
            markup=False,
            soft_wrap=True,
        )


def _show(report: IndexReport, console: Console) -> None:
    _show_mapping(report, console)
    _show_rejected(report, console)
    if report.repairs:
        console.print("Repaired: " + ", ".join(f"{n} × {name}" for name, n in report.repairs.items()), soft_wrap=True)
    console.print(
        f"{report.embedded} embedded with {report.model}, {report.reused} taken over, {report.removed} removed. "
        f"Index recall@10 {report.recall:.3f}.",
        markup=False,
        soft_wrap=True,
    )
    _show_judged(report, console)
    if report.searches:
        console.print("Searches of the log: " + ", ".join(f"{n} {name}" for name, n in report.searches.items()) + ".", markup=False)
    if report.orders:
        console.print(f"Recommendations rest on {report.orders} orders of the event log.")
    if report.snapshot == report.previous:
        console.print(f"Nothing changed: {report.snapshot} keeps serving. {report.seconds:.1f} s.", markup=False)
    else:
        console.print(f"Published {report.snapshot} in {report.seconds:.1f} s.", markup=False)


def _show_mapping(report: IndexReport, console: Console) -> None:
    """Print what the feed was taken for and where its columns go."""
    console.print(f"Recognised as {report.format} ({report.encoding or 'binary'}). Columns:", markup=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("in the feed")
    table.add_column("here")
    named = [(raw, name) for raw, name in report.mapping.items() if not name.startswith("attributes.")]
    kept = [(raw, name) for raw, name in report.mapping.items() if name.startswith("attributes.")]
    for raw, name in [*named, *kept[:_COLUMNS_SHOWN]]:
        table.add_row(Text(raw), Text(name))
    console.print(table)
    if len(kept) > _COLUMNS_SHOWN:
        console.print(f"… and {len(kept) - _COLUMNS_SHOWN} more columns kept as attributes (all of them with --json).")


def _show_rejected(report: IndexReport, console: Console) -> None:
    """Print how many rows were rejected for which reason, and the first of them."""
    refused = sum(report.rejected.values())
    console.print(f"{report.rows} rows, {report.products} products, {refused} rejected.")
    for reason, count in report.rejected.items():
        console.print(f"  {count:6d}  {reason}", markup=False)
    if not report.rejects_file:
        return
    with Path(report.rejects_file).open(encoding="utf-8") as rows:
        for row in islice(rows, 1, 1 + _REJECTS_SHOWN):
            line, product_id, _, detail = [*row.rstrip("\n").split("\t"), "", "", ""][:4]
            console.print(f"  line {line}, {product_id or 'no id'}: {detail}", markup=False, soft_wrap=True)
    console.print(f"  Each with its line and reason in {report.rejects_file}", markup=False, soft_wrap=True)
