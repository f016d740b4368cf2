"""SQLite files that last: what is committed is on the disk, what is deleted is overwritten, several processes may share them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from engine.errors import EventLogError
from engine.lasting import sync

__all__ = ["legible", "open_database", "scrub"]

_BUSY_S = 30.0
_opening = threading.Lock()


def open_database(path: Path, schema: str = "") -> sqlite3.Connection:
    """Return a connection in autocommit mode for one thread at a time; ``schema`` is run where the file is new to it.

    Raises:
        EventLogError: it cannot be opened.
    """
    try:
        _make(path)
        database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        _log_ahead(database)
        for setting in ("synchronous=FULL", "secure_delete=ON", "cache_size=-16384"):
            database.execute(f"PRAGMA {setting}")
        for statement in filter(None, map(str.strip, schema.split(";"))):
            database.execute(statement)
        sync(path.parent)
    except (sqlite3.Error, OSError, UnicodeError) as error:  # SQLite quotes what is damaged in its own words
        raise EventLogError(f"{path} cannot be opened: {error}. Restore it from a backup, or move it away.") from error
    return database


@contextlib.contextmanager
def legible(path: Path) -> Iterator[None]:
    """Turn what SQLite and the readers of its values say of a damaged file into a sentence.

    Raises:
        EventLogError: the file is damaged, or another process keeps it too long.
    """
    try:
        yield
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise EventLogError(f"{path} cannot be read: {error}. Restore it from a backup, or move it away.") from error


def _make(path: Path) -> None:
    """Make a file that its owner alone can read, and whose rights those beside it get.

    One that exists is never opened but by SQLite: whoever closes a file lets go of all locks that his process holds on it (POSIX),
    and another process would take the write-ahead log away from under an open connection.
    """
    with _opening, contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _log_ahead(database: sqlite3.Connection) -> None:
    """Turn the write-ahead log on, which does not wait by itself for another process that does the same."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            database.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def scrub(database: sqlite3.Connection, seconds: float = 3.0) -> bool:
    """Leave nothing of what was deleted in the files beside a database; return whether that was done, as a reader may be in the
    way."""
    until = time.monotonic() + seconds
    database.execute("PRAGMA busy_timeout = 200")
    try:
        while database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True
    finally:
        database.execute(f"PRAGMA busy_timeout = {int(1000 * _BUSY_S)}")
