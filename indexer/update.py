"""A few changes to a large catalogue: published in seconds, beside what is there.

In: a feed of products that came or changed, and ids of those that are gone. Out: a snapshot that shares the files of the one
before: changed products are in its delta, rows of the base that they replace are dead. When a tenth of the base has changed,
everything is built into one again, and the snapshot is the one that the whole feed would have made. Knows nothing of queries.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.encoder import open_encoder
from engine.errors import GateError, SnapshotError
from engine.events import EventLog
from engine.index.documents import Documents
from engine.index.faiss_index import VECTORS
from engine.index.runs import Scratch
from engine.index.snapshot import Manifest, Snapshot, current_id, open_snapshot
from engine.language import TERMS_VERSION
from engine.lexicon import Lexicon
from engine.schema import Product
from engine.settings import Settings
from engine.text import TEXT_VERSION, glossing
from indexer.budget import buffer_bytes
from indexer.build import build_files
from indexer.collections import sweep
from indexer.durable import link_or_copy, write_out
from indexer.embed import embed_missing
from indexer.feeds import open_feed
from indexer.gate import check_snapshot
from indexer.plan import make_plan
from indexer.publish import finish, list_files, new_id, prune, publish, writer_lock
from indexer.reindex import NullProgress, Progress, build_snapshot, languages_read
from indexer.remote import bring_back, push
from indexer.spool import Spool, spool_feed
from indexer.workplace import Workplace, workplace

__all__ = ["UpdateReport", "compact", "update"]

_DELTA, _TOMBSTONES = "delta/", "tombstones.npy"


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update did. ``changed`` and ``new`` products came with the feed, ``unchanged`` were as they are; ``unknown`` ids were
    to be deleted and are not there. ``delta`` and ``dead`` rows wait until everything is built into one: ``compacted`` says
    that it was. ``snapshot`` equals ``previous`` when nothing changed."""

    snapshot: str
    previous: str
    rows: int
    changed: int
    new: int
    unchanged: int
    deleted: int
    unknown: int
    rejected: dict[str, int]
    rejects_file: str
    embedded: int
    products: int
    delta: int
    dead: int
    compacted: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


@dataclass(slots=True)
class _Changes:
    """Which products of a feed change a snapshot, and how many."""

    previous: Snapshot
    documents: Documents
    new: int = 0
    changed: int = 0
    unchanged: int = 0

    def __call__(self, product: Product) -> bool:
        """Return whether a product has to be in the delta."""
        row = self.documents.row_of(product.id)
        document = orjson.loads(orjson.dumps(product.to_document()))
        if row is None:
            self.new += 1
        elif document != self.documents.document(row):
            self.changed += 1
        else:
            self.unchanged += 1
            return row >= self.previous.parts[0].size  # what lies in the delta is written again with it
        return True


@dataclass(slots=True)
class _NoRows:
    """A feed that says nothing."""

    bytes_read: int = 0

    def rows(self) -> Iterator[Any]:
        """Yield nothing."""
        return iter(())


def update(
    feed: Path | None,
    settings: Settings,
    *,
    delete: Sequence[str] = (),
    format: str = "",
    allow_shrink: bool = False,
    progress: Progress = NullProgress(),
) -> UpdateReport:
    """Publish what changed. A product both in the feed and among those to ``delete`` stays, as the feed has it.

    Raises:
        FeedError: the feed cannot be read or breaks off.
        SnapshotError: there is no snapshot, or it is damaged.
        GateError: too much would go, what was built may not serve, another version made the snapshot, or the disk is full.
        LockedError: another process is writing to the store.
        EncoderError: the model of the snapshot cannot be used.
    """
    started, store = time.monotonic(), Path(settings.store)
    bring_back(settings, progress.note)
    _check_published(store)
    with writer_lock(store), workplace(store, progress.note) as work:
        previous = open_snapshot(store)
        _check_versions(previous.manifest)
        lexicon = Lexicon.open(previous.path / "lexicon")
        glosses = glossing(_languages(previous), lexicon)
        scratch = Scratch(work.scratch, buffer_bytes(settings))
        documents = Documents(previous.parts, previous.dead)
        changes = _Changes(previous, documents)
        carried = _carried(previous, documents, frozenset(delete))
        spool = _read(feed, format, settings, work, progress, glosses, scratch, changes, carried)
        dead, deleted = _dead(previous, documents, spool.ids, delete)
        products = previous.parts[0].size - len(dead) + len(spool.ids)
        _check_counts(products, deleted, previous.manifest.products, spool, settings, allow_shrink)
        nothing = not (changes.new or changes.changed or deleted)
        compacting = len(dead) + len(spool.ids) > settings.compact_share * previous.parts[0].size
        if nothing:
            progress.note("Nothing changed, so the current snapshot stays.")
            manifest, embedded = previous.manifest, 0
        elif compacting:
            manifest, embedded = _compact(previous, documents, dead, spool, work, settings, progress)
        else:
            manifest, embedded = _publish_delta(previous, spool, dead, work, scratch, settings, lexicon, progress)
        rejects = work.keep_rejects("" if nothing else manifest.id) if spool.rejected else ""
        unknown = len(set(delete)) - sum(documents.row_of(i) is not None for i in set(delete))
    return UpdateReport(
        snapshot=manifest.id,
        previous=previous.manifest.id,
        rows=spool.rows,
        changed=changes.changed,
        new=changes.new,
        unchanged=changes.unchanged,
        deleted=deleted,
        unknown=unknown,
        rejected=dict(spool.rejected.most_common()),
        rejects_file=rejects,
        embedded=embedded,
        products=manifest.products,
        delta=manifest.delta,
        dead=manifest.dead,
        compacted=not nothing and compacting,
        seconds=round(time.monotonic() - started, 2),
    )


