"""What indexing a feed will take, said before anyone starts.

In: a feed and settings. Out: :class:`Estimate`. The first rows are read, a sample of them is cleaned, embedded and built here on
this machine, and what that took is multiplied. Nothing is written into the store. Knows nothing of publishing.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine.encoder.apart import export_apart
from engine.encoder.export import find_exported
from engine.errors import FeedError
from engine.index.faiss_index import factory_for
from engine.index.runs import Scratch
from engine.lexicon import Lexicon
from engine.settings import Settings
from engine.text import embedding_text, glossing
from indexer.budget import index_bytes
from indexer.build import build_files
from indexer.embed import open_encoders
from indexer.feeds import open_feed
from indexer.feeds.records import RawRow
from indexer.reindex import languages_read
from indexer.spool import Spool, spool_feed

__all__ = ["Estimate", "estimate"]

T = TypeVar("T")

_READ = 20_000
"""Rows that are read at most; how many more there are is judged by their bytes."""
_SAMPLE = 1_000
_EMBEDDED, _WARMING = 192, 32
_BUFFER = 1 << 20
_LOOKED_AT = 50
_WAITING = 2.0
"""Times what waits on disk once all products were seen: postings are written twice."""
_SERVING, _SERVING_PRODUCT = 300 << 20, 60
"""Bytes that a server process takes for itself, and for each product beside the index (measured, benchmarks/results/scale.md)."""
_INDEXED_S = 8e-5
"""Seconds a product takes in an index with lists, on two cores; the whole of it is small beside the rest."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """``rows`` and ``products`` of the feed; seconds of each stage; bytes of memory and disk.

    ``exact`` says that all rows were read. ``own_bytes`` is the most memory of its own that indexing takes, whatever the feed;
    ``serving_bytes`` what each server process takes, and ``mapped_bytes`` what they map and share. ``disk_bytes`` is one
    snapshot, ``working_bytes`` what is needed beside those that are kept while the next one is made, ``free_bytes`` what there is.
    """

    rows: int
    exact: bool
    products: int
    rejected: float
    reading_s: float
    embedding_s: float
    building_s: float
    own_bytes: int
    index: str
    serving_bytes: int
    mapped_bytes: int
    disk_bytes: int
    working_bytes: int
    free_bytes: int

    @property
    def seconds(self) -> float:
        """How long all of it takes."""
        return self.reading_s + self.embedding_s + self.building_s

    @property
    def fits(self) -> bool:
        """Whether the disk has room for it."""
        return self.working_bytes < self.free_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON values."""
        return {**asdict(self), "seconds": self.seconds, "fits": self.fits}


@dataclass(slots=True)
class _Rows:
    """Some rows of a feed, read again as if they were all."""

    sample: list[RawRow]
    bytes_read: int = 0

    def rows(self) -> Iterator[RawRow]:
        """Yield them."""
        return iter(self.sample)


@dataclass(slots=True)
class _Waiting:
    """Looks now and then how much waits on disk."""

    folder: Path
    seen: int = 0
    most: int = 0

    def look(self, n: int) -> None:
        """Note that ``n`` more products were seen."""
        self.seen += n
        if self.seen % _LOOKED_AT == 0:
            self.most = max(self.most, _size(self.folder))


def estimate(feed: Path, settings: Settings, *, format: str = "") -> Estimate:
    """Return what indexing ``feed`` from nothing will take.

    Raises:
        FeedError: the feed cannot be read, or none of the sampled rows is a product.
        EncoderError: the model cannot be used.
    """
    sample, rows, exact, read_s = _sampled(feed, settings, format)
    lexicon = Lexicon.own(*settings.lexicons)
    languages = languages_read(settings)
    glosses = glossing(languages, lexicon)
    with tempfile.TemporaryDirectory(prefix="daogou-estimate-") as name:
        work = Path(name)
        scratch = Scratch(work / "scratch", _BUFFER)
        clean_s, spool = _took(
            lambda: spool_feed(_Rows(sample), scratch.folder, work / "rejects.tsv", settings, lambda _: None, glosses)
        )
        if not len(spool.ids):
            raise FeedError(f"None of {len(sample):,} rows of {feed} is a usable product, so nothing can be said. Check the feed.")
        embed_s, dimension = _embedding(spool, settings, glosses, work)
        waiting = _Waiting(scratch.folder)
        folder = work / "snapshot"
        folder.mkdir()
        build_s, _ = _took(lambda: build_files(spool, folder, waiting.look, lexicon, {}, scratch))
        kept = len(spool.ids)
        share = kept / len(sample)
        products = round(rows * share)
        fixed = sum(_size(folder / part) for part in ("lexicon", "vocabulary", "values"))
        per_product = (_size(folder) - fixed) / kept
        per_waiting = _WAITING * waiting.most / kept
    return _multiplied(
        settings,
        rows=rows,
        exact=exact,
        products=products,
        rejected=round(1 - share, 4),
        reading_s=rows * (read_s + clean_s / len(sample)),
        embedding_s=products * embed_s,
        building_s=products * build_s / kept,
        dimension=dimension,
        fixed=fixed,
        per_product=per_product,
        per_waiting=per_waiting,
    )


