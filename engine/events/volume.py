"""One file of the event log: what happened in one month, or on one day.

SQLite with a write-ahead log that is synced at each commit (``synchronous=FULL``), so that what was acknowledged survives a
killed process and a power cut; what is deleted is overwritten (``secure_delete``). Each row has a checksum of its values; rows of
format 1 have none. Knows nothing of people's ids: they come hashed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import EventLogError
from engine.events.checksum import any_text, checksum
from engine.events.files import open_database, scrub

__all__ = ["COLUMNS", "Volume", "damaged"]

COLUMNS = (
    "id", "time_ms", "kind", "user", "client", "session", "query_id", "query", "products", "position", "quantity", "amount",
    "currency", "rating", "ordered", "variants", "guessed",
)  # fmt: skip
_USER, _CLIENT = COLUMNS.index("user"), COLUMNS.index("client")
_KEPT = ",".join((*COLUMNS, "checksum", "seq"))
_FORMAT = 2
_AT_ONCE = 2000
Key = tuple[int, int]
"""The time of a row and its number."""
_SCHEMA = f"""
CREATE TABLE events (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, time_ms INTEGER NOT NULL, kind INTEGER NOT NULL,
  user BLOB, client BLOB, session BLOB, query_id BLOB, query TEXT, products TEXT, position INTEGER, quantity INTEGER,
  amount INTEGER, currency TEXT, rating INTEGER, ordered BLOB, variants TEXT, guessed INTEGER, checksum INTEGER);
CREATE INDEX by_time ON events (time_ms);
CREATE INDEX by_user ON events (user, time_ms) WHERE user IS NOT NULL;
CREATE INDEX by_client ON events (client, time_ms) WHERE client IS NOT NULL;
CREATE INDEX by_query ON events (query_id, kind) WHERE query_id IS NOT NULL;
CREATE TABLE applied (erasure TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA user_version = {_FORMAT};
"""
_OF_FORMAT_1 = f"""
ALTER TABLE events ADD COLUMN checksum INTEGER;
PRAGMA user_version = {_FORMAT};
"""


def damaged(row: Sequence[Any]) -> bool:
    """Return whether a row of :data:`COLUMNS` with its checksum behind them is not as it was written."""
    own = row[len(COLUMNS)]
    return own is not None and own != checksum(row[: len(COLUMNS)])


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
        version = self._version()
        if version not in (0, 1, _FORMAT):
            raise sqlite3.DatabaseError(f"it is of format {version}, this version reads {_FORMAT}")
        if version != _FORMAT:
            with self._writing():  # another process may have been faster
                for statement in {0: _SCHEMA, 1: _OF_FORMAT_1}.get(self._version(), "").split(";"):
                    self._db.execute(statement)
        self._db.text_factory = any_text

    def _version(self) -> int:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(version)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, rows: Sequence[tuple[Any, ...]], gone: Callable[[], Mapping[bytes, int]] = dict) -> int:
        """Add rows of :data:`COLUMNS` whose id is new, make them last, and return how many they were.

        ``gone`` says, once nobody else writes, whom to leave out up to which time: an erasure may have come in between.
        """
        with self._writing():
            if erased := gone():
                rows = [row for row in rows if all(row[1] > erased.get(row[who], -1) for who in (_USER, _CLIENT) if row[who])]
            added = self._insert(rows)
            if added < len(rows):
                added += self._insert([row for row in rows if self._freed(row[0])])
        return added

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> int:
        before = self._db.total_changes
        self._db.executemany(
            f"INSERT OR IGNORE INTO events ({','.join(COLUMNS)},checksum) VALUES ({','.join('?' * (len(COLUMNS) + 1))})",
            ((*row, checksum(row)) for row in rows),
        )
        return self._db.total_changes - before

    def _freed(self, id: bytes) -> bool:
        """Remove the row of an id where it is damaged, so that what is sent again is whole again; return whether it was."""
        rows = self._db.execute(f"SELECT {_KEPT} FROM events WHERE id = ?", (id,)).fetchall()
        gone = [(row[-1],) for row in rows if damaged(row)]
        self._db.executemany("DELETE FROM events WHERE seq = ?", gone)
        return bool(gone)

    def rows(self, where: str, values: Sequence[Any], order: str, most: int = -1) -> list[tuple[Any, ...]]:
        """Return rows of :data:`COLUMNS` in an order, each with its checksum and its number at the end."""
        return self.ask(f"SELECT {_KEPT} FROM events WHERE {where} ORDER BY {order} LIMIT ?", (*values, most))

    def page(self, since: int, until: int, kinds: str, last: Key) -> tuple[list[tuple[Any, ...]], Key | None]:
        """Return the next :meth:`rows` by time behind ``last``, and where they end, nothing where there are no more; ``kinds`` are
        codes. Where they end the index says, not the last row, which may be damaged."""
        behind, given = "time_ms >= ? AND (time_ms, seq) > (?, ?) AND time_ms < ?", [max(since, last[0]), *last, until]
        asked = f"SELECT time_ms, seq FROM events WHERE {behind} ORDER BY time_ms, seq LIMIT 1 OFFSET {_AT_ONCE}"
        end: Any = next(iter(self.ask(asked, given)), None)
        if end:
            if end <= last:
                raise EventLogError(f"{self.path} cannot be read: its index is damaged. Mend it by `daogou events check --mend`.")
            behind, given = f"{behind} AND time_ms <= ? AND (time_ms, seq) <= (?, ?)", [*given, end[0], *end]
        return self.rows(f"{behind} AND kind IN ({kinds})", given, "time_ms, seq"), end

    def blank(self, columns: Sequence[str], where: str, values: Sequence[Any]) -> int:
        """Empty columns of rows, make that last, and return how many they were. A damaged row stays one."""
        places, done = [COLUMNS.index(column) for column in columns], 0
        change = f"UPDATE events SET {', '.join(f'{column} = NULL' for column in columns)}, checksum = ? WHERE seq = ?"
        full = " OR ".join(f"{column} IS NOT NULL" for column in columns)
        while True:
            with self._read(), self._writing():
                asked = f"SELECT {_KEPT} FROM events WHERE ({where}) AND ({full}) LIMIT {_AT_ONCE}"
                rows = self._db.execute(asked, values).fetchall()
                for row in rows:
                    after = [None if place in places else value for place, value in enumerate(row[: len(COLUMNS)])]
                    self._db.execute(change, (row[-2] if row[-2] is None or damaged(row) else checksum(after), row[-1]))
            done += len(rows)
            if len(rows) < _AT_ONCE:
                return done

    def all(self) -> Iterator[tuple[Any, ...]]:
        """Yield every row, as :meth:`rows` has them, in the order they were added."""
        last = -(2**63)
        while rows := self.ask(f"SELECT {_KEPT} FROM events WHERE seq > ? ORDER BY seq LIMIT {_AT_ONCE}", (last,)):
            yield from rows
            last = rows[-1][-1]

    def problem(self) -> str:
        """Return what is wrong with the file beside its rows, such as an index that lacks some; empty where nothing is."""
        (first, *_) = self.ask("PRAGMA integrity_check(1)")
        return "" if first == ("ok",) else str(first[0])

    def mend(self, numbers: Sequence[int]) -> None:
        """Make the indexes anew, and remove rows."""
        if self.problem():
            self.ask("REINDEX")
        with self._read(), self._writing():
            self._db.executemany("DELETE FROM events WHERE seq = ?", [(number,) for number in numbers])
        self.scrub()

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
