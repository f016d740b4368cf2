"""What was made from whose events: training sets, models and snapshots, each with the people whose events went into it.

``uses.sqlite`` answers one question, which of them saw a person. People are keyed hashes. Knows nothing of events.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.events.files import legible, open_database, scrub

__all__ = ["Use", "Uses"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS uses (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, at_ms INTEGER NOT NULL,
  UNIQUE (kind, name));
CREATE TABLE IF NOT EXISTS saw (person TEXT NOT NULL, use INTEGER NOT NULL, PRIMARY KEY (person, use)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Use:
    """Something made from events: ``kind`` is ``examples``, ``model`` or ``snapshot``, ``name`` tells which."""

    kind: str
    name: str
    at_ms: int


class Uses:
    """What was made from the events of one store. Thread-safe; several processes may share the file."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._path = folder / "uses.sqlite"
        self._db = open_database(self._path, _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def add(self, kind: str, name: str, people: Iterable[str]) -> None:
        """Write down whose events something was made from; once more, and it is those people's instead."""
        with self._lock, legible(self._path), self._db:  # kept whole, or undone
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR IGNORE INTO uses (kind, name, at_ms) VALUES (?, ?, 0)", (kind, name))
            (use,) = self._db.execute("SELECT id FROM uses WHERE kind = ? AND name = ?", (kind, name)).fetchone()
            self._db.execute("UPDATE uses SET at_ms = ? WHERE id = ?", (int(1000 * time.time()), use))
            self._db.execute("DELETE FROM saw WHERE use = ?", (use,))
            self._db.executemany("INSERT OR IGNORE INTO saw VALUES (?, ?)", ((person, use) for person in people if person))

    def inherit(self, kind: str, name: str, parent_kind: str, parent: str) -> None:
        """Write down that something was made from what was made before, and so saw the same people."""
        with self._lock, legible(self._path):
            rows = self._db.execute(
                "SELECT person FROM saw JOIN uses ON uses.id = use WHERE kind = ? AND name = ?", (parent_kind, parent)
            ).fetchall()
        self.add(kind, name, [person for (person,) in rows])

    def of(self, person: str) -> list[Use]:
        """Return what saw a person, the earliest first."""
        with self._lock, legible(self._path):
            asked = "SELECT kind, name, at_ms FROM saw JOIN uses ON uses.id = use WHERE person = ? ORDER BY at_ms, kind, name"
            rows = self._db.execute(asked, (person,)).fetchall()
        return [Use(*row) for row in rows]

    def forget(self, person: str, at_ms: int = 2**62) -> int:
        """Take a person off every list that was made by then, and return how many those were."""
        with self._lock, legible(self._path):
            asked = "DELETE FROM saw WHERE person = ? AND use IN (SELECT id FROM uses WHERE at_ms <= ?)"
            return self._db.execute(asked, (person, at_ms)).rowcount

    def scrub(self, seconds: float) -> bool:
        """Leave nothing of what was deleted in the files; return whether that was done."""
        with self._lock, legible(self._path):
            return scrub(self._db, seconds)
