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
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from engine.errors import FeedError
from engine.events.ubi import read_time_ms

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
_NO_PRODUCT = re.compile(r"(?!.*\d)|(?:test|adjust|gift_|sample|bank|post|dot|amazon|c2$|m$|d$|s$|b$)", re.IGNORECASE)
_TRIED = re.compile(r"\btest\b|\?|^(?:damaged|lost|found|broken|wrong|check|missing|thrown|smashed|returned|adjust)", re.IGNORECASE)


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
    """Yield the products of orders as rows of a feed, by id: the first description each was sold under, and its median price where
    prices are known; for a shop that has a till and no feed."""
    titles: dict[str, tuple[float, str]] = {}
    prices: defaultdict[str, list[float]] = defaultdict(list)
    for sale in sales.lines:
        if sale.description:
            titles[sale.product] = min(titles.get(sale.product, (sale.time_s, sale.description)), (sale.time_s, sale.description))
        if sale.price > 0:
            prices[sale.product].append(sale.price)
    for product in sorted(titles):
        row: dict[str, Any] = {"id": product, "title": titles[product][1]}
        yield row | ({"price": round(median(prices[product]), 2)} if prices[product] else {})


def _named(path: Path, row: Mapping[str, Any]) -> dict[str, str]:
    plain = {re.sub(r"[\s-]+", "_", name.strip().lower()): name for name in row}
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
            with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
                yield from csv.DictReader(stream)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise FeedError(f"{path} cannot be read as orders: {error}. Give a Parquet or CSV file.") from error


def _sale(row: Mapping[str, Any], named: Mapping[str, str]) -> Sale | str:
    def cell(part: str) -> str:
        value = row.get(named.get(part, ""))
        return "" if value is None or value != value else str(value).strip()

    product, description = cell("product"), " ".join(cell("description").split())
    try:
        quantity = int(float(cell("quantity") or 1))
    except ValueError:
        quantity = 0
    if cell("order")[:1].upper() == "C":
        return "cancelled"
    if quantity <= 0:
        return "returned, or without a quantity"
    if not product or _NO_PRODUCT.match(product):
        return "no product: a fee, postage or a test"
    if _TRIED.search(description):
        return "a note in place of a description"
    user = cell("user").removesuffix(".0")
    time_s = read_time_ms(row.get(named.get("time", ""))) / 1000
    return Sale(cell("order"), product, description, quantity, time_s, user, _price(cell("price")), cell("currency").upper())


def _price(given: str) -> float:
    try:
        return float(given) if given else -1.0
    except ValueError:
        return -1.0