def _multiplied(
    settings: Settings,
    *,
    rows: int,
    exact: bool,
    products: int,
    rejected: float,
    reading_s: float,
    embedding_s: float,
    building_s: float,
    dimension: int,
    fixed: int,
    per_product: float,
    per_waiting: float,
) -> Estimate:
    index = factory_for(products, dimension, index_bytes(settings))
    lists = index.startswith("IVF")
    parts = int(index.rpartition("PQ")[2].partition("x")[0]) if index else 0
    per_vector = parts // 2 + 8 * lists
    snapshot = round(fixed + products * (per_product + 2 * dimension + per_vector))
    store = next(folder for folder in (settings.store, *settings.store.absolute().parents) if folder.exists())
    return Estimate(
        rows=rows,
        exact=exact,
        products=products,
        rejected=rejected,
        reading_s=round(reading_s, 1),
        embedding_s=round(embedding_s, 1),
        building_s=round(building_s + products * _INDEXED_S * lists, 1),
        own_bytes=settings.index_memory_mb << 20,
        index=index or "exact",
        serving_bytes=_SERVING + products * (per_vector + _SERVING_PRODUCT),
        mapped_bytes=snapshot,
        disk_bytes=snapshot,
        working_bytes=round(snapshot + products * per_waiting),
        free_bytes=shutil.disk_usage(store).free,
    )


def _sampled(feed: Path, settings: Settings, format: str) -> tuple[list[RawRow], int, bool, float]:
    """Return some rows of a feed, how many it has, whether that is certain, and the seconds it takes to read one."""
    rng = random.Random(0)
    sample: list[RawRow] = []
    with open_feed(feed, format=format, max_cell_chars=settings.max_cell_chars) as opened:
        started = time.perf_counter()
        read, exact = 0, True
        marks: list[tuple[int, int]] = []  # rows and bytes, each time more of the file was taken in
        for row in opened.rows():
            read += 1
            place = read - 1 if read <= _SAMPLE else rng.randrange(read)
            if place < len(sample):
                sample[place] = row
            elif place == len(sample) and len(sample) < _SAMPLE:
                sample.append(row)
            if not marks or opened.bytes_read > marks[-1][1]:
                marks = [*marks[:1], (read, opened.bytes_read)]
            if read >= _READ and len(marks) > 1 and opened.bytes_read < opened.bytes_total:
                exact = False
                break
        seconds = time.perf_counter() - started
        rows = read if exact else round(_rows_per_byte(*marks) * opened.bytes_total)
    if not sample:
        raise FeedError(f"{feed} has no rows.")
    return sample, rows, exact, seconds / read


def _rows_per_byte(first: tuple[int, int], last: tuple[int, int]) -> float:
    return (last[0] - first[0]) / (last[1] - first[1])


def _embedding(spool: Spool, settings: Settings, glosses: Lexicon | None, work: Path) -> tuple[float, int]:
    """Return the seconds it takes to embed a product, and the dimension of its vector."""
    texts = [embedding_text(product, glosses) for product in spool.spread(_EMBEDDED + _WARMING)]
    cache = settings.store / "encoders"
    toy = settings.model.split(":")[0] == "hashing"
    known = None if toy else find_exported(settings.model, cache, max_tokens=settings.max_tokens, runtime=settings.runtime)
    folder = known or export_apart(
        settings.model,
        work / "encoders",
        max_tokens=settings.max_tokens,
        sample_texts=texts,
        device=settings.device,
        runtime=settings.runtime,
    )
    products, _ = open_encoders(folder, settings)
    products.encode_products(texts[:_WARMING])
    took, _ = _took(lambda: products.encode_products(texts))
    return took / len(texts), products.dimension


def _took(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    done = work()
    return time.perf_counter() - started, done


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
