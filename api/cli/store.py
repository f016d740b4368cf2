"""``daogou snapshots`` and ``rollback``: what a store holds, and which of it serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import SettingsError, SnapshotError
from engine.index.snapshot import current_id, list_snapshots, read_manifest
from engine.settings import load_settings

__all__ = ["register"]

_Store = Annotated[Path | None, typer.Option(help="Folder of the snapshots.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("snapshots")(_snapshots)
    app.command("rollback")(_rollback)
    app.command("push")(_push)


def _snapshots(store: _Store = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the snapshots that are kept, the serving one marked."""
    where = Path(load_settings(store=store).store)
    current = _pointed_at(where)
    found = [read_manifest(where / "snapshots" / name) for name in list_snapshots(where)]
    if as_json:
        rows = [{"id": m.id, "products": m.products, "model": m.model, "current": m.id == current} for m in found]
        typer.echo(json.dumps(rows))
        return
    for m in found:
        typer.echo(f"{'→' if m.id == current else ' '} {m.id}  {m.products:>8} products  {m.model}")
    if not found:
        typer.echo(f"No snapshot was published in {where} yet. Run `daogou index FEED --store {where}`.")


def _rollback(store: _Store = None, to: Annotated[str, typer.Option(help="Snapshot to serve.")] = "") -> None:
    """Serve the snapshot before the current one again."""
    from indexer.publish import rollback
    from indexer.remote import push

    settings = load_settings(store=store)
    where = Path(settings.store)
    before = _pointed_at(where)
    typer.echo(f"Serving {rollback(where, to)} again, instead of {before or 'nothing'}.")
    push(settings, typer.echo)


def _push(store: _Store = None) -> None:
    """Put the current snapshot on the object storage of the setting `remote`, if it is not there."""
    from indexer.remote import push

    settings = load_settings(store=store)
    if not settings.remote:
        raise SettingsError("There is nowhere to push to. Name the object storage with the setting remote (DAOGOU_REMOTE).")
    name = push(settings, lambda _: None)
    typer.echo(f"{settings.remote} serves {name}." if name else f"No snapshot was published in {settings.store} yet.")


def _pointed_at(store: Path) -> str:
    """Return the serving snapshot, or ``""`` where the pointer is damaged: these commands are how it is mended."""
    try:
        return current_id(store)
    except SnapshotError:
        return ""