def compact(settings: Settings, *, progress: Progress = NullProgress()) -> str:
    """Build the base and the delta of the current snapshot into one, publish it, and return its id.

    Raises:
        SnapshotError: there is no snapshot, or it is damaged.
        GateError: what was built may not serve, or the disk is full.
        LockedError: another process is writing to the store.
    """
    store = Path(settings.store)
    bring_back(settings, progress.note)
    _check_published(store)
    with writer_lock(store), workplace(store, progress.note) as work:
        previous = open_snapshot(store)
        documents = Documents(previous.parts, previous.dead)
        carried = _carried(previous, documents, frozenset())
        delta = spool_feed(_NoRows(), work.scratch / "delta", work.rejects, settings, progress.advance, also=carried)
        manifest, _ = _compact(previous, documents, previous.dead, delta, work, settings, progress)
        return manifest.id


def _check_published(store: Path) -> None:
    """Refuse a store without a snapshot before the lock, which would make its folder."""
    if not current_id(store):
        raise SnapshotError(f"No snapshot was published in {store} yet. Run `daogou index FEED --store {store}`.")


def _languages(snapshot: Snapshot) -> Sequence[str]:
    """Return the languages that the model of a snapshot reads."""
    languages: Sequence[str] = snapshot.manifest.report.get("languages", ["en"])
    return languages


def _check_versions(manifest: Manifest) -> None:
    """Refuse to add to what another version has made."""
    if (manifest.text_version, manifest.terms_version) != (TEXT_VERSION, TERMS_VERSION):
        raise GateError("Another version of daogou made the current snapshot. Index the whole feed again: `daogou index FEED`.")


def _check_counts(
    products: int, deleted: int, before: int, spool: Spool, settings: Settings, allow_shrink: bool
) -> None:
    """Refuse a feed with too many bad rows, and deleting too much.

    Raises:
        GateError: with the numbers; what serves keeps serving.
    """
    refused = sum(spool.rejected.values())
    if refused > settings.max_rejected * max(spool.rows, 1):
        raise GateError(
            f"{refused:,} of {spool.rows:,} rows were rejected, more than the allowed {settings.max_rejected:.0%}. Nothing was "
            "published; the current snapshot keeps serving. Mend the feed, or raise the setting max_rejected."
        )
    if not products or (not allow_shrink and deleted > settings.max_shrink * before):
        share = "all" if not products else f"{deleted / before:.0%}, more than the allowed {settings.max_shrink:.0%}"
        raise GateError(
            f"{deleted:,} of {before:,} products would be deleted: {share}. Nothing was published; the current snapshot keeps "
            f"serving.{' If it is meant, update again with --allow-shrink.' if products else ''}"
        )


def _read(
    feed: Path | None,
    format: str,
    settings: Settings,
    work: Workplace,
    progress: Progress,
    glosses: Lexicon | None,
    scratch: Scratch,
    changes: _Changes,
    carried: Iterable[Product],
) -> Spool:
    """Return what the delta holds: what the feed changes, and what lay there before."""

    def spooled(rows: Any) -> Spool:
        return spool_feed(
            rows,
            scratch.folder,
            work.rejects,
            settings,
            progress.advance,
            glosses,
            scratch.buffer_bytes,
            changes=changes,
            also=carried,
        )

    if feed is None:
        return spooled(_NoRows())
    with open_feed(feed, format=format, max_cell_chars=settings.max_cell_chars) as opened:
        progress.start("Reading", opened.bytes_total, "bytes")
        return spooled(opened)


