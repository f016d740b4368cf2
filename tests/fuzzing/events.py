"""What shoppers did, as strangers tell it: records of the API, and logs of other systems."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from api.identity import Identity
from api.routes.events import _read
from engine.errors import FeedError
from engine.events import Event, StoredEvent, invalid
from engine.events.checksum import checksum
from engine.events.rows import stored, written
from engine.settings import Settings
from fuzzing.feeds import packed
from fuzzing.stored import _KEYS, _NOW, is_stored
from fuzzing.target import sentence
from indexer.events.formats import FORMATS
from indexer.events.importing import TRANSACTIONS, import_events, read_events
from indexer.logs import read_log

__all__ = ["read_event_log", "read_records"]


@cache
def _table() -> sqlite3.Connection:
    from engine.events.volume import COLUMNS

    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE events ({','.join(COLUMNS)}, checksum)")
    return database


@cache
def _identity() -> Identity:
    return Identity(Settings())


def _keep(event: Event) -> None:
    """Hold that an event that may be kept is what is read back."""
    why = invalid(event)
    if why:
        sentence(why)
        return
    row, masked = written(event, _KEYS, (True, True), lambda product: True, _NOW)
    assert masked >= 0
    table = _table()
    table.execute("DELETE FROM events")
    table.execute(f"INSERT INTO events VALUES ({','.join('?' * (len(row) + 1))})", (*row, checksum(row)))
    kept = tuple(table.execute("SELECT * FROM events").fetchone())
    assert kept[:-1] == row
    found = stored((*kept, 1))
    assert isinstance(found, StoredEvent)
    is_stored(found)
    assert (found.kind, found.products, found.position, found.quantity) == (event.kind, event.products, event.position, event.quantity)
    assert (found.value, found.rating, found.guessed) == (event.value, event.rating, event.guessed)
    assert found.time_ms == min(event.time_ms, _NOW)
    assert bool(found.user) == bool(event.user_id)


def read_records(data: bytes) -> None:
    """Records as the API takes them and as logs hold them, in every format."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    for record in given if isinstance(given, list) else [given]:
        if not isinstance(record, dict):
            continue
        event = _read(record, _NOW, _identity())
        if isinstance(event, str):
            sentence(event)
        else:
            _keep(event)
        for read in FORMATS.values():
            for found in _events(read, record):
                _keep(found)


def _events(read: Callable[[Mapping[str, Any]], Iterator[Event | str]], record: Mapping[str, Any]) -> Iterator[Event]:
    try:
        for found in read(record):
            if isinstance(found, Event):
                yield found
    except (ValueError, TypeError, OverflowError, AttributeError):  # as whoever imports does
        return


class _Log:
    """Stands for an event log that has nothing yet."""

    def searched(self, query_id: str) -> bool:
        return query_id.startswith("q")

    def add(self, events: list[Event], known_product: Callable[[str], bool]) -> Any:
        from engine.events.log import Added

        refused = tuple((n, why) for n, event in enumerate(events) if (why := invalid(event)))
        for event in events:
            _keep(event)
        return Added(len(events) - len(refused), 0, refused)


def read_event_log(data: bytes) -> None:
    """A file of a log; the first byte says whether it is packed, what it is called, and what it is said to be."""
    flags = data[0] if data else 0
    path = packed(data, ("log.jsonl", "log.csv", "log.tsv")[flags // 4 % 3])
    named = ("", *FORMATS, TRANSACTIONS)[flags // 12 % (len(FORMATS) + 2)]
    try:
        format, found = read_events(path, named, "EUR")
        events = list(found)
        assert format in (*FORMATS, TRANSACTIONS)
        for event in events:
            if isinstance(event, str):
                sentence(event)
        report = import_events(path, _Log(), format=named, currency="EUR")  # type: ignore[arg-type]
        assert report.records == len(events)
        assert 0 <= report.not_joined <= 1
        json.dumps(report.to_dict())
    except FeedError as error:
        sentence(error)
    try:
        read_log(path)
    except FeedError as error:
        sentence(error)
