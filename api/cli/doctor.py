"""``daogou doctor``: every setting with its value and source, the versions, the card, the snapshot.

``--markdown`` writes docs/settings.md from the settings' own descriptions and defaults instead. The generator's key is
never printed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from engine.errors import SnapshotError
from engine.index.snapshot import open_snapshot
from engine.settings import Settings, load_settings

__all__ = ["register", "settings_page"]

_PACKAGES = ("daogou", "torch", "sentence-transformers", "faiss-cpu", "onnxruntime", "fastapi", "numpy", "pyarrow")
_HEAD = """# Settings

Arguments go first, then `DAOGOU_…` environment variables, then the TOML file that `DAOGOU_CONFIG` names (`daogou.toml`
in the working directory by default), then the defaults below. Lists and tables are JSON in the environment:
`DAOGOU_SEMANTIC_LANGUAGES='["en","zh"]'`. A list replaces one that comes later, a table is merged with it key by key.
`daogou doctor` prints the values in force and where each came from.

This page is written by `daogou doctor --markdown`.

| setting | environment variable | default | allowed | meaning |
|---|---|---|---|---|
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(_doctor)


def _doctor(
    store: Annotated[Path | None, typer.Option(help="Folder of the snapshots.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write docs/settings.md to stdout instead.")] = False,
) -> None:
    """Print every setting with its source, the versions and the state of the store."""
    from engine.events import EventLog

    if markdown:
        typer.echo(settings_page(), nl=False)
        return
    settings = load_settings(store=store)
    for name in Settings.model_fields:
        typer.echo(f"{name:<22} {_shown(name, getattr(settings, name)):<28} {_source(name, store)}")
    typer.echo("")
    for package in _PACKAGES:
        try:
            typer.echo(f"{package:<22} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            typer.echo(f"{package:<22} not installed")
    typer.echo(f"{'CUDA':<22} {_cuda()}")
    typer.echo("")
    try:
        manifest = open_snapshot(Path(settings.store)).manifest
        typer.echo(f"Snapshot {manifest.id}: {manifest.products} products, {manifest.model}; every file verified.")
    except SnapshotError as error:
        typer.echo(str(error))
    if EventLog.exists(settings):
        typer.echo("Events are kept; `daogou events check` reads them through.")


def settings_page() -> str:
    """Return docs/settings.md: a row for each setting."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        written = json.dumps(str(default) if isinstance(default, Path) else default, ensure_ascii=False)
        cells = (f"`{name}`", f"`DAOGOU_{name.upper()}`", f"`{written}`", _allowed(field), field.description or "")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return _HEAD + "\n".join(rows) + "\n"


def _allowed(field: FieldInfo) -> str:
    """Return the limits of a setting, as a reader writes them."""
    words = []
    for limit in field.metadata:
        if isinstance(limit, Ge):
            words.append(f"≥ {limit.ge}")
        elif isinstance(limit, Gt):
            words.append(f"> {limit.gt}")
        elif isinstance(limit, Le):
            words.append(f"≤ {limit.le}")
        elif isinstance(limit, Lt):
            words.append(f"< {limit.lt}")
        elif pattern := getattr(limit, "pattern", None):
            words.append(f"`{pattern}`")
    return ", ".join(words)


def _shown(name: str, value: Any) -> str:
    if value and not Settings.model_fields[name].repr:
        return "********"
    if isinstance(value, dict):
        value = {key: str(one) if isinstance(one, Path) else one for key, one in value.items()}
    return repr(str(value) if isinstance(value, Path) else value)


def _source(name: str, store: Path | None) -> str:
    """Return which of the four sources a setting's value came from."""
    if name == "store" and store is not None:
        return "argument"
    if f"DAOGOU_{name.upper()}" in {key.upper() for key in os.environ}:
        return "environment"
    file = Path(os.environ.get("DAOGOU_CONFIG", "daogou.toml"))
    written = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
    return str(file) if name in written else "default"


def _cuda() -> str:
    """Return the name of the card that products would be embedded on."""
    try:
        import torch
    except ImportError:
        return "unknown, torch is not installed"
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "none; products are embedded on the CPU"
