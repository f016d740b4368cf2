"""A log of another system into the event log of a store.

In: files of User Behavior Insights, Google Analytics 4, Segment, Google Retail, or tables of orders; recognised by their content.
Out: events kept, and an :class:`ImportReport` of everything that was not, by reason. Reading the same file twice keeps nothing
twice. Memory is bounded by a chunk of events.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from engine.errors import FeedError
from engine.events import Event, EventLog
from engine.events.event import LONGEST_ID
from engine.events.ubi import read_money
from indexer.events.formats import FORMATS, Reader, format_of
from indexer.events.joining import Joiner
from indexer.logs import json_lines
from indexer.transactions import Sale, iterate_sales

__all__ = ["TRANSACTIONS", "ImportReport", "import_events", "read_events"]

TRANSACTIONS = "transactions"
_CHUNK = 50_000
_BATCH = 5_000
_SNIFFED = 50
_ORDERS = 10_000
_TABLES = {".parquet", ".csv", ".tsv"}


@dataclass(slots=True)
class ImportReport:
    """What became of the records of a file: ``kinds`` of all that were events, kept now or before; ``joined`` counts actions by how
    they were joined to a search; ``masked`` stretches of text; ``nobody`` those kept without saying whose they are."""

    file: str
    format: str = ""
    records: int = 0
    added: int = 0
    duplicates: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    joined: Counter[str] = field(default_factory=Counter)
    masked: int = 0
    nobody: int = 0

    @property
    def not_joined(self) -> float:
        """The share of actions that belong to no search, 0 where there are no actions."""
        total = sum(self.joined.values())
        return sum(n for how, n in self.joined.items() if how.startswith("not joined")) / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        counters = {name: dict(getattr(self, name)) for name in ("left_out", "kinds", "joined")}
        plain = {name: getattr(self, name) for name in ("file", "format", "records", "added", "duplicates", "masked", "nobody")}
        return plain | counters | {"not_joined": round(self.not_joined, 4)}


def import_events(
    path: Path,
    log: EventLog,
    *,
    format: str = "",
    currency: str = "",
    known_product: Callable[[str], bool] = lambda product: False,
    advance: Callable[[int], None] = lambda events: None,
) -> ImportReport:
    """Read a file into a log.

    ``format`` is one of :data:`~indexer.events.formats.FORMATS` or ``transactions``, recognised where it is empty. ``currency`` is
    that of prices that name none.

    Raises:
        FeedError: the file cannot be read, or is of no format that is known.
    """
    name, found = read_events(path, format, currency)
    report, joiner = ImportReport(str(path), name), Joiner(log.searched)
    while chunk := list(islice(found, _CHUNK)):
        report.records += len(chunk)
        report.left_out.update(event for event in chunk if isinstance(event, str))
        events = list(joiner.join([event for event in chunk if not isinstance(event, str)]))
        for start in range(0, len(events), _BATCH):
            _add(events[start : start + _BATCH], log, known_product, report)
            advance(min(_BATCH, len(events) - start))
    report.joined = joiner.counts
    if not report.records:
        raise FeedError(f"{path} is empty. Give a file with records of events.")
    return report


def read_events(path: Path, format: str = "", currency: str = "") -> tuple[str, Iterator[Event | str]]:
    """Return the format of a file, and its events, each or why there is none.

    Raises:
        FeedError: the file cannot be read, or is of no format that is known.
    """
    known = [*FORMATS, TRANSACTIONS]
    if format and format not in known:
        raise FeedError(f"{format!r} is no format of events. Choose {', '.join(known)}, or leave it out.")
    suffixes = {s.lower() for s in path.suffixes}
    if format == TRANSACTIONS or (not format and suffixes & _TABLES and not _is_lines(path)):
        return TRANSACTIONS, _sold(iterate_sales(path), currency)
    records = json_lines(path)
    first = list(islice(records, _SNIFFED))
    if not format:
        names = Counter(n for r in first if isinstance(r, dict) and (n := format_of(r)))
        if not names:
            raise FeedError(
                f"{path} holds no events of a form that is known. Give UBI, Google Analytics 4, Segment or Google Retail records "
                "as JSON lines, or orders as CSV or Parquet with a column like sku, product_id or StockCode."
            )
        format = names.most_common(1)[0][0]
    return format, _events(chain(first, records), FORMATS[format])


def _events(records: Iterator[dict[str, Any] | str], reader: Reader) -> Iterator[Event | str]:
    for record in records:
        if isinstance(record, str):
            yield record
        else:
            try:
                yield from reader(record)
            except (ValueError, TypeError, OverflowError, AttributeError):
                yield "a record that cannot be read"


def _sold(sales: Iterator[Sale | str], currency: str) -> Iterator[Event | str]:
    """Yield a purchase for each line of orders; the same product twice in an order is two, each the same on another reading."""
    orders: OrderedDict[str, Counter[tuple[str, int, float]]] = OrderedDict()
    for sale in sales:
        if isinstance(sale, str):
            yield sale
            continue
        lines = orders.setdefault(sale.order, Counter())
        line = (sale.product, sale.quantity, sale.price)
        lines[line] += 1
        if len(orders) > _ORDERS:
            orders.popitem(last=False)
        yield Event(
            "purchase",
            int(1000 * sale.time_s),
            event_id=f"{sale.order} {line} {lines[line]}"[:LONGEST_ID] if sale.order else "",
            user_id=sale.user,
            products=(sale.product,),
            quantity=sale.quantity,
            value=read_money(sale.price, sale.currency or currency) if sale.price >= 0 else None,
            order_id=sale.order,
        )


def _add(events: Sequence[Event], log: EventLog, known_product: Callable[[str], bool], report: ImportReport) -> None:
    done = log.add(events, known_product)
    report.added += done.added
    report.duplicates += done.duplicates
    report.masked += done.masked
    report.nobody += done.nobody
    report.left_out.update(reason for _, reason in done.refused)
    refused = {place for place, _ in done.refused}
    report.kinds.update(event.kind for place, event in enumerate(events) if place not in refused)


def _is_lines(path: Path) -> bool:
    """Return whether a file named like a table holds lines of records, as search logs do."""
    if path.suffix == ".parquet":
        return False
    first = next(json_lines(path), "")
    return isinstance(first, dict)
