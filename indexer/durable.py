"""The few ways anything is made to last: every rename, sync and replacement of the indexer goes through here.

A rename alone can be lost or reordered by a power cut, so files are synced before they are renamed and folders after.
``DAOGOU_CRASH_AT=n`` ends the process without warning before the n-th step: the tests kill at every one.
Knows nothing of snapshots.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from engine.lasting import sync

__all__ = ["link_or_copy", "remove_tree", "rename", "replace_text", "sync_tree", "write_out", "write_text"]

_AT_A_TIME = 1 << 24
_steps = 0


def _step() -> None:
    global _steps
    _steps += 1
    if str(_steps) == os.environ.get("DAOGOU_CRASH_AT"):
        os._exit(137)


def _sync(path: Path) -> None:
    _step()
    sync(path)


def sync_tree(folder: Path) -> None:
    """Make every file below ``folder`` last and readable by other users, then the folders, innermost first."""
    for root, _, files in os.walk(folder, topdown=False):
        for name in sorted(files):
            path = Path(root, name)
            path.chmod(0o644)
            _sync(path)
        Path(root).chmod(0o755)
        _sync(Path(root))


def write_text(path: Path, text: str) -> None:
    """Write a file that other users can read, and make its content and its name last."""
    _step()
    with path.open("w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o644)
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    _sync(path.parent)


def rename(source: Path, target: Path) -> None:
    """Rename a folder in one step and make the new name last."""
    _step()
    source.rename(target)
    _sync(target.parent)


def replace_text(path: Path, text: str) -> None:
    """Replace a small file in one step: readers see the old text or the new one."""
    draft = path.with_name(path.name + ".tmp")
    write_text(draft, text)
    _step()
    draft.replace(path)
    _sync(path.parent)


def link_or_copy(source: Path, target: Path) -> None:
    """Let ``target`` be the same file as ``source``, by a hard link where the file system can."""
    _step()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def write_out(source: Path, target: Path) -> None:
    """Write the content of ``source`` to a new file, so that what was filled in through a memory map becomes an ordinary write."""
    _step()
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as read, target.open("wb") as written:
        while some := read.read(_AT_A_TIME):
            written.write(some)


def remove_tree(folder: Path) -> None:
    """Remove a snapshot, its manifest first, so that what is half removed no longer exists."""
    _step()
    (folder / "manifest.json").unlink(missing_ok=True)
    _step()
    shutil.rmtree(folder, ignore_errors=True)
