"""From a raw feed to a published snapshot. Read this file first.

A straight line: read and clean → plan → embed → build → gate → publish. Whatever fails on the way, nothing is
published, the old snapshot keeps serving and the error says why. Knows nothing of queries or HTTP.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engine.encoder import open_encoder
from engine.encoder.card import read_card
from engine.encoder.export import export_encoder
from engine.encoder.torch_encoder import bulk_encoder
from engine.errors import GateError, SnapshotError
from engine.index.snapshot import FORMAT, Manifest, Snapshot, open_snapshot
from engine.language import TERMS_VERSION
from engine.settings import Settings
from engine.text import TEXT_VERSION, embedding_text
from indexer.build import build_files, measure
from indexer.feeds import open_feed
from indexer.gate import check_counts, check_vectors
from indexer.plan import Plan, make_plan
from indexer.publish import new_folder, prune, publish, remove_leftovers, writer_lock
from indexer.spool import Spool, spool_feed

__all__ = ["IndexReport", "NullProgress", "Progress", "reindex"]


class Progress(Protocol):
    """Whoever watches a reindex."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """A stage begins: ``total`` units of ``unit`` (``bytes`` or ``products``), ``None`` when unknown."""

    def advance(self, n: int) -> None:
        """``n`` more units are done."""

    def note(self, text: str) -> None:
        """Something worth saying happened."""


class NullProgress:
    """Watches nothing."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Do nothing."""

    def advance(self, n: int) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a reindex did. ``snapshot`` equals ``previous`` when the feed changed nothing."""

    snapshot: str
    previous: str
    format: str
    encoding: str
    mapping: dict[str, str]
    rows: int
    products: int
    embedded: int
    reused: int
    removed: int
    rejected: dict[str, int]
    rejects_file: str
    repairs: dict[str, int]
    model: str
    encoder: str
    recall: float
    seconds: float
    parity: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def reindex(
    feed: Path,
    settings: Settings,
    *,
    format: str = "",
    allow_shrink: bool = False,
    progress: Progress | None = None,
) -> IndexReport:
    """Index a feed and publish it.

    Raises:
        FeedError: the feed cannot be read or breaks off.
        GateError: what was built may not serve, or the disk is full.
        LockedError: another process is writing to the store.
        EncoderError: the model cannot be used.
    """
    started = time.monotonic()
    watch = progress or NullProgress()
    store = Path(settings.store)
    with writer_lock(store), _building(store) as folder:
        previous = _previous(store, watch)
        rejects = store / "rejected.tsv"
        with open_feed(feed, format=format, max_cell_chars=settings.max_cell_chars) as opened:
            watch.start("Reading", opened.bytes_total, "bytes")
            spool = spool_feed(opened, folder.with_name("spool.tmp"), rejects, settings, watch.advance)
            mapping, kind, encoding = dict(opened.mapping), opened.format, opened.encoding
        check_counts(spool, previous, settings, allow_shrink)
        exported = export_encoder(
            settings.model, store / "encoders", max_tokens=settings.max_tokens, device=settings.device, progress=watch.note
        )
        card = read_card(exported)
        plan, vectors_by = _embed(spool, exported, settings, previous, watch)
        watch.start("Building", len(spool.places), "products")
        counts = build_files(spool, folder, watch.advance)
        report = measure(spool, plan.vectors, open_encoder(exported, threads=0), exported, folder)
        check_vectors(folder, report["recall@10"])
        manifest = Manifest(
            id="",
            created="",
            format=FORMAT,
            text_version=TEXT_VERSION,
            terms_version=TERMS_VERSION,
            encoder=vectors_by,
            model=card.name,
            products=len(spool.places),
            dimension=card.dimension,
            counts=counts,
            report={**report, "parity": card.parity.model_dump() if card.parity else {}},
        )
        finished = publish(store, folder, manifest)
        prune(store, settings.keep_snapshots)
    before = _ids(previous)
    return IndexReport(
        snapshot=finished.id,
        previous=previous.manifest.id if previous else "",
        format=kind,
        encoding=encoding,
        mapping=mapping,
        rows=spool.rows,
        products=len(spool.places),
        embedded=len(plan.missing),
        reused=plan.reused,
        removed=len(before - spool.places.keys()),
        rejected=dict(spool.rejected.most_common()),
        rejects_file=str(rejects) if spool.rejected else "",
        repairs=dict(spool.repairs.most_common()),
        model=card.name,
        encoder=vectors_by,
        recall=report["recall@10"],
        seconds=round(time.monotonic() - started, 2),
        parity=card.parity.model_dump() if card.parity else {},
    )


@contextmanager
def _building(store: Path) -> Iterator[Path]:
    """Give a folder to build in; take it away again if anything goes wrong."""
    remove_leftovers(store)
    folder = new_folder(store)
    try:
        yield folder
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        free = shutil.disk_usage(store).free
        raise GateError(
            f"The disk of {store} is full ({free:,} bytes free), so nothing was published and the old snapshot keeps "
            "serving. Free some space, or lower the setting keep_snapshots, and index again."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name("spool.tmp").unlink(missing_ok=True)


def _previous(store: Path, watch: Progress) -> Snapshot | None:
    """Return the current snapshot, or ``None`` where there is none that can be trusted."""
    if not (store / "CURRENT").exists():
        return None
    try:
        return open_snapshot(store)
    except SnapshotError as error:
        watch.note(f"The current snapshot is not used: {error}")
        return None


def _ids(previous: Snapshot | None) -> set[str]:
    if previous is None or not previous.path.exists():
        return set()
    return set(previous.file("documents/ids.txt").read_text("utf-8").split("\n"))


def _embed(
    spool: Spool, exported: Path, settings: Settings, previous: Snapshot | None, watch: Progress
) -> tuple[Plan, str]:
    """Fill in the vectors that no snapshot has yet; return them and the fingerprint they were made with."""
    encoder = bulk_encoder(exported, settings.device, batch_size=settings.batch_size)
    ids = spool.ids
    plan = make_plan([spool.hashes[i] for i in ids], encoder.fingerprint, encoder.dimension, previous)
    watch.start("Embedding", len(plan.missing), "products")
    size = max(settings.batch_size, 32)
    for start in range(0, len(plan.missing), size):
        rows = plan.missing[start : start + size]
        texts = [embedding_text(p) for p in spool.products([ids[r] for r in rows])]
        plan.vectors[rows] = encoder.encode_products(texts).astype(np.float16)
        watch.advance(len(rows))
    return plan, encoder.fingerprint
