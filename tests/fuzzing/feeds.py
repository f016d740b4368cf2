"""Product feeds, orders, and tables of terms: files that other programs wrote, whole or not."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import FeedError, LexiconError
from engine.lexicon.lexicon import Entry, read_terms
from engine.schema import Product
from fuzzing.catalogue import desk
from fuzzing.target import sentence
from indexer.clean.row import REASONS, REPAIRS, Cleaned, clean_row
from indexer.feeds import RawRow, open_feed
from indexer.transactions import Sale, iterate_sales, products_sold, read_sales

__all__ = ["TABLES", "packed", "parquet", "read_feed", "read_feed_as", "read_orders", "read_parquet", "read_table", "read_terms_file"]

TABLES = ("csv", "google-csv", "google-tsv", "shopify-csv", "woocommerce-csv")
_LINES = ("jsonl", "icecat-jsonl")
_MAX_CELL = 1024


def _read(path: Path, format: str) -> None:
    try:
        with open_feed(path, format=format, max_cell_chars=_MAX_CELL) as feed:
            rows = list(feed.rows())
            assert feed.rows_read == len(rows)
            assert 0 <= feed.bytes_read <= feed.bytes_total
            orjson.dumps([feed.format, feed.encoding])
            assert _told(list(feed.rows())) == _told(rows), "the same feed is read otherwise"
    except FeedError as error:
        sentence(error)
        return
    for row in rows:
        _clean(row)


def _told(rows: list[RawRow]) -> list[str]:
    return [repr(row) for row in rows]  # a NaN equals none


def _clean(row: RawRow) -> None:
    assert row.line >= 1
    if row.problem:
        assert row.problem[0] in REASONS
    found = clean_row(row, default_currency="USD", max_price=1e7, max_cell_chars=_MAX_CELL)
    if not isinstance(found, Cleaned):
        assert found.reason in REASONS
        sentence(found.detail)
        found.id.encode()
        return
    assert set(found.repairs) <= set(REPAIRS)
    assert found.product.id
    assert found.product.title
    stored = orjson.dumps(found.product.to_document())
    assert Product.from_document(orjson.loads(stored)) == found.product


def _placed(data: bytes, name: str) -> Path:
    path = desk() / name
    path.write_bytes(data)
    return path


def packed(data: bytes, name: str) -> Path:
    """Return a file of all bytes but the first: plain, packed, packed and cut short, or packed and damaged, as that one says."""
    flags, body = (data[0] % 4, data[1:]) if data else (0, b"")
    if flags == 0:
        return _placed(body, name)
    packed = bytearray(gzip.compress(body, 1, mtime=0))
    if flags == 2:
        del packed[len(packed) * 2 // 3 :]
    elif flags == 3:
        packed[len(packed) // 2] ^= 0x55
    return _placed(bytes(packed), f"{name}.gz")


def read_feed(data: bytes) -> None:
    """A file whose format is found out; the first byte says whether it is packed, and whether it comes whole."""
    _read(packed(data, "feed"), "")


def read_feed_as(*formats: str) -> Callable[[bytes], None]:
    """Return a reader of files in the format that the first byte names."""

    def read(data: bytes) -> None:
        _read(_placed(data[1:], "feed"), formats[data[0] % len(formats)] if data else formats[0])

    return read


read_table = read_feed_as(*TABLES)
"""A delimited file, read as what the first byte says."""


@cache
def parquet() -> bytes:
    """Return a small Parquet feed."""
    table = pa.table(
        {
            "id": ["A1", "A2"],
            "title": ["Tent", "防水外套"],
            "price": [9.5, None],
            "tags": [["a", "b"], []],
            "more": [{"name": "x", "value": 1}, None],
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out, compression="none", use_dictionary=False)
    return out.getvalue()


def read_parquet(data: bytes) -> None:
    """Bytes that take the place of some of a good file's: two say where, one what."""
    _read(_placed(patched(parquet(), data), "feed"), "parquet")


def patched(good: bytes, patches: bytes) -> bytes:
    """Return ``good`` with bytes replaced: each three of ``patches`` are a place and a value, the rest how much is cut off."""
    out = bytearray(good)
    for at in range(0, len(patches) - 2, 3):
        place = int.from_bytes(patches[at : at + 2], "big")
        out[place * len(out) // 65_536] = patches[at + 2]
    rest = patches[len(patches) - len(patches) % 3 :]
    return bytes(out[: len(out) - int.from_bytes(rest, "big") * len(out) // 65_536])


def read_orders(data: bytes) -> None:
    """A file of orders; the first byte says whether it is packed, and whether it comes whole."""
    path = packed(data, "orders.csv")
    try:
        sales = list(iterate_sales(path))
        read = read_sales(path)
    except FeedError as error:
        sentence(error)
        return
    kept = [sale for sale in sales if isinstance(sale, Sale)]
    assert len(kept) == len(read.lines)
    assert len(sales) - len(kept) == sum(read.skipped.values())
    for sale in kept:
        assert sale.quantity > 0
        assert sale.product
        assert sale.price == sale.price, "a price that is no number"
        "".join((sale.order, sale.product, sale.description, sale.user, sale.currency)).encode()
    for product in products_sold(read):
        orjson.dumps(product)


def read_terms_file(data: bytes) -> None:
    """A table of terms of the shop's own; the first byte says whether it is packed, and whether it comes whole."""
    try:
        found = read_terms(packed(data, "terms.tsv"))
    except LexiconError as error:
        sentence(error)
        return
    for entry in found:
        assert isinstance(entry, Entry)
        assert entry.en
        assert entry.zh
