"""One file of the event log: what happened in one month, or on one day.

SQLite with a write-ahead log that is synced at each commit (``synchronous=FULL``), so that what was acknowledged survives a
killed process and a power cut; what is deleted is overwritten (``secure_delete``). Knows nothing of people's ids: they come
hashed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import EventLogError
from engine.events.files import open_database, scrub

__all__ = ["COLUMNS", "Volume"]

COLUMNS = (
    "id", "time_ms", "kind", "user", "client", "session", "query_id", "query", "products", "position", "quantity", "amount",
    "currency", "rating", "ordered", "variants", "guessed",
)  # fmt: skip
_USER, _CLIENT = COLUMNS.index("user"), COLUMNS.index("client")
_FORMAT = 1
_SCHEMA = f"""
CREATE TABLE events (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, time_ms INTEGER NOT NULL, kind INTEGER NOT NULL,
  user BLOB, client BLOB, session BLOB, query_id BLOB, query TEXT, products TEXT, position INTEGER, quantity INTEGER,
  amount INTEGER, currency TEXT, rating INTEGER, ordered BLOB, variants TEXT, guessed INTEGER);
CREATE INDEX by_time ON events (time_ms);
CREATE INDEX by_user ON events (user, time_ms) WHERE user IS NOT NULL;
CREATE INDEX by_client ON events (client, time_ms) WHERE client IS NOT NULL;
CREATE INDEX by_query ON events (query_id, kind) WHERE query_id IS NOT NULL;
CREATE TABLE applied (erasure TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA user_version = {_FORMAT};
"""


class Volume:
    """A file of events. One thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = open_database(path)
        try:
            self._make()
        except sqlite3.Error as error:
            raise EventLogError(f"{path} cannot be opened: {error}. Restore it from a backup, or move it away.") from error

    def _make(self) -> None:
        """Make the tables of a new file.

        Raises:
            sqlite3.Error: the file is of another format, or damaged.
        """
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            with self._writing():
                (version,) = self._db.execute("PRAGMA user_version").fetchone()  # another process may have been faster
                for statement in _SCHEMA.split(";") if version == 0 else ():
                    self._db.execute(statement)
        elif version != _FORMAT:
            raise sqlite3.DatabaseError(f"it is of format {version}, this version reads {_FORMAT}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, rows: Sequence[tuple[Any, ...]], gone: Callable[[], Mapping[bytes, int]] = dict) -> int:
        """Add rows of :data:`COLUMNS` whose id is new, make them last, and return how many they were.

        ``gone`` says, once nobody else writes, whom to leave out up to which time: an erasure may have come in between.
        """
        before = self._db.total_changes
        marks = ",".join("?" * len(COLUMNS))
        with self._writing():
            if erased := gone():
                rows = [row for row in rows if all(row[1] > erased.get(row[who], -1) for who in (_USER, _CLIENT) if row[who])]
            self._db.executemany(f"INSERT OR IGNORE INTO events ({','.join(COLUMNS)}) VALUES ({marks})", rows)
            added = self._db.total_changes - before
        return added

    def rows(self, where: str, values: Sequence[Any], order: str, most: int = -1) -> Iterator[tuple[Any, ...]]:
        """Yield rows of :data:`COLUMNS`, in an order."""
        asked = f"SELECT {','.join(COLUMNS)} FROM events WHERE {where} ORDER BY {order} LIMIT ?"
        yield from self.ask(asked, (*values, most))

    def page(self, since: int, until: int, kinds: str, last: tuple[int, int], most: int = 2000) -> list[tuple[Any, ...]]:
        """Return the next rows by time behind ``last`` (time, number), each with its number at the end; ``kinds`` are codes."""
        return self.ask(
            f"SELECT {','.join(COLUMNS)}, seq FROM events WHERE time_ms >= ? AND time_ms < ? AND kind IN ({kinds}) "
            "AND (time_ms, seq) > (?, ?) ORDER BY time_ms, seq LIMIT ?",
            (max(since, last[0]), until, *last, most),
        )

    def ask(self, question: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the answer to a question in SQL.

        Raises:
            EventLogError: the file is damaged.
        """
        with self._read():
            return self._db.execute(question, values).fetchall()

    def change(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Change rows, make that last, and return how many they were."""
        with self._read(), self._writing():
            done = self._db.execute(statement, values).rowcount
        return done

    def scrub(self, seconds: float = 1.0) -> bool:
        """Leave nothing of what was deleted in the files beside this one; return whether that was done."""
        return scrub(self._db, seconds)

    @contextlib.contextmanager
    def _read(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise EventLogError(f"{self.path} cannot be read: {error}. Restore it from a backup, or move it away.") from error

    def _writing(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    """A transaction that is kept whole, or undone."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            try:
                self._db.execute("COMMIT")
                return
            except sqlite3.Error:
                self._undo()
                raise
        self._undo()

    def _undo(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
