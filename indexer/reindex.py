"""From a raw feed to a published snapshot. Read this file first.

A straight line: read and clean → plan → embed → build → gate → publish. Whatever fails on the way, nothing is
published, the old snapshot keeps serving and the error says why. Full and incremental are one path; only the plan
differs. Knows nothing of queries or HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from engine.encoder.apart import export_apart
from engine.encoder.card import Card, read_card
from engine.encoder.source import languages_of
from engine.engine import Engine
from engine.events import EventLog
from engine.index.documents import Documents
from engine.index.faiss_index import VECTORS
from engine.index.runs import Scratch
from engine.index.snapshot import FORMAT, Manifest, Part, Snapshot, open_snapshot
from engine.language import TERMS_VERSION
from engine.lexicon import Lexicon
from engine.recommend import Orders
from engine.settings import Settings
from engine.text import TEXT_VERSION, embedding_text, glossing
from indexer.budget import buffer_bytes, hand_back
from indexer.build import build_files, build_vectors, link_encoder
from indexer.collections import sweep
from indexer.durable import write_out
from indexer.embed import embed_missing, open_encoders
from indexer.embed_ray import embed_with_ray
from indexer.feeds import open_feed
from indexer.gate import check_counts, check_snapshot, check_vectors
from indexer.logs import logged, read_log
from indexer.plan import make_plan
from indexer.popular import Popular, popular_queries
from indexer.publish import finish, list_files, new_id, prune, publish, writer_lock
from indexer.remote import bring_back, push
from indexer.sold import Sold, orders_of_log, save_recommendations
from indexer.spool import Spool, spool_feed
from indexer.workplace import Workplace, open_previous, previous_count, workplace

__all__ = ["IndexReport", "Judge", "NullProgress", "Progress", "build_snapshot", "languages_read", "reindex"]

_PARITY_TEXTS = 256

Judge = Callable[[Engine, Engine], list[dict[str, Any]]]
"""Compares the serving engine with the one that would serve; raises GateError where that may not be."""


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
    """What a reindex did. ``snapshot`` equals ``previous`` when the feed changed nothing.

    ``searches`` counts the searches of the log that are common enough to suggest, and the others by reason.
    ``orders`` is how many orders recommendations rest on. ``judged`` is what was found where the encoder changed.
    ``rejects_file`` says line, id, reason and detail of every rejected row; it is empty when there is none.
    """

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
    parity: dict[str, Any]
    searches: dict[str, int]
    orders: int
    judged: list[dict[str, Any]]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def reindex(
    feed: Path,
    settings: Settings,
    *,
    format: str = "",
    allow_shrink: bool = False,
    progress: Progress = NullProgress(),
    judge: Judge | None = None,
) -> IndexReport:
    """Index a feed and publish it, unless it changes nothing.

    Where the encoder is another than the serving one's, ``judge`` is given an engine of each and may refuse; what it returns
    is part of the report.

    Raises:
        FeedError: the feed cannot be read or breaks off.
        GateError: what was built may not serve, or the disk is full.
        LockedError: another process is writing to the store.
        EncoderError: the model cannot be used.
        LexiconError: a table of terms cannot be read.
    """
    started, store = time.monotonic(), Path(settings.store)
    with writer_lock(store), workplace(store, progress.note) as work:
        bring_back(settings, progress.note)
        lexicon = Lexicon.own(*settings.lexicons)
        glosses = glossing(languages_read(settings), lexicon)
        previous = open_previous(store, progress.note)
        scratch = Scratch(work.scratch, buffer_bytes(settings))
        facts, spool = _read(Path(feed), format, settings, work, progress, glosses, scratch)
        check_counts(spool, previous_count(store), settings, allow_shrink=allow_shrink, rejects=work.rejects)
        return build_snapshot(spool, facts, previous, work, scratch, settings, lexicon, progress, judge, started)


def languages_read(settings: Settings) -> list[str]:
    """Return the languages that the model of the settings reads."""
    return settings.semantic_languages or list(languages_of(settings.model))


def build_snapshot(
    spool: Spool,
    facts: dict[str, Any],
    previous: Snapshot | None,
    work: Workplace,
    scratch: Scratch,
    settings: Settings,
    lexicon: Lexicon,
    progress: Progress,
    judge: Judge | None,
    started: float,
) -> IndexReport:
    """Make a whole snapshot of cleaned products and publish it, unless it changes nothing. The store is locked by the caller."""
    store, languages = Path(settings.store), languages_read(settings)
    glosses = glossing(languages, lexicon)
    popular = _popular(settings)
    exported = _export(spool, settings, progress, glosses)
    card = read_card(exported)
    products, queries = open_encoders(exported, settings)
    plan = make_plan(spool.hashes, products.fingerprint, products.dimension, previous, scratch.folder / "vectors")
    progress.start("Embedding", len(plan.missing), "products")
    if settings.embed_engine == "ray":
        embed_with_ray(plan, spool, exported, settings, scratch.folder, progress.advance, glosses)
    else:
        embed_missing(plan, spool, products, settings.batch_size, progress.advance, glosses)
    write_out(scratch.folder / "vectors" / VECTORS, work.folder / "vectors" / VECTORS)

    scratch = Scratch(scratch.folder, buffer_bytes(settings))  # the encoder has taken its share by now
    progress.start("Building", len(spool.ids), "products")
    counts = build_files(spool, work.folder, progress.advance, lexicon, popular.texts, scratch)
    hand_back()
    measured = build_vectors(spool, queries, work.folder, settings)
    sold = _sold(settings, spool.ids)
    counts |= save_recommendations(sold.orders, plan.vectors, work.folder, settings.min_buyers)
    link_encoder(exported, work.folder)
    check_vectors(Part(work.folder, 0, len(spool.ids)), settings, measured["recall"])
    manifest = _manifest(store, work.folder, card, products.fingerprint, counts, measured | {"languages": languages})

    removed = _gone(_ids_of(previous), spool.ids) if previous else 0
    judged: list[dict[str, Any]] = []
    changed = previous is None or not _same(previous.manifest, manifest)
    if changed:
        finished = finish(work.root, work.folder, manifest)
        check_snapshot(work.root, manifest, settings)
        if judge and previous and previous.manifest.encoder != manifest.encoder:
            judged = _judged(judge, previous, open_snapshot(work.root, manifest.id), settings, progress)
        _note_people(settings, manifest.id, sold.people)
        publish(store, finished)
    else:
        progress.note("Nothing changed, so the current snapshot stays.")
    # Also when nothing changed: a writer killed after publishing did not get here.
    prune(store, settings.keep_snapshots, previous.manifest.id if previous else "")
    sweep(settings, progress.note)
    push(settings, progress.note)
    snapshot = manifest.id if changed or previous is None else previous.manifest.id
    rejects = work.keep_rejects(manifest.id if changed else "") if spool.rejected else ""
    return IndexReport(
        snapshot=snapshot,
        previous=previous.manifest.id if previous else "",
        **facts,
        rows=spool.rows,
        products=len(spool.ids),
        embedded=len(plan.missing),
        reused=plan.reused,
        removed=removed,
        rejected=dict(spool.rejected.most_common()),
        rejects_file=rejects,
        repairs=dict(spool.repairs.most_common()),
        model=card.name,
        encoder=products.fingerprint,
        recall=measured["recall"],
        parity=_parity(card),
        searches={"common": len(popular.texts), **popular.left_out} if popular.texts or popular.left_out else {},
        orders=counts.get("orders", 0),
        judged=judged,
        seconds=round(time.monotonic() - started, 2),
    )


def _ids_of(snapshot: Snapshot) -> Iterator[str]:
    """Yield the ids of a snapshot's products in their order."""
    documents = Documents(snapshot.parts, snapshot.dead)
    return (documents.ids[row] for row in documents.living())


