"""From events to rows and back: the one place where ids become hashes, words are masked, and people become nobody.

In: an event as it was sent. Out: a row of :data:`~engine.events.volume.COLUMNS`. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from engine.events.event import KINDS, Event, StoredEvent
from engine.events.keys import Keyring
from engine.events.volume import COLUMNS, damaged
from engine.privacy import mask
from engine.schema import Money

__all__ = ["CODES", "device", "stored", "written"]

CODES = {kind: code for code, kind in enumerate(KINDS)}
"""What stands for each kind in a file."""
_KIND = COLUMNS.index("kind")


def device(keys: Keyring, client_id: str, session_id: str) -> bytes:
    """Return the hash of a device, or of the visit that stands for it where it is not known."""
    return keys.hashed("client", client_id) or keys.hashed("visit", session_id)


def written(
    event: Event, keys: Keyring, known: tuple[bool, bool], known_product: Callable[[str], bool], latest_ms: int
) -> tuple[tuple[Any, ...], int]:
    """Return the row of an event and how many stretches of it were masked.

    ``known`` is whether it may be kept which user's it is, and which device's; ``known_product`` says which product ids are the
    catalogue's, and any other is masked like words, as anyone may send anything. A clock that is ahead of ``latest_ms`` is put
    back to it.
    """
    hashed, masked, query = keys.hashed, 0, ""
    if event.query:
        shown = mask(" ".join(event.query.split()))
        query, masked = shown.text, sum(shown.kinds.values())
    products = [product if known_product(product) else mask(product).text for product in event.products]
    masked += sum(given != product for given, product in zip(products, event.products, strict=True))
    value, variants = event.value, event.variants
    row = (
        hashed("event", _content(event)),
        min(event.time_ms, latest_ms),
        CODES[event.kind],
        (hashed("user", event.user_id) or None) if known[0] else None,
        (device(keys, event.client_id, event.session_id) or None) if known[1] else None,
        (hashed("session", event.session_id) or None) if known[1] else None,
        hashed("query", event.query_id) or None,
        query or None,
        orjson.dumps(products).decode() if products else None,
        event.position or None,
        event.quantity or None,
        value.amount if value else None,
        value.currency if value else None,
        event.rating or None,
        hashed("order", event.order_id) or None,
        orjson.dumps(variants).decode() if variants else None,
        int(event.guessed) or None,
    )
    return row, masked


def stored(row: Sequence[Any]) -> StoredEvent | None:
    """Return what a row keeps of an event, ``None`` where it is damaged."""
    if damaged(row):
        return None
    try:
        event = _stored(row)
    except (LookupError, TypeError, ValueError, AttributeError):  # a row of before there were checksums
        return None
    return event if row[len(COLUMNS)] is not None or _typed(event, row[_KIND]) else None


def _typed(event: StoredEvent, kind: int) -> bool:
    """Return whether every field of an event is of its type: SQLite keeps whatever it is given in any column."""
    amount, currency = (event.value.amount, event.value.currency) if event.value else (0, "")
    numbers = (event.time_ms, event.position, event.quantity, event.rating, amount)
    texts = (event.query, currency, *event.products, *(part for pair in event.variants for part in pair))
    return kind >= 0 and all(type(n) is int for n in numbers) and all(type(text) is str for text in texts)


def _stored(row: Sequence[Any]) -> StoredEvent:
    _, when, kind, user, client, session, query_id, query, products, *numbers = row[:17]
    position, quantity, amount, currency, rating, order, variants, guessed = numbers
    return StoredEvent(
        KINDS[kind],
        when,
        user.hex() if user else "",
        client.hex() if client else "",
        session.hex() if session else "",
        query_id.hex() if query_id else "",
        query or "",
        tuple(orjson.loads(products)) if products else (),
        position or 0,
        quantity or 0,
        Money(amount, currency) if amount is not None else None,
        rating or 0,
        order.hex() if order else "",
        tuple(sorted(orjson.loads(variants).items())) if variants else (),
        bool(guessed),
    )


def _content(event: Event) -> str:
    """Return what tells an event from every other: its id, and whose and of what it is, as ids of one sender mean nothing to
    another; without an id everything that is known of it."""
    if event.event_id:
        return orjson.dumps([event.event_id, event.kind, event.products, event.user_id, event.client_id, event.order_id]).decode()
    value = [event.value.amount, event.value.currency] if event.value else None
    ids = [event.user_id, event.client_id, event.session_id, event.query_id, event.order_id]
    said = [event.kind, event.time_ms, event.query, event.products, event.position, event.quantity, value, event.rating]
    return orjson.dumps([said, ids]).decode()
