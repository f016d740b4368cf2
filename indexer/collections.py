"""The collections of a store in Milvus: what each is called, and which may go.

A collection is named after the store and after what is in it, so that the same products make the same name, and a reindex that
changes nothing makes nothing. Those that no snapshot names any more, of a writer that was killed too, go with the next one.
Knows nothing of what a collection holds.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path

from engine.errors import SnapshotError, VectorEngineError
from engine.index.engines import connect
from engine.index.faiss_index import VECTORS
from engine.index.snapshot import list_snapshots, read_manifest, sha256_of
from engine.settings import Settings
from indexer.durable import replace_text

__all__ = ["collection_name", "sweep"]

_SHOP = "collections"
"""The file of a store that says what its collections are called first: two stores may share one Milvus."""


def collection_name(store: Path, folder: Path) -> str:
    """Return the name of the collection for the vectors and columns in ``folder``."""
    files = [folder / "vectors" / VECTORS, *sorted(f for f in (folder / "table").rglob("*") if f.is_file())]
    content = hashlib.sha256("".join(sha256_of(file) for file in files).encode()).hexdigest()
    return f"{_prefix(store)}{content[:16]}"


def sweep(settings: Settings, note: Callable[[str], None]) -> None:
    """Remove the collections of the store that none of its snapshots names. What cannot be removed now goes another time."""
    store = Path(settings.store)
    if not settings.milvus_uri or not (store / _SHOP).exists():
        return
    named = {_named(store / "snapshots" / name) for name in list_snapshots(store)}
    try:
        milvus = connect(settings)
        for name in milvus.names():
            if name.startswith(_prefix(store)) and name not in named:
                milvus.drop(name)
    except VectorEngineError as error:
        note(f"Old collections stay until the next time. {error}")


def _named(folder: Path) -> str:
    """Return the collection a snapshot names, ``""`` for none; one that cannot be read cannot be served either."""
    try:
        return str(read_manifest(folder).report.get("vectors", {}).get("collection", ""))
    except SnapshotError:
        return ""


def _prefix(store: Path) -> str:
    path = store / _SHOP
    if not path.exists():
        replace_text(path, secrets.token_hex(8))
    return f"daogou_{path.read_text('utf-8').strip()}_"