def _read(
    feed: Path,
    format: str,
    settings: Settings,
    work: Workplace,
    progress: Progress,
    glosses: Lexicon | None,
    scratch: Scratch,
) -> tuple[dict[str, Any], Spool]:
    """Read and clean the whole feed into the workplace; return what it was recognised as, and the spool."""
    with open_feed(feed, format=format, max_cell_chars=settings.max_cell_chars) as opened:
        progress.start("Reading", opened.bytes_total, "bytes")
        advance, buffer = progress.advance, scratch.buffer_bytes
        spool = spool_feed(opened, scratch.folder, work.rejects, settings, advance, glosses, buffer)
        # The mapping of formats without a header is complete only now.
        return {"format": opened.format, "encoding": opened.encoding, "mapping": dict(opened.mapping)}, spool


def _judged(
    judge: Judge, previous: Snapshot, finished: Snapshot, settings: Settings, progress: Progress
) -> list[dict[str, Any]]:
    """Return what the judge finds where another encoder would serve."""
    progress.note("Comparing with the encoder that serves")
    return judge(Engine(previous, settings), Engine(finished, settings))


def _popular(settings: Settings) -> Popular:
    """Return the searches that may be suggested: of the log that is named, else of the store's own; none without either."""
    if settings.query_log:
        return popular_queries(read_log(Path(settings.query_log)), settings.min_query_users)
    if not settings.events or not EventLog.exists(settings):
        return Popular({}, {})
    with closing(EventLog.open(settings)) as log:
        return popular_queries(logged(log), settings.min_query_users)


