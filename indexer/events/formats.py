"""Records of analytics systems as events, one function for each system.

In: one decoded record. Out: :class:`~engine.events.Event` values, or a reason why there is none. Names are those of Google
Analytics 4 (BigQuery export and Measurement Protocol), of Segment's e-commerce specification 2, which RudderStack and PostHog
share, and of Google Retail's ``UserEvent``. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.events import Event, EventKind
from engine.events.ubi import read_money, read_time_ms, read_ubi

__all__ = ["FORMATS", "Reader", "format_of"]

Reader = Callable[[Mapping[str, Any]], Iterator[Event | str]]

_NOTHING = frozenset({"(not set)", "(none)", "null", "none", "undefined", "nan"})
_OTHER = "event of another kind"
_NO_PRODUCT = "event without a product"


def _ubi(record: Mapping[str, Any]) -> Iterator[Event | str]:
    yield read_ubi(record)


_GA4: Mapping[str, EventKind] = {
    "view_item_list": "impression", "select_item": "click", "view_item": "click", "add_to_cart": "cart", "purchase": "purchase",
}  # fmt: skip


def _ga4(record: Mapping[str, Any]) -> Iterator[Event | str]:
    if isinstance(record.get("events"), list):  # Measurement Protocol: one client, several events
        for event in record["events"]:
            if isinstance(event, Mapping):
                yield from _ga4_event(event, _dict(event.get("params")), record)
            else:
                yield "not a record"
        return
    pairs = [p for p in _list(record.get("event_params")) if isinstance(p, Mapping)]
    values = {_str(p.get("key")): _value(p.get("value")) for p in pairs}
    yield from _ga4_event(record, values, record)


def _ga4_event(event: Mapping[str, Any], values: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[Event | str]:
    name = _str(event.get("event_name") or event.get("name"))
    trade = _dict(event.get("ecommerce"))
    items = _list(event.get("items")) or _list(values.get("items"))
    who = {
        "time_ms": read_time_ms(event.get("event_timestamp") or event.get("timestamp_micros") or whole.get("timestamp_micros")),
        "user_id": _str(whole.get("user_id")),
        "client_id": _str(whole.get("user_pseudo_id") or whole.get("client_id")),
        "session_id": _str(values.get("ga_session_id") or values.get("session_id")),
    }
    if name in ("search", "view_search_results"):
        yield _search(_str(values.get("search_term")), "", (), who)
        return
    order = _str(values.get("transaction_id") or trade.get("transaction_id"))
    yield from _actions(_GA4.get(name), items, ("item_id",), ("index", "item_list_index"), _str(values.get("currency")), order, who)


_SEGMENT: Mapping[str, EventKind] = {
    "product list viewed": "impression", "product clicked": "click", "product viewed": "click", "product added": "cart",
    "order completed": "purchase",
}  # fmt: skip


def _segment(record: Mapping[str, Any]) -> Iterator[Event | str]:
    name, said = _str(record.get("event")).lower(), _dict(record.get("properties"))
    who = {
        "time_ms": read_time_ms(record.get("originalTimestamp") or record.get("timestamp")),
        "event_id": _str(record.get("messageId")),
        "user_id": _str(record.get("userId") or record.get("distinct_id")),
        "client_id": _str(record.get("anonymousId")),
        "session_id": _str(said.get("session_id") or said.get("$session_id")),
    }
    if name == "products searched":
        yield _search(_str(said.get("query")), "", (), who)
        return
    items, names = _list(said.get("products")) or [said], ("product_id", "sku")
    currency, order = _str(said.get("currency")), _str(said.get("order_id"))
    yield from _actions(_SEGMENT.get(name), items, names, ("position",), currency, order, who)


_RETAIL: Mapping[str, EventKind] = {
    "detail-page-view": "click", "add-to-cart": "cart", "purchase-complete": "purchase",
}  # fmt: skip


def _retail(record: Mapping[str, Any]) -> Iterator[Event | str]:
    kind, token = _str(record.get("eventType")), _str(record.get("attributionToken"))
    who = {
        "time_ms": read_time_ms(record.get("eventTime")),
        "user_id": _str(_dict(record.get("userInfo")).get("userId")),
        "client_id": _str(record.get("visitorId")),
        "session_id": _str(record.get("sessionId")),
        "query_id": token,
    }
    details = [d for d in _list(record.get("productDetails")) if isinstance(d, Mapping)]
    items = [{**_dict(d.get("product")), "quantity": d.get("quantity"), **_price(d)} for d in details]
    if kind == "search":
        shown = tuple(filter(None, (_str(item.get("id")) for item in items)))
        yield _search(_str(record.get("searchQuery")), token, shown, who)
        return
    bought = _dict(record.get("purchaseTransaction"))
    yield from _actions(_RETAIL.get(kind), items, ("id",), (), _str(bought.get("currencyCode")), _str(bought.get("id")), who)


def _price(detail: Mapping[str, Any]) -> dict[str, Any]:
    given = _dict(_dict(detail.get("product")).get("priceInfo"))
    return {"price": given.get("price"), "currency": given.get("currencyCode")} if given else {}


def _search(text: str, query_id: str, shown: tuple[str, ...], who: Mapping[str, Any]) -> Event | str:
    words = " ".join(text.split())
    if not words:
        return "query without a text or an id"
    return Event("search", query=words, products=shown[:200], **{**who, "query_id": query_id})


def _actions(
    kind: EventKind | None,
    items: Sequence[Any],
    id_names: Sequence[str],
    place_names: Sequence[str],
    currency: str,
    order: str,
    who: Mapping[str, Any],
) -> Iterator[Event | str]:
    """Yield an event for each product of a record; products that were only shown are one event."""
    if kind is None:
        yield _OTHER
        return
    found = [(next(filter(None, (_str(i.get(n)) for n in id_names)), ""), i) for i in items if isinstance(i, Mapping)]
    found = [(product, item) for product, item in found if product]
    if not found:
        yield _NO_PRODUCT
    elif kind == "impression":
        yield Event(kind, products=tuple(product for product, _ in found)[:200], **who)
    else:
        for place, (product, item) in enumerate(found):
            one = {**who, "event_id": f"{who['event_id']} {place}"} if len(found) > 1 and who.get("event_id") else who
            yield Event(
                kind,
                products=(product,),
                position=next(filter(None, (_int(item.get(n)) for n in place_names)), 0),
                quantity=_int(item.get("quantity")),
                value=read_money(item.get("price"), item.get("currency") or currency),
                order_id=order,
                **one,
            )


def _dict(given: object) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}


def _list(given: object) -> Sequence[Any]:
    return given if isinstance(given, list) else []


def _str(given: object) -> str:
    """Return a text, or a number as one; nothing of anything else, nor of what stands for nothing."""
    text = str(given).strip() if isinstance(given, str | int) and not isinstance(given, bool) else ""
    return "" if text.lower() in _NOTHING else text


def _int(given: object) -> int:
    try:
        number = int(given)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        return 0
    return number if 0 < number < 100_000 else 0


def _value(given: object) -> Any:
    """Return the one value of a parameter of the BigQuery export."""
    return next((v for v in given.values() if v is not None), None) if isinstance(given, Mapping) else given


FORMATS: Mapping[str, Reader] = {"ubi": _ubi, "ga4": _ga4, "segment": _segment, "google-retail": _retail}
"""The reader of each format of records; ``transactions`` is read as a table."""


def format_of(record: Mapping[str, Any]) -> str:
    """Return the format of a record by its names, empty where it is none of these."""
    if "user_query" in record or "action_name" in record:
        return "ubi"
    if "event_name" in record or (isinstance(record.get("events"), list) and "client_id" in record):
        return "ga4"
    if "eventType" in record and "visitorId" in record:
        return "google-retail"
    if "event" in record and isinstance(record.get("properties"), Mapping):
        return "segment"
    return ""
