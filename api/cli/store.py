"""``daogou snapshots``, ``rollback`` and ``doctor``: what is there, and how it is set."""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from engine.errors import SnapshotError
from engine.index.snapshot import current_id, list_snapshots, open_snapshot, read_manifest
from engine.settings import Settings, load_settings

__all__ = ["register"]

_Store = Annotated[Path | None, typer.Option(help="Folder of the snapshots.")]
_PACKAGES = ("daogou", "torch", "sentence-transformers", "faiss-cpu", "onnxruntime", "fastapi", "numpy", "pyarrow")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("snapshots")(_snapshots)
    app.command("rollback")(_rollback)
    app.command("doctor")(_doctor)


def _snapshots(store: _Store = None, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the snapshots that are kept, the serving one marked."""
    where = Path(load_settings(store=store).store)
    current = current_id(where)
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

    where = Path(load_settings(store=store).store)
    before = current_id(where)
    typer.echo(f"Serving {rollback(where, to)} again, instead of {before}.")


def _doctor(store: _Store = None) -> None:
    """Print every setting with its source, the versions and the state of the store."""
    settings = load_settings(store=store)
    file = Path(os.environ.get("DAOGOU_CONFIG", "daogou.toml"))
    written = file.read_text("utf-8") if file.exists() else ""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        shown = "********" if name == "generator_key" and value else repr(value if not isinstance(value, Path) else str(value))
        typer.echo(f"{name:<22} {shown:<28} {_source(name, store, written, file)}")
    typer.echo("")
    for package in _PACKAGES:
        try:
            typer.echo(f"{package:<22} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            typer.echo(f"{package:<22} not installed")
    typer.echo("")
    try:
        manifest = open_snapshot(Path(settings.store)).manifest
        typer.echo(f"Snapshot {manifest.id}: {manifest.products} products, {manifest.model}; every file verified.")
    except SnapshotError as error:
        typer.echo(str(error))


def _source(name: str, store: Path | None, written: str, file: Path) -> str:
    if name == "store" and store is not None:
        return "argument"
    if f"DAOGOU_{name.upper()}" in {key.upper() for key in os.environ}:
        return "environment"
    lines = (line.split("=")[0].strip() for line in written.splitlines())
    return str(file) if name in lines else "default"
