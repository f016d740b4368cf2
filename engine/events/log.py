"""The event log: what shoppers did, kept in files by month or day, personal data masked before anything is written.

In: :class:`~engine.events.event.Event` values. Out: :class:`~engine.events.event.StoredEvent` values, by time. There is no other
way in than :meth:`EventLog.add`, and it hashes ids, masks words and leaves out who did it where nobody consented. An event that
was acknowledged is on the disk; one that comes twice is kept once. Thread-safe; several processes may share a folder.

    STORE/events/
      key                what ids are hashed with
      2026-11.sqlite     what happened in that month (with -wal and -shm while it is open)
      clock.json         when the clock was last looked at and believed
      people.sqlite      consent and stated preferences
      forgotten.jsonl    who asked to be forgotten
      uses.sqlite        what was made from whose events
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import EventLogError, UnfinishedErasureError
from engine.events.checking import Checked, checked
from engine.events.clock import Clock
from engine.events.event import KINDS, Event, EventKind, StoredEvent, invalid
from engine.events.keys import Keyring
from engine.events.people import FORGOTTEN, PURPOSES, People, Purpose
from engine.events.rows import CODES, device, stored, written
from engine.events.uses import Uses
from engine.events.volumes import Volumes
from engine.lasting import make_folder
from engine.settings import Settings

__all__ = ["Added", "EventLog", "Pruned"]

_told = logging.getLogger("daogou.events")

_FOLDER = "events"
_DAY_MS = 86_400_000
_PATIENCE_S = 3.0
"""So long an erasure waits for a reader that keeps a file from being cleaned; an opening waits a tenth of it."""
_MINE = ("user = ?", "client = ? AND user IS NULL")
"""Whose an event is: the user's, or where there is none, the device's."""


@dataclass(frozen=True, slots=True)
class Added:
    """What became of events: kept, known already, or refused (place in the batch, reason). ``masked`` counts stretches of text."""

    added: int
    duplicates: int
    refused: tuple[tuple[int, str], ...] = ()
    masked: int = 0
    nobody: int = 0


@dataclass(frozen=True, slots=True)
class Pruned:
    """What the passing of time removed: events, and the words of searches whose events stay. ``disbelieved_ms`` is what the clock
    said where it had leapt and was not believed yet, else 0."""

    events: int
    queries: int
    disbelieved_ms: int = 0


class EventLog:
    """The events of one store.

    ``consent`` is ``asked``, where people are nobody until they said yes, or ``assumed``, where they are known until they said
    no. ``rotation`` is ``month`` or ``day``. What is older than ``keep_days`` is not taken in, and goes with :meth:`prune`.
    """

    def __init__(
        self, folder: Path, *, consent: str = "asked", rotation: str = "month", key: str = "", keep_days: int = 36_500
    ) -> None:
        make_folder(folder)
        self.folder = folder
        self.keys = Keyring.open(folder, key)
        self.people = People(folder)
        self.uses = Uses(folder)
        self._assumed = consent == "assumed"
        self._keep_ms = keep_days * _DAY_MS
        self._lock = threading.RLock()
        self._volumes = Volumes(folder, rotation)
        self._clock = Clock(folder)
        self._damaged: dict[str, set[int]] = {}
        self.replay()

    @classmethod
    def open(cls, settings: Settings) -> EventLog:
        """Return the log of a store.

        Raises:
            EventLogError: a file of it is damaged, or of another format.
            SettingsError: the key cannot be used.
        """
        return cls(
            settings.store / _FOLDER,
            consent=settings.consent,
            rotation=settings.event_rotation,
            key=settings.privacy_key,
            keep_days=settings.event_days,
        )

    @staticmethod
    def exists(settings: Settings) -> bool:
        """Return whether a store has a log."""
        return (settings.store / _FOLDER).is_dir()

    @staticmethod
    def erasures(settings: Settings) -> int:
        """Return how long a store's list of erasures is, in bytes: it only grows."""
        try:
            return (settings.store / _FOLDER / FORGOTTEN).stat().st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            self._volumes.close()
        self.people.close()
        self.uses.close()

    def person(self, user_id: str = "", client_id: str = "", session_id: str = "") -> str:
        """Return the keyed hash of a person: of the user where one is named, else of the device, else of the visit."""
        return (self.keys.hashed("user", user_id) or device(self.keys, client_id, session_id)).hex()

    def allows(self, person: str, purpose: Purpose) -> bool:
        """Return whether a person's events may be used for a purpose."""
        known = self.people.person(person) if person else None
        return bool(person) and (known.consent.get(purpose, self._assumed) if known else self._assumed)

    def add(self, events: Sequence[Event], known_product: Callable[[str], bool] = lambda product: False) -> Added:
        """Keep events and return when they are on the disk.

        ``known_product`` says which product ids are the catalogue's: any other is masked like words, as anyone may send anything.

        Raises:
            EventLogError: the disk takes none, or a file of the log is damaged.
        """
        by_period: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        refused: list[tuple[int, str]] = []
        masked = nobody = 0
        kept: dict[str, bool] = {}
        gone, now = self._gone(), int(1000 * time.time())
        for place, event in enumerate(events):
            if reason := invalid(event) or self._untimely(event, now, gone):
                refused.append((place, reason))
                continue
            whose = self.person(event.user_id), self.person("", event.client_id, event.session_id)
            known = self._keeps(whose[0], kept), self._keeps(whose[1], kept)
            if whose[0] and not known[0]:
                known = (False, False)  # a user who is nobody is nobody on every device
            row, n = written(event, self.keys, known, known_product, now)
            masked += n
            nobody += not any(known) and any(whose)
            with self._lock:
                if not (event.event_id and self._elsewhere(row)):
                    by_period[self._volumes.name_of(event.time_ms)].append(row)
        try:
            with self._lock:
                added = sum(self._volumes.get(name).add(rows, self._gone_keys) for name, rows in sorted(by_period.items()))
        except sqlite3.Error as error:
            raise EventLogError(f"The events could not be written: {error}.") from error
        return Added(added, len(events) - len(refused) - added, tuple(refused), masked, nobody)

    def _elsewhere(self, row: tuple[Any, ...]) -> bool:
        """Return whether an event is in a file beside its own: one that comes again may bear another time."""
        asked = "SELECT 1 FROM events WHERE id = ?"
        return any(self._volumes.get(name).ask(asked, (row[0],)) for name in self._volumes.beside(row[1]))

    def _gone(self) -> dict[str, int]:
        """Return who asked to be forgotten, and when last."""
        return {erasure.person: erasure.at_ms for erasure in self.people.forgotten()}

    def _gone_keys(self) -> dict[bytes, int]:
        return {bytes.fromhex(person): at_ms for person, at_ms in self._gone().items()}

    def read(
        self, since_ms: int = 0, until_ms: int = 2**62, kinds: Collection[str] = KINDS, purpose: Purpose | None = None
    ) -> Iterator[StoredEvent]:
        """Yield events of these kinds by time, from ``since_ms`` until before ``until_ms``. With a ``purpose``, only those of
        people who allow it and of nobody in particular."""
        allowed: dict[str, bool] = {}
        codes = ",".join(str(CODES[k]) for k in KINDS if k in kinds)
        for name in self._volumes.names():
            last: tuple[int, int] | None = (-1, -1)
            while last:
                with self._lock:  # let go of after each page, so that nothing stays locked while a reader is slow
                    rows, last = self._volumes.get(name).page(since_ms, until_ms, codes, last)
                for event in self._whole(name, rows):
                    if purpose and event.person and not self._allowed(event, purpose, allowed):
                        continue
                    yield event

    def history(self, person: str, most: int = 200, periods: int = 0, kinds: Collection[EventKind] = KINDS) -> list[StoredEvent]:
        """Return the last events of a person of these kinds, the latest first, of the latest ``periods`` files where that is not 0.

        Of a device those are left out that a user did while logged in: whoever has the device next is not that user.
        """
        key, found = bytes.fromhex(person), []
        if not key:
            return []
        with self._lock:
            names = self._volumes.sound()[-periods:][::-1]
        of_kinds = f"kind IN ({','.join(str(CODES[kind]) for kind in kinds)})"
        for name in names:
            with self._lock:
                volume = self._volumes.get(name)
                rows = [row for mine in _MINE for row in volume.rows(f"({mine}) AND {of_kinds}", (key,), "time_ms DESC", most)]
            found += [event for event in self._whole(name, rows) if person in (event.user, event.client)]
            if len(found) >= most:
                break
        return sorted(found, key=lambda e: -e.time_ms)[:most]

    def unread(self) -> list[str]:
        """Return the periods whose files are damaged, so that what they hold is in no answer."""
        with self._lock:
            return sorted(set(self._volumes.names()) - set(self._volumes.sound()))

    def damaged(self) -> dict[str, int]:
        """Return how many damaged events were met in which period since the log was opened: they are left out of every answer."""
        return {name: len(numbers) for name, numbers in sorted(self._damaged.items())}

    def check(self, *, mend: bool = False) -> list[Checked]:
        """Read every file through, and return what was found in each; with ``mend``, what can be mended is."""
        found = []
        for name in self._volumes.names():
            with self._lock:
                try:
                    found.append(checked(name, self._volumes.get(name), mend=mend))
                except EventLogError as error:
                    found.append(Checked(name, problem=str(error)))
        return found

    def searched(self, query_id: str) -> bool:
        """Return whether a search of this id, as it was sent, is in the log."""
        key = self.keys.hashed("query", query_id)
        with self._lock:
            return any(
                self._volumes.get(name).ask("SELECT 1 FROM events WHERE query_id = ? AND kind = ? LIMIT 1", (key, CODES["search"]))
                for name in reversed(self._volumes.names())
            )

    def count(self) -> dict[str, int]:
        """Return how many events of each kind there are, as their rows say; whether those are whole :meth:`check` tells."""
        of_code = {code: kind for kind, code in CODES.items()}
        total: dict[str, int] = dict.fromkeys(KINDS, 0)
        for name in self._volumes.names():
            with self._lock:
                for code, n in self._volumes.get(name).ask("SELECT kind, count(*) FROM events GROUP BY kind"):
                    if kind := of_code.get(code):
                        total[kind] += n
        return total

    def _untimely(self, event: Event, now_ms: int, gone: Mapping[str, int]) -> str:
        """Return why it is too late or too early for an event: such would outlive an erasure, or come back after one."""
        if event.time_ms > now_ms + _DAY_MS:
            return "a time in the future"
        if event.time_ms < now_ms - self._keep_ms:
            return f"older than event_days ({self._keep_ms // _DAY_MS})"
        if gone:
            whose = (self.person(event.user_id), self.person("", event.client_id, event.session_id))
            if any(event.time_ms <= gone.get(person, 0) for person in whose if person):
                return "before an erasure that its person asked for"
        return ""

    def prune(self, query_days: int, now_ms: int | None = None) -> Pruned:
        """Remove what is older than ``keep_days``, and the words of searches older than ``query_days``. ``now_ms`` is for those
        who know the time; the clock is believed as :mod:`engine.events.clock` says.

        Raises:
            EventLogError: the time cannot be written down.
        """
        said = int(1000 * time.time()) if now_ms is None else now_ms
        try:
            now = self._clock.believed(said) if now_ms is None else self._clock.believe(now_ms)
        except OSError as error:
            raise EventLogError(f"The time could not be written down: {error.strerror or error}. Nothing was pruned.") from error
        events = queries = 0
        with self._lock:
            names = self._volumes.sound()
        for name in names:
            with self._lock:
                volume = self._volumes.get(name)
                events += volume.change("DELETE FROM events WHERE time_ms < ?", (now - self._keep_ms,))
                queries += volume.blank(("query",), "time_ms < ?", (now - query_days * _DAY_MS,))
                volume.scrub()
                if self._volumes.ends_before(name, now - self._keep_ms):
                    self._volumes.remove(name)  # nothing is taken in any more that could be in it
        return Pruned(events, queries, said if said > now else 0)

    def erase(self, person: str, at_ms: int | None = None) -> tuple[int, bool]:
        """Forget a person: return how many events went, and whether consent or preferences did. Lasts, and is done again whenever a
        backup is put back, before the log can be read.

        Raises:
            UnfinishedErasureError: a file is damaged or busy; the erasure is done when the log is opened next.
            EventLogError: the erasure could not be written down.
        """
        latest = self.history(person, 1)
        try:
            kept, at = self.people.forget(person, at_ms, latest[0].time_ms if latest else 0)
        except OSError as error:
            raise EventLogError(f"The erasure could not be written down: {error.strerror or error}. Ask again.") from error
        removed, clean = self._replayed(_PATIENCE_S)
        if not clean or self.unread() or any(event.time_ms <= at for event in self.history(person, 1_000_000)):
            raise UnfinishedErasureError("Not every file could be cleaned. It is written down, and done at the next opening.")
        return removed, kept

    def replay(self) -> int:
        """Remove from each file what erasures that it has not seen ask for, and return how many events that were."""
        return self._replayed(_PATIENCE_S / 10)[0]

    def _replayed(self, seconds: float) -> tuple[int, bool]:
        """Return how many events were removed, and whether nothing of them is left in any file: a reader may be in the way for
        longer than ``seconds``, and then it is done again at the next opening."""
        gone = self.people.forgotten()
        if not gone:
            return 0, True
        clean = self.people.replay(seconds)
        for erasure in gone:
            self.uses.forget(erasure.person, erasure.at_ms)
        clean &= self.uses.scrub(seconds)
        removed = 0
        with self._lock:
            names = self._volumes.sound()
        for name in names:
            with self._lock:
                volume = self._volumes.get(name)
                seen = {done for (done,) in volume.ask("SELECT erasure FROM applied")}
                marks = {self.keys.hashed("erasure", f"{e.person} {e.at_ms}").hex(): e for e in gone}
                new = {mark: erasure for mark, erasure in marks.items() if mark not in seen}
                for erasure in new.values():
                    until = (bytes.fromhex(erasure.person), erasure.at_ms)
                    for mine in _MINE:
                        removed += volume.change(f"DELETE FROM events WHERE {mine} AND time_ms <= ?", until)
                    volume.blank(("client", "session"), "client = ? AND time_ms <= ?", until)
                if new and not volume.scrub(seconds):
                    clean = False
                    continue
                for mark in new:
                    volume.change("INSERT OR IGNORE INTO applied VALUES (?)", (mark,))
        return removed, clean

    def _keeps(self, person: str, kept: dict[str, bool]) -> bool:
        """Return whether it may be kept whose event it is: somebody who allows at least one purpose."""
        if person and person not in kept:
            kept[person] = any(self.allows(person, purpose) for purpose in PURPOSES)
        return bool(person) and kept[person]

    def _allowed(self, event: StoredEvent, purpose: Purpose, allowed: dict[str, bool]) -> bool:
        if event.person not in allowed:
            allowed[event.person] = self.allows(event.person, purpose)
        return allowed[event.person]

    def _whole(self, name: str, rows: Sequence[tuple[Any, ...]]) -> Iterator[StoredEvent]:
        """Yield what rows keep; of a damaged one it is logged which it is, once."""
        for row in rows:
            event = stored(row)
            if event is not None:
                yield event
            elif row[-1] not in self._damaged.setdefault(name, set()):
                self._damaged[name].add(row[-1])
                _told.error("file=%s event=%d reason=damaged", name, row[-1])
