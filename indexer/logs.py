"""What shoppers searched and did: from a file of search logs as it is, or from the event log of a store.

In: a file of User Behavior Insights records (o19s/ubi 1.3), as ``ubi_queries<TAB>{…}`` and ``ubi_events<TAB>{…}`` lines or
as JSON lines, gzipped or not; or an :class:`~engine.events.EventLog`. Out: :class:`LoggedQuery` and :class:`LoggedAction`, and what
was left out by reason. Nothing but the query, a keyed hash of who asked, and the product acted on is taken.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import orjson

from engine.errors import FeedError
from engine.events import Event, EventLog
from engine.events.ubi import read_ubi

__all__ = ["LoggedAction", "LoggedQuery", "SearchLog", "json_lines", "logged", "read_log"]

_LONGEST = 200
_SAID = {"impression": "view", "click": "click", "cart": "cart", "purchase": "purchase"}


@dataclass(frozen=True, slots=True)
class LoggedQuery:
    """One search: ``query_id`` names it, ``user`` is a hash of who asked, ``shown`` the products returned, best first, and
    ``time_s`` when it was, in seconds since 1970, 0 where nobody says."""

    query_id: str
    user: str
    text: str
    shown: tuple[str, ...]
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LoggedAction:
    """Something done with a product a search returned: ``kind`` is ``view``, ``click``, ``cart`` or ``purchase``;
    ``position`` counts from 1, 0 where it is not known."""

    query_id: str
    user: str
    kind: str
    product: str
    position: int


@dataclass(slots=True)
class SearchLog:
    """Everything read from a log; ``skipped`` counts lines left out by reason."""

    queries: list[LoggedQuery] = field(default_factory=list)
    actions: list[LoggedAction] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def read_log(path: Path) -> SearchLog:
    """Read a search log whole.

    Raises:
        FeedError: it cannot be read, or holds no record of a search or an action.
    """
    log, key, ids = SearchLog(), os.urandom(16), set[str]()
    for record in json_lines(path):
        event = record if isinstance(record, str) else read_ubi(record)
        if isinstance(event, str):
            log.skipped[event] += 1
        else:
            _take(event, log, key, ids)
    if not log.queries and not log.actions:
        raise FeedError(f"{path} holds no UBI query or event. Give lines of ubi_queries<TAB>JSON, or JSON lines.")
    return log


def logged(events: EventLog) -> SearchLog:
    """Return what an event log holds of people who allow that it improves the shop, and of nobody in particular."""
    log = SearchLog()
    for event in events.read(kinds=("search", *_SAID), purpose="improvement"):
        if event.kind == "search":
            if event.query:
                log.queries.append(LoggedQuery(event.query_id, event.person, event.query, event.products, event.time_ms / 1000))
        elif event.query_id:
            kind = _SAID[event.kind]
            log.actions += [LoggedAction(event.query_id, event.person, kind, p, event.position) for p in event.products]
    return log


def json_lines(path: Path) -> Iterator[dict[str, Any] | str]:
    """Yield the records of a file of JSON lines, each perhaps behind a word and a tab, or why a line is none.

    Raises:
        FeedError: it cannot be read.
    """
    try:
        with _open(path) as stream:
            for line in stream:
                if line.strip():
                    yield _record(line)
    except (OSError, EOFError, zlib.error) as error:
        raise FeedError(f"{path} cannot be read: {error}. Check the path.") from error


def _record(line: str) -> dict[str, Any] | str:
    kind, tab, text = line.partition("\t")
    try:
        record = orjson.loads(text if tab and not kind.startswith("{") else line)
    except orjson.JSONDecodeError:
        return "not JSON"
    return record if isinstance(record, dict) else "not a record"


def _open(path: Path) -> AbstractContextManager[TextIO]:
    plain = path.suffix != ".gz"
    return path.open(encoding="utf-8", errors="replace") if plain else gzip.open(path, "rt", encoding="utf-8", errors="replace")


def _take(event: Event, log: SearchLog, key: bytes, ids: set[str]) -> None:
    who = event.client_id or event.user_id
    user = hashlib.blake2b(who.encode(), key=key, digest_size=12).hexdigest() if who else ""
    if event.kind == "search":
        if len(event.query) > _LONGEST:
            log.skipped["query too long to be one"] += 1
        elif event.query_id in ids:
            log.skipped["query id seen before"] += 1
        else:
            ids.add(event.query_id)
            log.queries.append(LoggedQuery(event.query_id, user, event.query, event.products, event.time_ms / 1000))
    elif event.kind not in _SAID:
        log.skipped["event of another kind"] += 1
    elif not event.query_id:
        log.skipped["event without a query"] += 1
    else:
        log.actions.append(LoggedAction(event.query_id, user, _SAID[event.kind], event.products[0], event.position))
