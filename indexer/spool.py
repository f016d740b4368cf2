"""Cleaned products on disk while a feed is read, so that memory does not grow with the feed's text.

In: a feed. Out: :class:`Spool`: the products by id, and what was rejected and repaired. Of each product only its id,
its place and a hash stay in memory. The first row of an id wins; later ones are rejected as duplicates.
Knows nothing of vectors or snapshots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import orjson

from engine.lexicon import Lexicon
from engine.schema import Product
from engine.settings import Settings
from engine.text import content_hash
from indexer.clean import Cleaned, Rejection, clean_row
from indexer.feeds import Feed

__all__ = ["Spool", "spool_feed"]


@dataclass(slots=True)
class Spool:
    """``places`` maps an id to where its product starts in ``path``; ``hashes`` to its content hash (32 bytes).

    ``ids`` are all ids in the order of snapshots, once the whole feed was read.
    """

    path: Path
    ids: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, bytes] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    rows: int = 0

    def spread(self, most: int) -> list[Product]:
        """Return at most ``most`` products, evenly spread over the ids."""
        places = np.unique(np.linspace(0, len(self.ids) - 1, min(most, len(self.ids))).astype(int))
        return list(self.products([self.ids[place] for place in places]))

    def products(self, ids: list[str]) -> Iterator[Product]:
        """Yield the products of ``ids`` in that order."""
        with self.path.open("rb") as stream:
            for product_id in ids:
                stream.seek(self.places[product_id])
                yield Product.from_document(orjson.loads(stream.readline()))


def spool_feed(
    feed: Feed, path: Path, rejects: Path, settings: Settings, advance: Callable[[int], None], lexicon: Lexicon | None = None
) -> Spool:
    """Read and clean a whole feed into ``path``; every rejected row goes to ``rejects`` with its line and reason.

    Raises:
        FeedError: the feed breaks off. What was rejected until then is in ``rejects``.
    """
    spool = Spool(path)
    done = 0
    rejects.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out, rejects.open("w", encoding="utf-8", errors="backslashreplace") as refused:
        refused.write("line\tid\treason\tdetail\n")
        for row in feed.rows():
            spool.rows += 1
            result = clean_row(
                row,
                default_currency=settings.default_currency,
                max_price=settings.max_price,
                max_cell_chars=settings.max_cell_chars,
            )
            if isinstance(result, Cleaned) and result.product.id in spool.places:
                detail = f"An earlier row has the id {result.product.id!r} and was kept. Give each product its own id."
                result = Rejection(row.line, result.product.id, "duplicate_id", detail)
            if isinstance(result, Rejection):
                spool.rejected[result.reason] += 1
                cells = (str(result.line), result.id, result.reason, result.detail)
                refused.write("\t".join(" ".join(c.split()) for c in cells) + "\n")
            else:
                _keep(spool, result, out, lexicon)
            if spool.rows % 200 == 0:
                advance(feed.bytes_read - done)
                done = feed.bytes_read
    advance(feed.bytes_read - done)
    spool.ids = sorted(spool.places)
    return spool


def _keep(spool: Spool, cleaned: Cleaned, out: IO[bytes], lexicon: Lexicon | None) -> None:
    product = cleaned.product
    spool.places[product.id] = out.tell()
    spool.hashes[product.id] = bytes.fromhex(content_hash(product, lexicon))
    spool.repairs.update(cleaned.repairs)
    out.write(orjson.dumps(product.to_document()) + b"\n")
