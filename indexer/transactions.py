"""Orders of a shop, as its till wrote them: which product was sold to whom, under which description.

In: a Parquet or CSV file with a line for each product of each order; columns are known by their usual names. Out:
:class:`Sale`, and what was left out by reason: cancellations, returns, fees and postage, tests. :func:`read_sales` hashes buyers
with a key that is drawn anew for each reading; :func:`iterate_sales` names them. Knows nothing of queries or catalogues.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, TextIO

from price_parser import Price

from engine.errors import FeedError
from engine.events.ubi import read_time_ms
from indexer.feeds.sniff import delimiter_of

__all__ = ["Sale", "Sales", "iterate_sales", "products_sold", "read_sales"]

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "order": ("invoice", "invoiceno", "order_id", "order", "transaction_id", "orderid"),
    "product": ("stockcode", "sku", "product_id", "item_id", "productid", "itemid", "object_id"),
    "description": ("description", "product_name", "title", "item_name", "name"),
    "quantity": ("quantity", "qty", "units"),
    "time": ("invoicedate", "order_date", "timestamp", "date", "time", "created_at"),
    "user": ("customer_id", "customerid", "user_id", "customer", "client_id"),
    "price": ("price", "unit_price", "unitprice", "item_price", "amount"),
    "currency": ("currency", "currency_code", "currencycode"),
}
_NO_PRODUCT = re.compile(
    r"POST|DOT|M|D|S|B|C2|C3|PADS|CRUK|BANK CHARGES|AMAZONFEE|SAMPLES?|ADJUST\d*|TEST\d*|GIFT(?:_\w+)?|SHIPPING|POSTAGE|"
    r"DISCOUNT|FEE",
    re.IGNORECASE,
)
"""Codes of fees, postage, adjustments and tests that stand where a product should."""
_CANCELLED = re.compile(r"C\d{5,}")
"""Invoices of a till that marks cancellations so; ids of orders elsewhere may begin with a C."""
_TRIED = re.compile(r"\btest\b|\?|^(?:damaged|lost|found|broken|wrong|check|missing|thrown|smashed|returned|adjust)", re.IGNORECASE)
_SIGNS = {"€": "EUR", "£": "GBP", "USD": "USD", "US$": "USD", "EUR": "EUR", "GBP": "GBP", "CNY": "CNY", "RMB": "CNY"}
_DATES = tuple(day + time for time in (" %H:%M", " %H:%M:%S", "") for day in ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y"))
"""Dates that are not ISO 8601: month first where that can be."""


@dataclass(frozen=True, slots=True)
class Sale:
    """One line of an order: ``time_s`` is 0 and ``user`` empty where nobody says; ``price`` is of one piece, in major units,
    negative where nobody says."""

    order: str
    product: str
    description: str
    quantity: int
    time_s: float
    user: str
    price: float = -1.0
    currency: str = ""


@dataclass(slots=True)
class Sales:
    """Lines of orders in the order of the file; ``skipped`` counts lines left out by reason."""

    lines: list[Sale] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def read_sales(path: Path) -> Sales:
    """Read a file of orders whole.

    Raises:
        FeedError: it cannot be read, or no column names a product.
    """
    sales, key = Sales(), os.urandom(16)
    for sale in iterate_sales(path):
        if isinstance(sale, str):
            sales.skipped[sale] += 1
        else:
            hashed = hashlib.blake2b(sale.user.encode(), key=key, digest_size=12).hexdigest() if sale.user else ""
            sales.lines.append(replace(sale, user=hashed))
    return sales


def iterate_sales(path: Path) -> Iterator[Sale | str]:
    """Yield the lines of a file of orders, with buyers as the till knows them, or why one was left out.

    Raises:
        FeedError: it cannot be read, or no column names a product.
    """
    named: dict[str, str] = {}
    for row in _rows(path):
        if not named:
            named = _named(path, row)
        yield _sale(row, named)


def products_sold(sales: Sales) -> Iterator[dict[str, Any]]:
    """Yield the products of orders as rows of a feed, by id: the description each was sold under most often, and its median price
    where prices are known; for a shop that has a till and no feed."""
    titles: defaultdict[str, Counter[str]] = defaultdict(Counter)
    prices: defaultdict[str, list[float]] = defaultdict(list)
    for sale in sales.lines:
        if sale.description:
            titles[sale.product][sale.description] += 1
        if sale.price > 0:
            prices[sale.product].append(sale.price)
    for product in sorted(titles):
        row: dict[str, Any] = {"id": product, "title": titles[product].most_common(1)[0][0]}
        yield row | ({"price": round(median(prices[product]), 2)} if prices[product] else {})


def _named(path: Path, row: Mapping[str, Any]) -> dict[str, str]:
    plain = {re.sub(r"[\s-]+", "_", name.strip().lower()): name for name in row if isinstance(name, str)}
    found = {part: plain[n] for part, names in _COLUMNS.items() if (n := next((n for n in names if n in plain), ""))}
    if "product" not in found:
        raise FeedError(f"{path} has no column that names a product. Call one of its columns sku, product_id or StockCode.")
    return found


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            for batch in pq.ParquetFile(path).iter_batches(20_000):
                yield from batch.to_pylist()
        else:
            with _opened(path) as stream:
                delimiter, header = delimiter_of(stream.readline())
                yield from csv.DictReader(stream, header, delimiter=delimiter)
    except (OSError, EOFError, zlib.error, csv.Error, ValueError) as error:
        raise FeedError(f"{path} cannot be read as orders: {error}. Give a Parquet or CSV file.") from error


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _sale(row: Mapping[str, Any], named: Mapping[str, str]) -> Sale | str:
    def cell(part: str) -> str:
        value = row.get(named.get(part, ""))
        return "" if value is None or value != value else str(value).strip()

    product, description = cell("product"), " ".join(cell("description").split())
    try:
        quantity = int(float(cell("quantity") or 1))
    except (ValueError, OverflowError):
        quantity = 0
    if _CANCELLED.fullmatch(cell("order")):
        return "cancelled"
    if quantity <= 0:
        return "returned, or without a quantity"
    price, symbol = _price(cell("price"))
    if not product or _NO_PRODUCT.fullmatch(product):
        return "no product: a fee, postage or a test"
    if price <= 0 and _TRIED.search(description):
        return "a note in place of a description"
    user = cell("user").removesuffix(".0")
    time_s = _seconds(row.get(named.get("time", "")))
    return Sale(cell("order"), product, description, quantity, time_s, user, price, cell("currency").upper() or symbol)


def _price(given: str) -> tuple[float, str]:
    """Return an amount as tills write it, negative where there is none, and the currency of its sign where that is one alone."""
    try:
        return (float(given) if given else -1.0), ""
    except ValueError:
        found = Price.fromstring(given)
        return (float(found.amount) if found.amount is not None else -1.0), _SIGNS.get(found.currency or "", "")


def _seconds(given: Any) -> float:
    if (found := read_time_ms(given)) or not isinstance(given, str):
        return found / 1000
    for form in _DATES:
        try:
            return datetime.strptime(given.strip(), form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return 0.0