def _sold(settings: Settings, ids: Sequence[str]) -> Sold:
    """Return what the event log knows of sales; nothing where there is no log."""
    if not settings.events or not EventLog.exists(settings):
        return Sold(Orders.none())
    with closing(EventLog.open(settings)) as log:
        return orders_of_log(log, ids)


def _note_people(settings: Settings, snapshot: str, people: frozenset[str]) -> None:
    """Write down whose events a snapshot was made from, before it can be used."""
    if people:
        with closing(EventLog.open(settings)) as log:
            log.uses.add("snapshot", snapshot, people)


def _export(spool: Spool, settings: Settings, progress: Progress, glosses: Lexicon | None) -> Path:
    """Return the folder of the exported model, which is compared with the original on this shop's texts."""
    return export_apart(
        settings.model,
        Path(settings.store) / "encoders",
        max_tokens=settings.max_tokens,
        sample_texts=[embedding_text(product, glosses) for product in spool.spread(_PARITY_TEXTS)],
        device=settings.device,
        runtime=settings.runtime,
        progress=progress.note,
    )


def _manifest(
    store: Path, folder: Path, card: Card, encoder: str, counts: dict[str, Any], measured: dict[str, Any]
) -> Manifest:
    files = list_files(folder)
    return Manifest(
        id=new_id(store, files),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        format=FORMAT,
        text_version=TEXT_VERSION,
        terms_version=TERMS_VERSION,
        encoder=encoder,
        model=card.name,
        products=counts["documents"],
        dimension=card.dimension,
        counts=counts,
        report={**measured, "parity": _parity(card)},
        files=files,
    )


def _same(one: Manifest, other: Manifest) -> bool:
    """Return whether two snapshots answer alike: the same bytes, made for the same versions."""
    if one.report.get("languages") != other.report.get("languages"):
        return False
    return all(getattr(one, n) == getattr(other, n) for n in ("files", "encoder", "text_version", "terms_version"))


def _parity(card: Card) -> dict[str, Any]:
    return card.parity.model_dump() if card.parity else {}


def _gone(before: Iterable[str], now: Iterable[str]) -> int:
    """Return how many of the ids ``before`` are not among those ``now``; both are sorted."""
    ahead = iter(now)
    reached = next(ahead, None)
    gone = 0
    for product_id in before:
        while reached is not None and reached < product_id:
            reached = next(ahead, None)
        gone += reached != product_id
    return gone
