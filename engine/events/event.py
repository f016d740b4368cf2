"""What a shopper did: searched, saw, clicked, put into the basket, bought, or said whether it helped.

:class:`Event` is as it came in, with ids and words as they were sent; it lives in memory alone. :class:`StoredEvent` is what
the log keeps of it: ids as keyed hashes, words masked. Knows nothing of files or formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from engine.schema import Money

__all__ = ["KINDS", "LATEST_MS", "LONGEST_ID", "Event", "EventKind", "StoredEvent", "invalid"]

EventKind = Literal["search", "impression", "click", "cart", "purchase", "feedback"]
KINDS: tuple[EventKind, ...] = get_args(EventKind)
LONGEST_ID = 256
_LONGEST_QUERY = 512
_MOST_PRODUCTS = 200
_EARLIEST_MS = 788_918_400_000
"""1995: nobody bought anything in a shop on the web before."""
LATEST_MS = 4_102_444_800_000
"""The year 2100."""
_MOST_AMOUNT = 10**13


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, as it was sent.

    ``time_ms`` counts from 1970. ``user_id`` is who the shop knows, ``client_id`` the browser or device, ``session_id`` a visit,
    which stands for the device where that is not known.
    ``products`` holds what was shown for ``search`` and ``impression``, best first, and the one product acted on for the others.
    ``position`` counts from 1, 0 where it is unknown. ``value`` is what one piece cost. ``rating`` is 1 for content, -1 for not,
    0 for nothing said. ``variants`` maps experiments to the variant that answered. ``event_id`` makes a repeated delivery
    known; where there is none, the content does. ``guessed`` tells that ``query_id`` was found by session and time.
    """

    kind: EventKind
    time_ms: int
    event_id: str = ""
    user_id: str = ""
    client_id: str = ""
    session_id: str = ""
    query_id: str = ""
    query: str = ""
    products: tuple[str, ...] = ()
    position: int = 0
    quantity: int = 0
    value: Money | None = None
    rating: int = 0
    order_id: str = ""
    variants: Mapping[str, str] | None = None
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One thing that happened, as it is kept.

    ``user``, ``client``, ``session``, ``query_id`` and ``order`` are keyed hashes in hex, empty where nobody said or nobody
    consented; ``query`` is masked, and empty once its time has passed.
    """

    kind: EventKind
    time_ms: int
    user: str = ""
    client: str = ""
    session: str = ""
    query_id: str = ""
    query: str = ""
    products: tuple[str, ...] = ()
    position: int = 0
    quantity: int = 0
    value: Money | None = None
    rating: int = 0
    order: str = ""
    variants: tuple[tuple[str, str], ...] = ()
    guessed: bool = False

    @property
    def person(self) -> str:
        """Whose event it is: the user's where one is known, else the device's."""
        return self.user or self.client


def invalid(event: Event) -> str:
    """Return why an event cannot be kept, in words that name no value of it; empty where it can."""
    if not _EARLIEST_MS <= event.time_ms < LATEST_MS:
        return "no time, or not one between 1995 and 2100"
    ids = (event.event_id, event.user_id, event.client_id, event.session_id, event.query_id, event.order_id)
    if any(len(given) > LONGEST_ID for given in ids):
        return f"an id longer than {LONGEST_ID} characters"
    if not _writable("".join((*ids, event.query, *event.products))):
        return "characters that UTF-8 cannot hold"
    if any(not p or len(p) > LONGEST_ID for p in event.products):
        return f"a product id that is empty or longer than {LONGEST_ID} characters"
    if len(event.products) > _MOST_PRODUCTS:
        return f"more than {_MOST_PRODUCTS} products"
    if len(event.query) > _LONGEST_QUERY:
        return f"a query longer than {_LONGEST_QUERY} characters"
    if event.kind == "search" and not event.query.strip():
        return "a search without a query"
    if event.kind in ("click", "cart", "purchase") and len(event.products) != 1:
        return "an action that does not name one product"
    if event.kind == "feedback" and not event.rating:
        return "feedback that says neither yes nor no"
    if event.kind == "purchase" and event.quantity < 0:
        return "a return, which is no purchase"
    if not 0 <= event.position < 100_000 or not 0 <= event.quantity < 10_000_000:
        return "a position or quantity out of range"
    if event.value is not None and not 0 <= event.value.amount < _MOST_AMOUNT:
        return "a price out of range"
    return ""


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
