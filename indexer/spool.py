"""Cleaned products on disk while a feed is read, so that memory does not grow with the feed.

In: a feed. Out: :class:`Spool`: the products in the order of their ids, and what was rejected and repaired. Ids are sorted by
SQLite, in a file that is thrown away. The first row of an id wins; later ones are rejected as duplicates. Knows nothing of
vectors or snapshots.
"""

from __future__ import annotations

import errno
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.index.arrays import create_array
from engine.index.strings import Strings, StringsWriter
from engine.lexicon import Lexicon
from engine.schema import Product
from engine.settings import Settings
from engine.text import content_hash
from indexer.clean import Cleaned, Rejection, clean_row
from indexer.feeds.records import RawRow

__all__ = ["Rows", "Spool", "spool_feed"]


@dataclass(slots=True)
class Spool:
    """The products of ``path`` in the order of snapshots: their ``ids``, where each starts (``places`` int64 ``(n,)``) and its
    content hash (``hashes`` uint8 ``(n, 32)``)."""

    path: Path
    ids: Strings
    places: NDArray[np.int64]
    hashes: NDArray[np.uint8]
    rejected: Counter[str]
    repairs: Counter[str]
    rows: int

    def spread(self, most: int) -> list[Product]:
        """Return at most ``most`` products, evenly spread over the ids."""
        rows = np.unique(np.linspace(0, len(self.ids) - 1, min(most, len(self.ids))).astype(int))
        return list(self.products(rows.tolist()))

    def products(self, rows: Iterable[int]) -> Iterator[Product]:
        """Yield the products of ``rows`` in that order."""
        with self.path.open("rb") as stream:
            for row in rows:
                stream.seek(int(self.places[row]))
                yield Product.from_document(orjson.loads(stream.readline()))


_NOWHERE = -1


class Rows(Protocol):
    """Rows of a feed, and how many bytes of it were read."""

    @property
    def bytes_read(self) -> int:
        """Bytes read so far."""
        ...

    def rows(self) -> Iterator[RawRow]:
        """Yield the rows one by one."""
        ...


def spool_feed(
    feed: Rows,
    folder: Path,
    rejects: Path,
    settings: Settings,
    advance: Callable[[int], None],
    lexicon: Lexicon | None = None,
    buffer_bytes: int = 1 << 24,
    *,
    changes: Callable[[Product], bool] = lambda _: True,
    also: Iterable[Product] = (),
) -> Spool:
    """Read and clean a whole feed into ``folder``; every rejected row goes to ``rejects`` with its line and reason.

    A product of the feed that ``changes`` nothing is left out; ``also`` are products that the feed does not speak of.

    Raises:
        FeedError: the feed breaks off. What was rejected until then is in ``rejects``.
        OSError: the disk is full.
    """
    rejected: Counter[str] = Counter()
    repairs: Counter[str] = Counter()
    rows = done = 0
    path = folder / "products.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    rejects.parent.mkdir(parents=True, exist_ok=True)
    with (
        _sorting(folder / "ids.sqlite", buffer_bytes) as known,
        path.open("wb") as out,
        rejects.open("w", encoding="utf-8", errors="backslashreplace") as refused,
    ):
        refused.write("line\tid\treason\tdetail\n")
        for row in feed.rows():
            rows += 1
            result = clean_row(
                row,
                default_currency=settings.default_currency,
                max_price=settings.max_price,
                max_cell_chars=settings.max_cell_chars,
            )
            changing = isinstance(result, Cleaned) and changes(result.product)
            place = out.tell() if changing else _NOWHERE
            if isinstance(result, Cleaned) and not _new(known, result.product, place, lexicon):
                detail = f"An earlier row has the id {result.product.id!r} and was kept. Give each product its own id."
                result = Rejection(row.line, result.product.id, "duplicate_id", detail)
            if isinstance(result, Rejection):
                rejected[result.reason] += 1
                cells = (str(result.line), result.id, result.reason, result.detail)
                refused.write("\t".join(" ".join(c.split()) for c in cells) + "\n")
            else:
                repairs.update(result.repairs)
                if changing:
                    out.write(orjson.dumps(result.product.to_document()) + b"\n")
            if rows % 200 == 0:
                advance(feed.bytes_read - done)
                done = feed.bytes_read
        advance(feed.bytes_read - done)
        for product in also:
            if _new(known, product, out.tell(), lexicon):
                out.write(orjson.dumps(product.to_document()) + b"\n")
        return Spool(path, *_sorted(known, folder), rejected, repairs, rows)


@contextmanager
def _sorting(path: Path, cache_bytes: int) -> Iterator[sqlite3.Connection]:
    """Give a table of ids that is as large as the disk and takes so much memory.

    Raises:
        OSError: the disk is full.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as known:
            kept = f"cache_size = -{cache_bytes >> 10}"
            for line in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", kept):
                known.execute(f"PRAGMA {line}")
            known.execute("CREATE TABLE product (id TEXT PRIMARY KEY, place INTEGER, hash BLOB) WITHOUT ROWID")
            known.execute("BEGIN")
            yield known
    except sqlite3.OperationalError as error:
        full = "full" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(path)) from error
    finally:
        path.unlink(missing_ok=True)


def _new(known: sqlite3.Connection, product: Product, place: int, lexicon: Lexicon | None) -> bool:
    """Take a product in, and return whether none before it has its id."""
    values = (product.id, place, bytes.fromhex(content_hash(product, lexicon)))
    return known.execute("INSERT OR IGNORE INTO product VALUES (?, ?, ?)", values).rowcount == 1


def _sorted(known: sqlite3.Connection, folder: Path) -> tuple[Strings, NDArray[np.int64], NDArray[np.uint8]]:
    """Write ids, places and hashes in the order of ids, and return them in place."""
    (n,) = known.execute("SELECT count(*) FROM product WHERE place >= 0").fetchone()
    places, hashes = create_array(folder / "places.npy", np.int64, n), create_array(folder / "hashes.npy", np.uint8, n, 32)
    ids = StringsWriter(folder / "ids")
    kept = known.execute("SELECT id, place, hash FROM product WHERE place >= 0 ORDER BY id")
    for row, (product_id, place, digest) in enumerate(kept):
        ids.add(product_id)
        places[row], hashes[row] = place, np.frombuffer(digest, np.uint8)
    ids.close()
    return Strings(folder / "ids"), places, hashes
