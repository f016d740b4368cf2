"""What people allowed, what they said they like, and who asked to be forgotten.

``people.sqlite`` holds consent by purpose and stated preferences, ``forgotten.jsonl`` one line for each erasure: who, as a keyed
hash, and when. The list of erasures is a file of its own, to be kept apart from backups of the rest: a backup that is put back
is cleaned by it when it is opened. Knows nothing of events.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from engine.events.files import legible, open_database, scrub
from engine.lasting import sync
from engine.privacy import mask

__all__ = ["FORGOTTEN", "PURPOSES", "Forgotten", "People", "Person", "Purpose"]

FORGOTTEN = "forgotten.jsonl"
"""The file that lists erasures."""
Purpose = Literal["personalisation", "improvement"]
_LATEST_MS = 2**63 - 1
"""What SQLite counts to."""
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
"""``personalisation`` is this person's own results, ``improvement`` is measuring, training and what is bought together."""
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS people (person TEXT PRIMARY KEY, consent TEXT NOT NULL, stated TEXT NOT NULL, "
    "updated_ms INTEGER NOT NULL) WITHOUT ROWID"
)


@dataclass(frozen=True, slots=True)
class Person:
    """What is kept of a person beside events: ``consent`` by purpose (a purpose that is missing was not asked), and ``stated``
    preferences as they were given."""

    consent: Mapping[str, bool] = field(default_factory=dict)
    stated: Mapping[str, Any] = field(default_factory=dict)
    updated_ms: int = 0


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An erasure: everything of ``person`` up to ``at_ms`` goes."""

    person: str
    at_ms: int


class People:
    """The people of one store. Thread-safe; several processes may share the files."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "people.sqlite"
        self._forgotten = folder / FORGOTTEN
        self._read: list[Forgotten] = []
        self._read_at = (0, 0)
        self._lock = threading.Lock()
        self._db = open_database(self._path, _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def person(self, person: str) -> Person | None:
        """Return what is kept of a person, ``None`` where that is nothing."""
        with self._lock, legible(self._path):
            row = self._db.execute("SELECT consent, stated, updated_ms FROM people WHERE person = ?", (person,)).fetchone()
            return _person(*row) if row else None

    def put(self, person: str, consent: Mapping[str, bool] | None = None, stated: Mapping[str, Any] | None = None) -> Person:
        """Change what is kept of a person; what is ``None`` stays."""
        with self._lock, legible(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                row = self._db.execute("SELECT consent, stated, updated_ms FROM people WHERE person = ?", (person,)).fetchone()
                before = _person(*row) if row else Person()
                stated = before.stated if stated is None else _masked(stated)
                # After their erasure, whatever the clock says: it may have been put back.
                erased = max((gone.at_ms for gone in self.forgotten() if gone.person == person), default=-1)
                after = Person({**before.consent, **(consent or {})}, stated, max(int(1000 * time.time()), erased + 1))
                self._db.execute(
                    "INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?)",
                    (person, orjson.dumps(after.consent).decode(), orjson.dumps(dict(after.stated)).decode(), after.updated_ms),
                )
                self._db.execute("COMMIT")
                scrub(self._db)
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        return after

    def forget(self, person: str, at_ms: int | None = None, least_ms: int = 0) -> tuple[bool, int]:
        """Forget what is kept here, then write down that everything up to now is to be forgotten, and make that last; return
        whether there was anything, and up to when: not before ``least_ms``, as the clock may have been put back.

        In this order, so that whatever was written by a consent that is gone was written before that time.

        Raises:
            OSError: the disk is full; only consent and preferences are forgotten then.
        """
        with self._lock:
            with legible(self._path):
                gone = self._db.execute("DELETE FROM people WHERE person = ?", (person,)).rowcount
            at = max(int(1000 * time.time()) if at_ms is None else at_ms, least_ms)
            line = orjson.dumps({"person": person, "at_ms": at}) + b"\n"
            handle = os.open(self._forgotten, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                rest = b"\n" + line if self._torn() else line
                while rest:
                    rest = rest[os.write(handle, rest) :]
                os.fsync(handle)
            finally:
                os.close(handle)
            sync(self._forgotten.parent)
        return gone > 0, at

    def forgotten(self) -> list[Forgotten]:
        """Return every erasure, in the order they were asked for; a line that a crash cut off was never acknowledged."""
        try:
            state = os.stat(self._forgotten)
        except FileNotFoundError:
            return []
        if (state.st_ino, state.st_size) != self._read_at:
            self._read = list(_lines(self._forgotten))
            self._read_at = (state.st_ino, state.st_size)
        return self._read

    def replay(self, seconds: float) -> bool:
        """Forget again whoever was put back by a backup: what was written before the erasure goes. Return whether nothing of it
        is left on the disk, which a reader may prevent for longer than ``seconds``."""
        with self._lock, legible(self._path):
            for gone in self.forgotten():
                self._db.execute("DELETE FROM people WHERE person = ? AND updated_ms <= ?", (gone.person, gone.at_ms))
            return scrub(self._db, seconds)

    def count(self) -> int:
        """Return how many people something is kept of."""
        with self._lock, legible(self._path):
            (n,) = self._db.execute("SELECT count(*) FROM people").fetchone()
        return int(n)

    def _torn(self) -> bool:
        """Return whether the list of erasures ends in the middle of a line."""
        try:
            with self._forgotten.open("rb") as stream:
                stream.seek(-1, os.SEEK_END)
                return stream.read(1) != b"\n"
        except OSError:
            return False


def _person(consent: str, stated: str, updated_ms: int) -> Person:
    """Return what a row keeps of a person.

    Raises:
        ValueError: it is damaged.
    """
    given, liked = orjson.loads(consent), orjson.loads(stated)
    if not (isinstance(given, dict) and all(type(said) is bool for said in given.values()) and isinstance(liked, dict)):
        raise ValueError("what a person allows is damaged")
    return Person(given, liked, int(updated_ms))


def _lines(path: Path) -> Iterator[Forgotten]:
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
            record = orjson.loads(line)
            person, at_ms = bytes.fromhex(str(record["person"])).hex(), int(record["at_ms"])
            if 0 <= at_ms <= _LATEST_MS:
                yield Forgotten(person, at_ms)


def _masked(stated: Any) -> Any:
    """Return stated preferences with whatever is personal in their texts masked."""
    if isinstance(stated, str):
        return mask(stated).text
    if isinstance(stated, Mapping):
        return {name: _masked(value) for name, value in stated.items()}
    return [_masked(value) for value in stated] if isinstance(stated, list | tuple) else stated
