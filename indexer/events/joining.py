"""Which search an action came from, where its record does not say.

In: events by time. Out: the same, actions with the search they belong to where that can be told, and how many could not be. An
action that names a search is of that search, if it is known. One that names none is of the last search that the same session,
or else the same device or user, made in the half hour before; such is marked as guessed, and counted apart. Knows nothing of
files.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from engine.events import Event

__all__ = ["BY_ID", "BY_TIME", "NO_SEARCH", "UNKNOWN", "Joiner"]

_WINDOW_MS = 1_800_000
_MOST = 500_000

BY_ID, BY_TIME = "by the id of a search", "by session and time (guessed)"
UNKNOWN, NO_SEARCH = "not joined: names a search that is not known", "not joined: no search in the half hour before"


class Joiner:
    """Joins actions to searches. ``searched`` says whether a search of an id came before what is joined here."""

    def __init__(self, searched: Callable[[str], bool] = lambda query_id: False) -> None:
        self.counts: Counter[str] = Counter()
        self._searched = searched
        self._known: set[str] = set()
        self._last: OrderedDict[tuple[str, str], tuple[int, str]] = OrderedDict()

    def join(self, events: Sequence[Event]) -> Iterator[Event]:
        """Yield events by time, joined. What comes in one call may be in any order."""
        self._known.update(e.query_id for e in events if e.kind == "search" and e.query_id)
        for event in sorted(events, key=lambda e: (e.time_ms, e.kind != "search")):
            yield self._search(event) if event.kind == "search" else self._action(event)

    def _search(self, event: Event) -> Event:
        if not event.query_id:
            whose = event.session_id or event.client_id or event.user_id
            event = replace(event, query_id=f"{whose} {event.time_ms} {event.query}"[:256])
        for who in _whose(event):
            self._last[who] = (event.time_ms, event.query_id)
            self._last.move_to_end(who)
        while len(self._last) > _MOST:
            self._last.popitem(last=False)
        return event

    def _action(self, event: Event) -> Event:
        if event.query_id:
            known = event.query_id in self._known or self._searched(event.query_id)
            if known:
                self._known.add(event.query_id)
            self.counts[BY_ID if known else UNKNOWN] += 1
            return event
        for who in _whose(event):
            when, query_id = self._last.get(who, (0, ""))
            if query_id and 0 <= event.time_ms - when <= _WINDOW_MS:
                self.counts[BY_TIME] += 1
                return replace(event, query_id=query_id, guessed=True)
        self.counts[NO_SEARCH] += 1
        return event


def _whose(event: Event) -> list[tuple[str, str]]:
    """Return who an event is of, the closest first."""
    # numbers of sessions are often a device's own
    session = f"{event.client_id or event.user_id} {event.session_id}" if event.session_id else ""
    ids = (("session", session), ("client", event.client_id), ("user", event.user_id))
    return [(realm, given) for realm, given in ids if given]
