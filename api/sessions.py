"""Conversations that the server keeps for clients that ask it to: few, small, for a short time, in memory alone.

In: states. Out: keys that nobody can guess. The longest unused one makes room for a new one. Thread-safe. Knows nothing of
what a state means.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from engine.guide import GuideState

__all__ = ["Owner", "Sessions", "owner_of"]

_MOST = 10_000
_SECONDS = 1800.0


Owner = tuple[str, str]
"""``user`` or ``client``, and the id: a user's and a device's may look the same."""


def owner_of(user_id: str, client_id: str) -> Owner | None:
    """Return whose a conversation is, ``None`` for nobody's."""
    return ("user", user_id) if user_id else ("client", client_id) if client_id else None


class Sessions:
    """States by key. ``most`` are kept, each for ``seconds`` after it was last used."""

    def __init__(self, most: int = _MOST, seconds: float = _SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._lock = threading.Lock()
        self._states: OrderedDict[str, tuple[float, GuideState, Owner | None]] = OrderedDict()

    def get(self, key: str) -> GuideState | None:
        """Return the state of a key, ``None`` where it is unknown, forgotten or erased."""
        with self._lock:
            self._forget()
            found = self._states.get(key)
            return found[1] if found else None

    def put(self, state: GuideState, key: str = "", owner: Owner | None = None) -> str:
        """Keep a state under a key, a new one where none is given, and return the key; empty where it was erased meanwhile.

        ``owner`` is who it is kept for, where they said so.
        """
        with self._lock:
            self._forget()
            if key and key not in self._states:
                return ""
            key = key or secrets.token_urlsafe(18)
            before = self._states.pop(key, None)
            owner = owner or (before[2] if before else None)
            self._states[key] = (self._clock() + self._seconds, state, owner)
            while len(self._states) > self._most:
                self._states.popitem(last=False)
        return key

    def erase(self, key: str) -> bool:
        """Forget a key at once; return whether it was known."""
        with self._lock:
            return self._states.pop(key, None) is not None

    def erase_of(self, owner: Owner | None) -> int:
        """Forget every state that is kept for somebody, and return how many those were."""
        return self.erase_where(lambda whose: whose == owner)

    def erase_where(self, gone: Callable[[Owner], bool]) -> int:
        """Forget every state of owners who are gone, and return how many those were."""
        with self._lock:
            theirs = [key for key, (_, _, whose) in self._states.items() if whose and gone(whose)]
            for key in theirs:
                del self._states[key]
        return len(theirs)

    def _forget(self) -> None:
        now = self._clock()
        while self._states and next(iter(self._states.values()))[0] <= now:
            self._states.popitem(last=False)
