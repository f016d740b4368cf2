"""What shoppers searched and did, read from search logs as they are.

In: a file of User Behavior Insights records (o19s/ubi 1.3), as ``ubi_queries<TAB>{…}`` and ``ubi_events<TAB>{…}`` lines or
as JSON lines, gzipped or not. Out: :class:`LoggedQuery` and :class:`LoggedAction`, and what was left out by reason. Nothing
but the query, a keyed hash of who asked, and the product acted on is taken: no address, browser, session or page.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import orjson

from engine.errors import FeedError

__all__ = ["LoggedAction", "LoggedQuery", "SearchLog", "read_log"]

_LONGEST = 200
_MILLISECONDS = 1e11
"""No time in seconds is as large before the year 5138."""
_ACTIONS = {
    "impression": "view", "view": "view", "product_view": "view",
    "click": "click", "item_click": "click", "product_click": "click", "product_hover": "", "item_hover": "",
    "add_to_cart": "cart", "cart": "cart", "purchase": "purchase", "buy": "purchase", "order": "purchase",
}  # fmt: skip


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
    """Read a log whole. A line that cannot be used is counted and passed over.

    Users are hashed with a key that is drawn anew each time, so that two readings cannot be joined on them.

    Raises:
        FeedError: the file cannot be read, or no line of it is a UBI record.
    """
    log, key, ids = SearchLog(), os.urandom(16), set[str]()
    try:
        with _open(path) as stream:
            for line in stream:
                if line.strip():
                    _read_line(line, log, key, ids)
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise FeedError(f"{path} cannot be read: {error}. Check the path.") from error
    if not log.queries and not log.actions:
        raise FeedError(f"{path} holds no UBI query or event. Give lines of ubi_queries<TAB>JSON, or JSON lines.")
    return log


def _open(path: Path) -> TextIO:
    plain = path.suffix != ".gz"
    return path.open(encoding="utf-8", errors="replace") if plain else gzip.open(path, "rt", encoding="utf-8", errors="replace")


def _read_line(line: str, log: SearchLog, key: bytes, ids: set[str]) -> None:
    kind, tab, text = line.partition("\t")
    try:
        record = orjson.loads(text if tab and not kind.startswith("{") else line)
    except orjson.JSONDecodeError:
        log.skipped["not JSON"] += 1
        return
    if not isinstance(record, dict):
        log.skipped["not a record"] += 1
    elif "user_query" in record:
        _read_query(record, log, key, ids)
    elif "action_name" in record:
        _read_action(record, log, key)
    else:
        log.skipped["neither a query nor an event"] += 1


def _read_query(record: dict[str, Any], log: SearchLog, key: bytes, ids: set[str]) -> None:
    text = " ".join(str(record.get("user_query") or "").split())
    query_id = str(record.get("query_id") or "")
    if not text or not query_id:
        log.skipped["query without a text or an id"] += 1
    elif len(text) > _LONGEST:
        log.skipped["query too long to be one"] += 1
    elif query_id in ids:
        log.skipped["query id seen before"] += 1
    else:
        ids.add(query_id)
        shown = record.get("query_response_object_ids") or record.get("query_response_hit_ids") or []
        products = tuple(str(item) for item in shown) if isinstance(shown, list) else ()
        log.queries.append(LoggedQuery(query_id, _user(record, key), text, products, _time(record)))


def _read_action(record: dict[str, Any], log: SearchLog, key: bytes) -> None:
    kind = _ACTIONS.get(str(record.get("action_name") or "").lower(), "")
    attributes = record.get("event_attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    item = attributes.get("object")
    product = str(item.get("object_id") or "") if isinstance(item, dict) else ""
    place = attributes.get("position")
    ordinal = place.get("ordinal") if isinstance(place, dict) else None
    if not kind:
        log.skipped["event of another kind"] += 1
    elif not product or not record.get("query_id"):
        log.skipped["event without a product or a query"] += 1
    else:
        position = ordinal if isinstance(ordinal, int) and 0 < ordinal < 10_000 else 0
        log.actions.append(LoggedAction(str(record["query_id"]), _user(record, key), kind, product, position))


def _time(record: dict[str, Any]) -> float:
    """Return the record's time: ISO 8601, or a number of seconds or milliseconds; 0 where it is neither."""
    given = record.get("timestamp")
    try:
        if isinstance(given, str) and not given.isdecimal():
            when = datetime.fromisoformat(given.replace("Z", "+00:00"))
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        number = float(given or 0)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    number = number / 1000 if number > _MILLISECONDS else number
    return number if 0 < number < _MILLISECONDS else 0.0


def _user(record: dict[str, Any], key: bytes) -> str:
    """Return a keyed hash of who did it, empty where nobody says: such records count as nobody's."""
    who = record.get("client_id") or record.get("user_id") or ""
    return hashlib.blake2b(str(who).encode(), key=key, digest_size=12).hexdigest() if who else ""
