"""User Behavior Insights records as events: the form in which events reach the service, and in which logs of searches are kept.

In: one decoded record, a query or an event of UBI 1.3 (o19s/ubi), as it is. Out: an :class:`~engine.events.event.Event`, or the
reason why it is none. Taken are ids, the words of a search, the product, its place, quantity and price; address, browser and
page are not looked at. Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from engine.events.event import Event, EventKind
from engine.schema import Money

__all__ = ["ACTIONS", "read_money", "read_time_ms", "read_ubi"]

ACTIONS: Mapping[str, EventKind | None] = {
    "impression": "impression", "view": "impression", "product_view": "impression",
    "click": "click", "item_click": "click", "product_click": "click", "watch": "click", "view_item": "click",
    "product_hover": None, "item_hover": None,
    "add_to_cart": "cart", "cart": "cart", "purchase": "purchase", "buy": "purchase", "order": "purchase",
    "feedback": "feedback", "thumbs_up": "feedback", "thumbs_down": "feedback", "helpful": "feedback", "not_helpful": "feedback",
}  # fmt: skip
"""What the names of actions mean; others are no events of ours."""
_RATED = {"thumbs_up": 1, "helpful": 1, "thumbs_down": -1, "not_helpful": -1}
_MILLISECONDS = 1e11
"""No time in seconds is as large before the year 5138."""
_MICROSECONDS = 1e14
_MOST_AMOUNT = 1e13


def read_ubi(record: Mapping[str, Any]) -> Event | str:
    """Return the event of a record, or in a few words, none of them the record's own, why there is none."""
    if "user_query" in record and "action_name" not in record:
        return _query(record)
    if "action_name" in record:
        return _action(record)
    return "neither a query nor an event"


def read_time_ms(given: object) -> int:
    """Return a time in milliseconds since 1970, from ISO 8601 or a number of seconds, milli- or microseconds; else 0."""
    try:
        if isinstance(given, date) and not isinstance(given, datetime):
            given = datetime(given.year, given.month, given.day, tzinfo=UTC)
        if isinstance(given, datetime):
            return int(1000 * (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp())
        if isinstance(given, str) and not given.strip().isdecimal():
            when = datetime.fromisoformat(given.strip().replace("Z", "+00:00"))
            return int(1000 * (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
        number = float(given or 0)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0
    if not math.isfinite(number) or number <= 0:
        return 0
    return int(number / 1000 if number >= _MICROSECONDS else number if number >= _MILLISECONDS else 1000 * number)


def read_money(amount: object, currency: object) -> Money | None:
    """Return an amount in major units as money, ``None`` where it is none or names no currency."""
    code = str(currency or "").upper()
    try:
        value = float(amount)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if not math.isfinite(value) or value < 0 or not (len(code) == 3 and code.isascii() and code.isalpha()):
        return None
    minor = value * 10 ** Money.decimals(code)
    return Money(round(minor), code) if minor < _MOST_AMOUNT else None


def _query(record: Mapping[str, Any]) -> Event | str:
    text, query_id = " ".join(_text(record.get("user_query")).split()), _text(record.get("query_id"))
    if not text or not query_id:
        return "query without a text or an id"
    shown = record.get("query_response_object_ids") or record.get("query_response_hit_ids")
    products = tuple(filter(None, map(_text, shown[:200]))) if isinstance(shown, list) else ()
    return Event("search", query=text, query_id=query_id, products=products, **_who(record))


def _action(record: Mapping[str, Any]) -> Event | str:
    name = _text(record.get("action_name")).lower()
    kind = ACTIONS.get(name)
    if kind is None:
        return "event of another kind"
    attributes = _part(record, "event_attributes")
    thing = _part(attributes, "object")
    product, query_id = _text(thing.get("object_id")), _text(record.get("query_id"))
    if kind == "feedback":
        rating = _RATED.get(name) or _sign(attributes.get("rating"))
        return Event("feedback", query_id=query_id, products=(product,) if product else (), rating=rating, **_who(record))
    if not product:
        return "event without a product"
    detail = _part(thing, "object_detail")
    return Event(
        kind,
        query_id=query_id,
        products=(product,),
        position=_count(_part(attributes, "position").get("ordinal"), 100_000),
        quantity=_pieces(attributes.get("quantity") or detail.get("quantity")),
        value=read_money(attributes.get("price") or detail.get("price"), attributes.get("currency") or detail.get("currency")),
        order_id=_text(thing.get("transaction_id") or attributes.get("transaction_id")),
        **_who(record),
    )


def _who(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return when it was and who did it."""
    attributes = _part(record, "event_attributes")
    return {
        "time_ms": read_time_ms(record.get("timestamp")),
        "event_id": _text(record.get("event_id")),
        "user_id": _text(record.get("user_id")),
        "client_id": _text(record.get("client_id")),
        "session_id": _text(record.get("session_id") or attributes.get("session_id")),
    }


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(given: object) -> str:
    """Return a text, or a number as one; nothing of anything else."""
    return str(given).strip() if isinstance(given, str | int) and not isinstance(given, bool) else ""


def _count(given: object, below: int) -> int:
    """Return a whole number above 0, and 0 for anything else."""
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 < given < below else 0


def _pieces(given: object) -> int:
    """Return how many, 0 where nobody says, and -1 for what came back."""
    returned = isinstance(given, int | float) and given < 0
    return -1 if returned else _count(given, 10_000_000)


def _sign(given: object) -> int:
    return (given > 0) - (given < 0) if isinstance(given, int | float) and given == given else 0
