"""Making a finished folder the one that serves, and going back.

In: a folder and its manifest. Out: the store's pointer moved in one step. Order: files synced, manifest last, folder
renamed, pointer replaced, each made to last before the next. Killed anywhere, the store has the old snapshot or the
new one. One writer at a time, by lock. Knows nothing of what is in a snapshot.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.errors import LockedError, SnapshotError
from engine.index.snapshot import Manifest, current_id, list_snapshots, open_snapshot, read_manifest, sha256_of
from indexer.durable import remove_tree, rename, replace_text, sync_tree, write_text

__all__ = ["new_folder", "prune", "publish", "remove_leftovers", "rollback", "writer_lock"]


@contextmanager
def writer_lock(store: Path) -> Iterator[None]:
    """Hold the store for writing. The lock is the kernel's: it ends with the process, however that ends.

    Raises:
        LockedError: another process holds it.
    """
    store.mkdir(parents=True, exist_ok=True)
    with (store / "LOCK").open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise LockedError(f"Process {holder} is writing to {store}. Wait for it to finish, then try again.") from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def new_folder(store: Path) -> Path:
    """Return a fresh folder to build in; it does not exist as a snapshot until it is published."""
    folder = store / "snapshots" / f"building-{os.getpid()}.tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def remove_leftovers(store: Path) -> None:
    """Remove what killed writers left: half-built folders, spools and drafts of the pointer."""
    for path in [*(store / "snapshots").glob("*.tmp"), *store.glob("*.tmp")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def publish(store: Path, folder: Path, manifest: Manifest) -> Manifest:
    """Finish ``folder`` and make it the current snapshot. Return the manifest with its id and files filled in."""
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    content = hashlib.sha256("".join(f["sha256"] for f in files.values()).encode()).hexdigest()
    now = datetime.now(UTC)
    stamp = now.strftime("%Y%m%dT%H%M%S") + f"{now.microsecond // 1000:03d}Z"
    finished = replace(manifest, id=f"{stamp}-{content[:6]}", created=now.isoformat(timespec="seconds"), files=files)
    sync_tree(folder)
    write_text(folder / "manifest.json", finished.to_json())
    target = store / "snapshots" / finished.id
    rename(folder, target)
    replace_text(store / "CURRENT", finished.id + "\n")
    return finished


def prune(store: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` snapshots, never the current one, and encoders that none of them uses."""
    current = current_id(store)
    names = list_snapshots(store)
    kept = set(names[-keep:]) | {current}
    for name in names:
        if name not in kept:
            remove_tree(store / "snapshots" / name)
    used = {read_manifest(store / "snapshots" / n).encoder.partition(":")[0] for n in list_snapshots(store)}
    for folder in (store / "encoders").glob("*"):
        if folder.is_dir() and len(folder.name) == 64 and folder.name not in used and not _linked(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _linked(folder: Path) -> bool:
    """Whether a snapshot shares the folder's files, so that removing it would free nothing."""
    return any(f.stat().st_nlink > 1 for f in folder.rglob("*") if f.is_file())


def rollback(store: Path, to: str = "") -> str:
    """Make the snapshot before the current one (or ``to``) serve again, once it is verified, and return its id.

    Raises:
        SnapshotError: there is none to go back to, or it is damaged.
        LockedError: another process is writing.
    """
    with writer_lock(store):
        current = current_id(store)
        older = [name for name in list_snapshots(store) if name < current] or [""]
        target = to or older[-1]
        if not target or target == current:
            kept = ", ".join(list_snapshots(store)) or "none"
            raise SnapshotError(f"There is no snapshot to go back to from {current or 'nothing'}. Kept are: {kept}.")
        open_snapshot(store, target)
        replace_text(store / "CURRENT", target + "\n")
        return target
