"""Where a reindex works, and what is left when it does not end well: nothing.

In: a store. Out: a :class:`Workplace` inside it, taken away again whatever happens, and errors of the disk as
sentences. Knows nothing of feeds, models or what is built.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from engine.errors import GateError, SnapshotError
from engine.index.snapshot import Snapshot, current_id, open_snapshot, read_manifest
from indexer.publish import remove_leftovers

__all__ = ["Workplace", "open_previous", "previous_count", "workplace"]

_NO_SPACE = 1 << 20
"""Below this many free bytes, a failed write is a full disk: numpy and FAISS do not pass the system's reason on."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """``root`` is a store of its own; the snapshot grows in ``folder`` before it gets a name there."""

    root: Path
    rejects: Path

    @property
    def folder(self) -> Path:
        """Where the files of the snapshot are written."""
        return self.root / "snapshots" / "building"

    @property
    def scratch(self) -> Path:
        """Where cleaned products wait, and what does not fit in memory."""
        return self.root / "scratch"

    def keep_rejects(self, snapshot_id: str) -> str:
        """Name the file of rejected rows after the snapshot, if one was published, and return its path."""
        if not snapshot_id:
            return str(self.rejects)
        return str(self.rejects.replace(self.rejects.with_name(f"{snapshot_id}.tsv")))


@contextmanager
def workplace(store: Path, note: Callable[[str], None]) -> Iterator[Workplace]:
    """Give a place to work in; take it away again at the end. SIGTERM ends the work as Ctrl-C does.

    Raises:
        GateError: the disk is full, or the store cannot be written.
    """
    remove_leftovers(store)
    work = Workplace(store / f"work-{os.getpid()}.tmp", store / "rejects" / "unpublished.tsv")
    serving = _pointer(store)
    try:
        with _terminated_as_interrupted():
            work.folder.mkdir(parents=True)
            work.rejects.parent.mkdir(exist_ok=True)
            work.rejects.unlink(missing_ok=True)
            yield work
    except (OSError, RuntimeError) as error:
        if reason := _disk_reason(error, store, work.root):
            kept = "Nothing was published" if _pointer(store) == serving else "The new snapshot was published"
            raise GateError(f"{reason} {kept}.") from error
        raise
    except KeyboardInterrupt:
        if _pointer(store) == serving:
            note("Interrupted. Nothing was published, and what was half done is removed.")
        raise
    finally:
        shutil.rmtree(work.root, ignore_errors=True)


def open_previous(store: Path, note: Callable[[str], None]) -> Snapshot | None:
    """Return the current snapshot, or ``None`` where there is none that can be trusted."""
    if not (store / "CURRENT").exists():
        return None
    try:
        return open_snapshot(store)
    except SnapshotError as error:
        note(f"The current snapshot is not built upon: {error}")
        return None


def previous_count(store: Path) -> int:
    """Return how many products the current snapshot says it has, even if it is damaged; 0 where there is none."""
    try:
        name = current_id(store)
        return read_manifest(store / "snapshots" / name).products if name else 0
    except SnapshotError:
        return 0


def _pointer(store: Path) -> str:
    path = store / "CURRENT"
    return path.read_text("utf-8", "replace") if path.exists() else ""


def _disk_reason(error: OSError | RuntimeError, store: Path, root: Path) -> str:
    """Return a sentence for an error of the disk, or ``""`` for any other."""
    free = shutil.disk_usage(store).free
    if getattr(error, "errno", None) == errno.ENOSPC or free < _NO_SPACE:
        written = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        return (
            f"The disk of {store} is full: {written:,} bytes were written, more are needed, and {free:,} are free. Free "
            "some space, or lower the setting keep_snapshots, and index again."
        )
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.filename or store} cannot be written or read ({error.strerror})."
    return ""


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM raise :class:`KeyboardInterrupt`; only a main thread can, elsewhere it changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
