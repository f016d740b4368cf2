"""Putting a store's snapshots on object storage, where servers fetch them: ``daogou push``, and the end of every publication.

In: a store and the address in the setting ``remote``. Out: the layout of :mod:`engine.index.remote`. Files first, then the
manifest, then the pointer, so that whoever reads sees the old snapshot or the new one. One store publishes to one address: what
another has published there is not overwritten. Knows nothing of what is in a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.errors import GateError, RemoteError
from engine.index.remote import Remote
from engine.index.snapshot import MANIFEST, current_id, list_snapshots, read_manifest
from engine.settings import Settings

__all__ = ["bring_back", "push"]

_AT_A_TIME = 8


def push(settings: Settings, note: Callable[[str], None]) -> str:
    """Put the current snapshot of the store on the storage, remove what the store does not keep either, and return its id;
    ``""`` without a storage or a snapshot.

    Raises:
        GateError: the storage did not take it; the store keeps what it has. Or another store publishes there.
    """
    store = Path(settings.store)
    name = current_id(store) if settings.remote else ""
    if not name:
        return ""
    remote = Remote(settings.remote)
    kept = list_snapshots(store)
    try:
        with remote.told("Publishing"):
            there = remote.current()
            if there and there not in kept:
                raise GateError(
                    f"{remote.uri} serves {there}, which {store} does not have: another store publishes there. Nothing was changed "
                    "there. Give each store an address of its own, or remove CURRENT there."
                )
            _put(remote, store / "snapshots" / name, name)
            if there != name:
                remote.files.pipe_file(f"{remote.root}/CURRENT", f"{name}\n".encode())
                note(f"Published to {remote.uri}.")
            _prune(remote, store, kept)
    except RemoteError as error:
        raise GateError(f"{error} The store has the snapshot; run `daogou push` when the storage answers again.") from error
    return name


def bring_back(settings: Settings, note: Callable[[str], None]) -> None:
    """Fetch the snapshot that the storage serves into a store that has none, so that it is built upon.

    Raises:
        RemoteError: the storage does not answer.
    """
    store = Path(settings.store)
    if not settings.remote or list_snapshots(store):
        return
    remote = Remote(settings.remote)
    if name := remote.current():
        note(f"Fetching snapshot {name} from {remote.uri}.")
        remote.fetch(name, store, whole=True)


def _put(remote: Remote, folder: Path, name: str) -> None:
    """Put the files of a snapshot that are not there, then its manifest."""
    if remote.files.exists(f"{remote.root}/snapshots/{name}/{MANIFEST}"):
        return
    for part in ("files", f"snapshots/{name}"):
        remote.files.makedirs(f"{remote.root}/{part}", exist_ok=True)
    there = _listed(remote, "files")
    entries = read_manifest(folder).files.items()
    # one of another size was broken off
    missing = {entry["sha256"]: folder / file for file, entry in entries if there.get(entry["sha256"]) != entry["bytes"]}
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for _ in pool.map(lambda f: remote.files.put_file(str(f[1]), f"{remote.root}/files/{f[0]}"), sorted(missing.items())):
            pass
    remote.files.put_file(str(folder / MANIFEST), f"{remote.root}/snapshots/{name}/{MANIFEST}")


def _prune(remote: Remote, store: Path, kept: list[str]) -> None:
    """Remove snapshots that the store does not keep, and files that none there names."""
    there = _listed(remote, "snapshots").keys()
    gone = sorted(there - set(kept))
    for name in gone:
        remote.files.rm(f"{remote.root}/snapshots/{name}", recursive=True)
    if gone:
        named = {e["sha256"] for name in there & set(kept) for e in read_manifest(store / "snapshots" / name).files.values()}
        for file in _listed(remote, "files").keys() - named:
            remote.files.rm_file(f"{remote.root}/files/{file}")


def _listed(remote: Remote, folder: str) -> dict[str, int]:
    """Return the names in a folder with their sizes."""
    try:
        found = remote.files.ls(f"{remote.root}/{folder}", detail=True)
    except FileNotFoundError:  # an object store has no empty folders
        return {}
    return {entry["name"].rstrip("/").rpartition("/")[2]: entry["size"] or 0 for entry in found}