def _carried(previous: Snapshot, documents: Documents, gone: frozenset[str]) -> Iterator[Product]:
    """Yield the products of the delta that stay."""
    for row in range(previous.parts[0].size, previous.rows):
        product = documents.product(row)
        if product.id not in gone:
            yield product


def _dead(
    previous: Snapshot, documents: Documents, ids: Sequence[str], delete: Sequence[str]
) -> tuple[NDArray[np.int64], int]:
    """Return the rows of the base that nobody may find any more, and how many products are deleted."""
    kept = Documents(previous.parts[:1])
    gone = [i for i in dict.fromkeys(delete) if documents.row_of(i) is not None]
    staying = set(ids)
    gone = [i for i in gone if i not in staying]
    rows = {row for i in (*ids, *gone) if (row := kept.row_of(i)) is not None}
    return np.array(sorted(rows | set(previous.dead.tolist())), np.int64), len(gone)


def _publish_delta(
    previous: Snapshot,
    spool: Spool,
    dead: NDArray[np.int64],
    work: Workplace,
    scratch: Scratch,
    settings: Settings,
    lexicon: Lexicon,
    progress: Progress,
) -> tuple[Manifest, int]:
    """Publish the base as it is with a new delta, and return the manifest and how many products were embedded."""
    store, before = Path(settings.store), previous.manifest
    kept = {n: f for n, f in before.files.items() if not n.startswith(_DELTA) and n != _TOMBSTONES}
    folder, embedded = work.folder, 0
    if len(spool.ids):
        encoder = open_encoder(previous.path / "encoder", threads=0, expect=before.encoder)
        glosses = glossing(_languages(previous), lexicon)
        plan = make_plan(spool.hashes, before.encoder, before.dimension, previous, scratch.folder / "vectors")
        progress.start("Embedding", len(plan.missing), "products")
        embed_missing(plan, spool, encoder, settings.batch_size, progress.advance, glosses)
        write_out(scratch.folder / "vectors" / VECTORS, folder / "delta" / "vectors" / VECTORS)
        progress.start("Building", len(spool.ids), "products")
        build_files(spool, folder / "delta", progress.advance, lexicon, {}, scratch, base=previous.path)
        embedded = len(plan.missing)
    if len(dead):
        np.save(folder / _TOMBSTONES, dead, allow_pickle=False)
    files = list_files(folder) | kept
    for name in kept:
        link_or_copy(previous.path / name, folder / name)
    manifest = replace(
        before,
        id=new_id(store, files),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        products=previous.parts[0].size - len(dead) + len(spool.ids),
        delta=len(spool.ids),
        dead=len(dead),
        files=files,
    )
    finished = finish(work.root, folder, manifest)
    check_snapshot(work.root, manifest, settings, verified=previous)
    if settings.events and EventLog.exists(settings):  # whose purchases the base has learned from, this one has
        with closing(EventLog.open(settings)) as log:
            log.uses.inherit("snapshot", manifest.id, "snapshot", before.id)
    publish(store, finished)
    prune(store, settings.keep_snapshots, before.id)
    sweep(settings, progress.note)
    push(settings, progress.note)
    return manifest, embedded


def _compact(
    previous: Snapshot,
    documents: Documents,
    dead: NDArray[np.int64],
    spool: Spool,
    work: Workplace,
    settings: Settings,
    progress: Progress,
) -> tuple[Manifest, int]:
    """Build a whole snapshot of the base without its dead rows, and of what is spooled."""
    progress.note("So much has changed that everything is built into one again.")
    gone = set(dead.tolist())

    def everything() -> Iterator[Product]:
        yield from spool.products(range(len(spool.ids)))
        for row in range(previous.parts[0].size):
            if row not in gone:
                yield documents.product(row)

    lexicon = Lexicon.own(*settings.lexicons)
    glosses = glossing(languages_read(settings), lexicon)  # as the whole is embedded, so that hashes are of what is read
    scratch = Scratch(work.scratch / "whole", buffer_bytes(settings))
    whole = spool_feed(
        _NoRows(), scratch.folder, work.rejects, settings, progress.advance, glosses, scratch.buffer_bytes, also=everything()
    )
    facts: dict[str, Any] = {"format": "", "encoding": "", "mapping": {}}
    report = build_snapshot(
        whole, facts, previous, work, scratch, settings, lexicon, progress, None, time.monotonic()
    )
    return open_snapshot(Path(settings.store), report.snapshot).manifest, report.embedded
