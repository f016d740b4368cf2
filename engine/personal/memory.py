"""What is remembered of whoever asks: their last events and stated preferences, where they allow that.

In: the ids of a request. Out: a history, or nothing. Reads the event log each time, so that what was acknowledged counts in the
next answer, and what was erased in none. Thread-safe. Knows nothing of tastes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from engine.errors import DaogouError
from engine.events import KINDS, EventKind, EventLog, StoredEvent
from engine.settings import Settings
from engine.shopper import Preferences, Shopper

__all__ = ["Memory", "Remembered"]

_MOST, _MOST_BOUGHT, _PERIODS = 200, 2000, 60
"""Events that are remembered, and purchases, of the latest so many months, or days where the log has a file for each."""
_DID: tuple[EventKind, ...] = tuple(kind for kind in KINDS if kind not in ("search", "impression"))
"""What somebody did with a product; what was only asked or shown pushes none of it out."""
_BOUGHT: tuple[EventKind, ...] = ("purchase",)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A person's last events, the latest first, and what they said they like."""

    history: Sequence[StoredEvent]
    stated: Preferences | None


class Memory:
    """Remembers from the event log of a store, which is opened once there is one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._log: EventLog | None = None

    def recall(self, who: Shopper) -> Remembered | None:
        """Return what may be used for this shopper's own results, ``None`` where that is nothing or was not wanted."""
        if not who.personalize or not (who.user_id or who.client_id or who.session_id):
            return None
        try:
            return self._recalled(who)
        except (DaogouError, OSError, sqlite3.Error):
            return None  # a search without a memory is better than none

    def _recalled(self, who: Shopper) -> Remembered | None:
        log = self._opened()
        if log is None:
            return None
        person = log.person(who.user_id, who.client_id, who.session_id)
        if not log.allows(person, "personalisation"):
            return None
        kept = log.people.person(person)
        stated = _preferences(kept.stated) if kept and kept.stated else None
        history = log.history(person, _MOST, _PERIODS, _DID)
        if len(history) == _MOST:  # there may be more
            bought = log.history(person, _MOST_BOUGHT, _PERIODS, _BOUGHT)
            history += bought[sum(event.kind == "purchase" for event in history) :]
        return Remembered(history, stated) if history or stated else None

    def close(self) -> None:
        """Close the log."""
        with self._lock:
            if self._log is not None:
                self._log.close()
            self._log = None

    def _opened(self) -> EventLog | None:
        with self._lock:
            if self._log is None and self._settings.events and EventLog.exists(self._settings):
                self._log = EventLog.open(self._settings)
            return self._log


def _preferences(stated: object) -> Preferences | None:
    try:
        return Preferences.model_validate(stated)
    except ValidationError:
        return None  # written by another version
