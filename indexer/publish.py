"""Making a finished folder the one that serves, and going back.

In: a folder and its manifest. Out: the store's pointer moved in one step. Order: files synced, manifest last, folder
renamed, pointer replaced, each made to last before the next. Killed anywhere, the store has the old snapshot or the
new one. One writer at a time, by lock. Knows nothing of what is in a snapshot.

A snapshot is built in a store of its own, ``STORE/work-PID.tmp``, so nothing unfinished ever lies under ``snapshots``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.errors import LockedError, SnapshotError
from engine.index.snapshot import Manifest, current_id, list_snapshots, open_snapshot, sha256_of
from indexer.durable import remove_tree, rename, replace_text, sync_tree, write_text

__all__ = ["finish", "list_files", "new_id", "prune", "publish", "remove_leftovers", "rollback", "writer_lock"]

_STAMP = "%Y%m%dT%H%M%SZ"


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


def remove_leftovers(store: Path) -> None:
    """Remove what killed writers left: work folders, drafts of the pointer, snapshots without a manifest."""
    for path in [*(store / "snapshots").glob("*"), *store.glob("*.tmp")]:
        if path.suffix != ".tmp" and (not path.is_dir() or (path / "manifest.json").exists()):
            continue
        if path.is_dir():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file below ``folder``, as manifests hold them."""
    found = sorted((p.relative_to(folder).as_posix(), p) for p in folder.rglob("*") if p.is_file())
    return {name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for name, path in found}


def new_id(store: Path, files: Mapping[str, Mapping[str, Any]]) -> str:
    """Return ``TIME-CONTENT``, greater than every id in ``store`` even if the clock was put back."""
    stamp = datetime.now(UTC)
    for name in list_snapshots(store)[-1:]:
        try:
            newest = datetime.strptime(name.partition("-")[0], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue
        stamp = max(stamp, newest + timedelta(seconds=1))
    content = hashlib.sha256("".join(f"{name} {f['sha256']} " for name, f in files.items()).encode()).hexdigest()
    return f"{stamp.strftime(_STAMP)}-{content[:6]}"


def finish(work: Path, folder: Path, manifest: Manifest) -> Path:
    """Make the files of ``folder`` last, then write the manifest, and give it its name in the store ``work``."""
    sync_tree(folder)
    write_text(folder / "manifest.json", manifest.to_json())
    target = work / "snapshots" / manifest.id
    rename(folder, target)
    return target


def publish(store: Path, finished: Path) -> None:
    """Move a finished folder into ``store`` and let it serve. If that fails, it is gone and the old one serves."""
    target = store / "snapshots" / finished.name
    if not target.parent.exists():
        target.parent.mkdir()
    try:
        rename(finished, target)
        replace_text(store / "CURRENT", finished.name + "\n")
    except BaseException:
        if _pointer(store) != finished.name:
            remove_tree(target)
        raise


def prune(store: Path, keep: int, previous: str = "") -> None:
    """Remove all but ``keep`` snapshots, and exported encoders that none of them has.

    Kept are the current one, the ``previous`` one, so that one can go back to it, and then the newest.
    """
    names = list_snapshots(store)
    wanted = [name for name in dict.fromkeys([current_id(store), previous, *names[::-1]]) if name in names]
    for name in sorted(set(names) - set(wanted[:keep])):
        remove_tree(store / "snapshots" / name)
        (store / "rejects" / f"{name}.tsv").unlink(missing_ok=True)
    used = {card.read_bytes() for card in (store / "snapshots").glob("*/encoder/encoder.json")}
    for card in (store / "encoders").glob("*/encoder.json"):
        if card.read_bytes() not in used:
            shutil.rmtree(card.parent, ignore_errors=True)


def _pointer(store: Path) -> str:
    """Return the current id, or ``""`` where the pointer is missing or damaged."""
    try:
        return current_id(store)
    except SnapshotError:
        return ""


def rollback(store: Path, to: str = "") -> str:
    """Make the newest snapshot before the current one (or ``to``) serve, once it is verified, and return its id.

    Where the pointer is damaged or missing, that is the newest snapshot of all.

    Raises:
        SnapshotError: there is none to go back to, or it is damaged.
        LockedError: another process is writing.
    """
    if not list_snapshots(store):  # asked before the lock, which would make the folder
        raise SnapshotError(
            f"There is no store at {store}, so there is no snapshot to go back to. Check --store, or index a feed."
        )
    with writer_lock(store):
        current, names = _pointer(store), list_snapshots(store)
        older = [name for name in names if not current or name < current]
        target = to or (older[-1] if older else "")
        kept = ", ".join(names) or "none"
        if to and to not in names:
            raise SnapshotError(f"There is no snapshot at {store / 'snapshots' / to}. Kept are: {kept}.")
        if not target or target == current:
            raise SnapshotError(f"There is no snapshot to go back to from {current or 'nothing'}. Kept are: {kept}.")
        try:
            open_snapshot(store, target)
        except SnapshotError as error:
            raise SnapshotError(f"{current or 'Nothing'} keeps serving. {error} Or name another one: {kept}.") from error
        replace_text(store / "CURRENT", target + "\n")
        return target
