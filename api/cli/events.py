"""``daogou events``: take in logs of other systems, say what is kept and whether it is whole, and let go of what has had its time.

Prints reports on stdout, progress on stderr. Knows nothing of how events are kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from engine.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.events.importing import ImportReport

__all__ = ["register"]

_Store = Annotated[Path | None, typer.Option(help="Folder of the snapshots.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Sure = Annotated[bool, typer.Option("--clock-is-right", help="Believe the clock even if it has leapt ahead.")]

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    about = "What shoppers did: import it, count it, check it, prune it."
    events = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
    events.command("import")(_import)
    events.command("count")(_count)
    events.command("check")(_check)
    events.command("prune")(_prune)
    app.add_typer(events, name="events")


def _import(
    files: Annotated[list[Path], typer.Argument(help="UBI, Google Analytics 4, Segment, Google Retail as JSON lines; orders.")],
    store: _Store = None,
    format: Annotated[str, typer.Option(help="ubi, ga4, segment, google-retail or transactions, where it is not recognised.")] = "",
    currency: Annotated[str | None, typer.Option(help="Currency of prices that name none.")] = None,
    as_json: _Json = False,
) -> None:
    """Bring logs of other systems into the event log. The same file twice changes nothing."""
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from engine.events import EventLog
    from indexer.events.importing import import_events

    settings = load_settings(store=store, default_currency=currency)
    reports = []
    columns = (TextColumn("{task.description} {task.completed:.0f} events"), TimeElapsedColumn())
    with closing(EventLog.open(settings)) as log, Progress(*columns, console=Console(stderr=True)) as bars:
        known = _known_products(settings)
        for path in files:
            task = bars.add_task(path.name, total=None)
            report = import_events(
                path,
                log,
                format=format,
                currency=settings.default_currency,
                known_product=known,
                advance=lambda n, task=task: bars.advance(task, n),  # type: ignore[misc]
            )
            reports.append(report)
    if as_json:
        typer.echo(json.dumps([report.to_dict() for report in reports], ensure_ascii=False))
        return
    for report in reports:
        _show(report, Console(highlight=False))


def _known_products(settings: Settings) -> Callable[[str], bool]:
    """Return what tells the ids of the catalogue: those may look like anything, others are masked where they look personal."""
    from engine.errors import SnapshotError
    from engine.index.documents import Documents
    from engine.index.snapshot import open_snapshot

    try:
        snapshot = open_snapshot(settings.store)
    except SnapshotError:
        return lambda product: False
    return frozenset(Documents(snapshot.parts, snapshot.dead).ids).__contains__


def _show(report: ImportReport, console: Console) -> None:
    console.print(f"{report.file}: {report.format}, {report.records} records", markup=False, soft_wrap=True)
    console.print(f"  {sum(report.kinds.values()):8d}  events ({_counted(report.kinds) or 'none'})", markup=False)
    console.print(f"  {report.added:8d}  kept, {report.duplicates} known already", markup=False)
    for reason, n in report.left_out.most_common():
        raised = "; raise it by DAOGOU_EVENT_DAYS to keep them" if "event_days" in reason else ""
        console.print(f"  {n:8d}  left out: {reason}{raised}", markup=False, soft_wrap=True)
    if report.nobody:
        console.print(
            f"  {report.nobody:8d}  of them kept without saying whose: nobody consented (DAOGOU_CONSENT=assumed where you have "
            "another ground)",
            soft_wrap=True,
        )
    if report.masked:
        console.print(f"  {report.masked:8d}  personal stretches masked")
    total = sum(report.joined.values())
    if total:
        console.print(f"  {100 * report.not_joined:7.1f}%  of {total} actions could not be joined to a search:")
        for how, n in report.joined.most_common():
            console.print(f"  {n:8d}    {how}", markup=False)


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items(), key=lambda item: -item[1]))


def _count(store: _Store = None, as_json: _Json = False) -> None:
    """Count the events that are kept, by kind."""
    from engine.events import EventLog

    settings = load_settings(store=store)
    if not EventLog.exists(settings):
        typer.echo("{}" if as_json else f"{settings.store} keeps no events yet.")
        return
    with closing(EventLog.open(settings)) as log:
        counts = log.count()
    typer.echo(json.dumps(counts) if as_json else "\n".join(f"{n:10d}  {kind}" for kind, n in counts.items()))


def _check(
    store: _Store = None,
    mend: Annotated[bool, typer.Option("--mend", help="Make damaged indexes anew, and remove damaged events.")] = False,
    as_json: _Json = False,
) -> None:
    """Read every event through, and say which are damaged: those are in no answer, and kept once more when they are sent again."""
    from engine.errors import EventLogError
    from engine.events import EventLog

    settings = load_settings(store=store)
    if not EventLog.exists(settings):
        typer.echo("[]" if as_json else f"{settings.store} keeps no events yet.")
        return
    with closing(EventLog.open(settings)) as log:
        found = log.check(mend=mend)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found]))
    for one in () if as_json else found:
        unchecked = f", {one.unchecked} without a checksum" if one.unchecked else ""
        typer.echo(f"{one.period}  {one.whole} whole{unchecked}, {len(one.damaged)} damaged")
        if one.damaged:
            typer.echo(f"         {'removed' if mend else 'damaged'}: numbers {', '.join(map(str, one.damaged[:_SHOWN]))}")
        if one.problem:
            typer.echo(f"         {one.problem}")
    lost = sum(len(one.damaged) for one in found)
    broken = [one.period for one in found if one.problem]
    if broken or (lost and not mend):
        said = ([f"{lost} events are damaged"] if lost else []) + ([f"files are: {', '.join(broken)}"] if broken else [])
        todo = "Restore them from a backup" + ("" if mend else ", or mend what can be by `daogou events check --mend`")
        raise EventLogError(f"In {settings.store / 'events'}, {' and '.join(said)}. {todo}.")


def _prune(store: _Store = None, as_json: _Json = False, clock_is_right: _Sure = False) -> None:
    """Delete events older than `event_days`, and the words of searches older than `query_days`. A running server does so too."""
    from engine.events import EventLog

    settings = load_settings(store=store)
    if not EventLog.exists(settings):
        typer.echo('{"events": 0, "queries": 0, "clock_believed": true}' if as_json else f"{settings.store} keeps no events yet.")
        return
    with closing(EventLog.open(settings)) as log:
        gone = log.prune(settings.query_days, int(1000 * time.time()) if clock_is_right else None)
    if as_json:
        typer.echo(json.dumps({"events": gone.events, "queries": gone.queries, "clock_believed": not gone.disbelieved_ms}))
    else:
        if gone.disbelieved_ms:
            said = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(gone.disbelieved_ms / 1000))
            far = f"The clock says {said}, more than a week from when it was last looked at, so nothing more is deleted."
            typer.echo(f"{far} It is believed in a day; --clock-is-right says that it may be now.", err=True)
        typer.echo(f"{gone.events} events older than {settings.event_days} days deleted, and the words of {gone.queries} searches.")
