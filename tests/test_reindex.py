"""Reindexing: incremental equals full, what is embedded, what is refused, and what the report says."""

from __future__ import annotations

import errno
import gzip
import random
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from engine.encoder import HashingEncoder
from engine.engine import Engine
from engine.errors import FeedError, GateError
from engine.index.faiss_index import FaissVectors, create_vectors, map_vectors, save_index
from engine.index.snapshot import current_id, list_snapshots, open_snapshot
from engine.language import is_stop, words
from engine.schema import Money, Product, SearchRequest
from engine.text import content_hash, embedding_text
from indexer.build import tied_recall
from indexer.reindex import reindex
from shop import files_of, random_products, toy_settings, write_feed


def edited(products: list[Product], rng: random.Random) -> list[Product]:
    """The products after a day: some changed, some gone, some new, all in another order."""
    out = []
    for product in products:
        luck = rng.random()
        if luck < 0.1:
            continue
        if luck < 0.2:
            product = replace(product, title=f"{product.title} mark {rng.randint(2, 9)}")
        elif luck < 0.35:
            product = replace(product, price=Money(rng.randint(100, 9000), "USD"))
        elif luck < 0.4:
            product = replace(product, brand="Nordwand")
        out.append(product)
    out += [replace(p, id=f"N{rng.randint(0, 10**9):09d}") for p in random_products(rng.randint(0, 8), rng.random())]
    rng.shuffle(out)
    return out


@pytest.mark.parametrize("seed", range(6))
def test_incremental_equals_full_byte_for_byte(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    grown, products = toy_settings(tmp_path / "grown"), random_products(rng.randint(5, 60), seed)
    reused = 0
    for day in range(4):
        feed = write_feed(products, tmp_path / "feed.jsonl")
        reused += reindex(feed, grown, allow_shrink=True).reused
        fresh = toy_settings(tmp_path / f"fresh{day}")
        assert reindex(feed, fresh).reused == 0
        assert files_of(tmp_path / "grown") == files_of(tmp_path / f"fresh{day}")
        products = edited(products, rng)
    assert reused > 0


def test_the_order_of_the_feed_does_not_matter(tmp_path: Path) -> None:
    products = random_products(40)
    reindex(write_feed(products, tmp_path / "a.jsonl"), toy_settings(tmp_path / "a"))
    reindex(write_feed(products[::-1], tmp_path / "b.jsonl"), toy_settings(tmp_path / "b"))
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_vectors_and_hashes_are_those_of_the_products_in_id_order(tmp_path: Path) -> None:
    reindex(write_feed(random_products(70)[::-1], tmp_path / "feed.jsonl"), toy_settings(tmp_path / "store"))
    snapshot = open_snapshot(tmp_path / "store")
    lines = snapshot.file("documents/documents.jsonl").read_bytes().splitlines()
    products = [Product.from_document(orjson.loads(line)) for line in lines]
    assert [p.id for p in products] == sorted(p.id for p in random_products(70))
    expected = HashingEncoder(256).encode_products([embedding_text(p) for p in products]).astype(np.float16)
    assert np.array_equal(map_vectors(snapshot.path / "vectors"), expected)
    hashes = np.load(snapshot.file("hashes.npy"))
    assert [bytes(row).hex() for row in hashes] == [content_hash(p) for p in products]


def test_a_price_or_stock_change_embeds_nothing_and_is_published(tmp_path: Path) -> None:
    settings, products = toy_settings(tmp_path / "store"), random_products(30)
    first = reindex(write_feed(products, tmp_path / "feed.jsonl"), settings)
    changed = [replace(p, price=Money(12_345, "USD"), availability="preorder") for p in products]
    second = reindex(write_feed(changed, tmp_path / "feed.jsonl"), settings)
    assert (first.embedded, second.embedded, second.reused) == (30, 0, 30)
    assert second.snapshot > first.snapshot == second.previous
    hit = Engine.open(settings).search(SearchRequest(q="", per_page=1)).hits[0].document
    assert hit["price"] == {"amount": 12_345, "currency": "USD"}


def test_one_changed_title_embeds_one(tmp_path: Path) -> None:
    settings, products = toy_settings(tmp_path / "store"), random_products(30)
    reindex(write_feed(products, tmp_path / "feed.jsonl"), settings)
    products[7] = replace(products[7], title="a title nobody else has")
    report = reindex(write_feed(products[:-1], tmp_path / "feed.jsonl"), settings)
    assert (report.embedded, report.reused, report.removed) == (1, 28, 1)


def test_removed_products_are_counted_even_if_the_old_snapshot_is_pruned(tmp_path: Path) -> None:
    settings, products = toy_settings(tmp_path / "store", keep_snapshots=1), random_products(20)
    reindex(write_feed(products, tmp_path / "feed.jsonl"), settings)
    assert reindex(write_feed(products[3:], tmp_path / "feed.jsonl"), settings).removed == 3


def test_another_model_embeds_everything(tmp_path: Path) -> None:
    feed = write_feed(random_products(25), tmp_path / "feed.jsonl")
    reindex(feed, toy_settings(tmp_path / "store"))
    other = toy_settings(tmp_path / "store").model_copy(update={"model": "hashing:64"})
    report = reindex(feed, other)
    assert (report.embedded, report.reused) == (25, 0)
    assert open_snapshot(tmp_path / "store").manifest.dimension == 64
    assert Engine.open(other).search(SearchRequest(q="tent")).model == "hashing-64"


def test_another_text_version_embeds_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = write_feed(random_products(12), tmp_path / "feed.jsonl")
    reindex(feed, toy_settings(tmp_path / "store"))
    monkeypatch.setattr("indexer.plan.TEXT_VERSION", 999)
    monkeypatch.setattr("indexer.reindex.TEXT_VERSION", 999)
    assert reindex(feed, toy_settings(tmp_path / "store")).embedded == 12
    assert open_snapshot(tmp_path / "store").manifest.text_version == 999


def test_the_same_feed_again_publishes_nothing(tmp_path: Path) -> None:
    settings, feed = toy_settings(tmp_path / "store"), write_feed(random_products(15), tmp_path / "feed.jsonl")
    first = reindex(feed, settings)
    notes = Notes()
    again = reindex(feed, settings, progress=notes)
    assert (again.snapshot, again.previous, again.embedded) == (first.snapshot, first.snapshot, 0)
    assert list_snapshots(tmp_path / "store") == [first.snapshot]
    assert any("Nothing changed" in text for text in notes.texts)


def test_the_first_of_a_duplicate_id_is_kept_and_the_others_are_listed(tmp_path: Path) -> None:
    lines = [{"id": "A", "title": "first tent"}, {"id": "B", "title": "kettle"}, {"id": "A", "title": "second tent"}]
    feed = tmp_path / "feed.jsonl"
    feed.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    settings = toy_settings(tmp_path / "store")
    report = reindex(feed, settings)
    assert (report.rows, report.products, report.rejected) == (3, 2, {"duplicate_id": 1})
    assert report.rejects_file == str(tmp_path / "store" / "rejects" / f"{report.snapshot}.tsv")
    header, line = Path(report.rejects_file).read_text("utf-8").splitlines()
    assert header == "line\tid\treason\tdetail"
    assert line.split("\t")[:3] == ["3", "A", "duplicate_id"]
    titles = [h.document["title"] for h in Engine.open(settings).search(SearchRequest(q="")).hits]
    assert sorted(titles) == ["first tent", "kettle"]


def test_rows_with_nan_and_negative_and_absurd_prices_are_rejected_by_reason(tmp_path: Path) -> None:
    good = '{"id": "A", "title": "tent", "price": "10 USD"}\n{"id": "B", "title": "kettle", "price": "7 USD"}\n'
    good += '{"id": "F", "title": "jacket"}\n'
    bad = '{"id": "C", "title": "x", "price": NaN}\n{"id": "D", "title": "y", "price": "-3 USD"}\n'
    bad += '{"id": "E", "title": "z", "price": "99999999999 USD"}\n'
    (tmp_path / "feed.jsonl").write_text(good + bad)
    report = reindex(tmp_path / "feed.jsonl", toy_settings(tmp_path / "store"))
    assert report.products + sum(report.rejected.values()) == report.rows == 6
    assert {"negative_price": 1, "absurd_price": 1}.items() <= report.rejected.items()
    vectors = map_vectors(open_snapshot(tmp_path / "store").path / "vectors")
    assert np.isfinite(vectors).all()


def test_half_of_yesterday_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    settings, products = toy_settings(tmp_path / "store"), random_products(40)
    first = reindex(write_feed(products, tmp_path / "feed.jsonl"), settings)
    half = write_feed(products[:20], tmp_path / "half.jsonl")
    with pytest.raises(GateError, match=r"has 20 products; the current snapshot has 40\..*50%.*--allow-shrink"):
        reindex(half, settings)
    assert current_id(tmp_path / "store") == first.snapshot
    assert Engine.open(settings).search(SearchRequest(q="")).found == 40
    assert reindex(half, settings, allow_shrink=True).products == 20
    assert Engine.open(settings).search(SearchRequest(q="")).found == 20


@pytest.mark.parametrize(("kept", "refused"), [(28, False), (27, True)])
def test_the_allowed_shrink_is_allowed_exactly(tmp_path: Path, kept: int, refused: bool) -> None:
    settings, products = toy_settings(tmp_path / "store", max_shrink=0.3), random_products(40)
    reindex(write_feed(products, tmp_path / "feed.jsonl"), settings)
    feed = write_feed(products[:kept], tmp_path / "less.jsonl")
    if refused:
        with pytest.raises(GateError):
            reindex(feed, settings)
    else:
        assert reindex(feed, settings).products == kept


def test_too_many_rejected_rows_are_refused_and_still_listed(tmp_path: Path) -> None:
    rows = [{"id": f"P{i}", "title": "tent" if i < 3 else ""} for i in range(10)]
    (tmp_path / "feed.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    with pytest.raises(GateError, match=r"7 of 10 rows were rejected.*max_rejected") as caught:
        reindex(tmp_path / "feed.jsonl", toy_settings(tmp_path / "store"))
    listed = tmp_path / "store" / "rejects" / "unpublished.tsv"
    assert str(listed) in str(caught.value)
    assert len(listed.read_text("utf-8").splitlines()) == 8
    assert not (tmp_path / "store" / "CURRENT").exists()


def test_a_feed_without_one_usable_row_is_refused(tmp_path: Path) -> None:
    (tmp_path / "feed.jsonl").write_text('{"id": "A", "title": ""}\n')
    with pytest.raises(GateError, match="None of the feed's 1 rows"):
        reindex(tmp_path / "feed.jsonl", toy_settings(tmp_path / "store"))


def test_a_feed_that_breaks_off_publishes_nothing(tmp_path: Path) -> None:
    settings, products = toy_settings(tmp_path / "store"), random_products(60)
    feed = write_feed(products, tmp_path / "feed.jsonl")
    first = reindex(feed, settings)
    whole = gzip.compress(write_feed(random_products(400, 5), tmp_path / "more.jsonl").read_bytes())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(FeedError, match="breaks off"):
        reindex(tmp_path / "cut.jsonl.gz", settings)
    assert current_id(tmp_path / "store") == first.snapshot
    assert not list((tmp_path / "store").glob("*.tmp"))
    assert reindex(feed, settings).snapshot == first.snapshot


def test_products_that_share_one_text_pass_the_gate(tmp_path: Path) -> None:
    same = [replace(random_products(1)[0], id=f"P{i:03d}", mpn="") for i in range(80)]
    report = reindex(write_feed(same, tmp_path / "feed.jsonl"), toy_settings(tmp_path / "store"))
    assert (report.products, report.recall) == (80, 1.0)


def test_recall_counts_what_is_missed(tmp_path: Path) -> None:
    vectors = np.eye(40, dtype=np.float16)
    queries = np.linspace(1, 2, 40, dtype=np.float32)[None] / 10
    create_vectors(tmp_path, *vectors.shape)[:] = vectors
    save_index(tmp_path)
    index = FaissVectors(tmp_path)
    worst = np.sort(vectors.astype(np.float32) @ queries[0])[-10:-9]
    assert tied_recall(index, queries, worst) == 1.0

    class Halved(FaissVectors):
        def search(self, query, k, allowed=None):  # type: ignore[no-untyped-def]
            found = super().search(query, k, allowed)
            return replace(found, rows=found.rows[: k // 2], scores=found.scores[: k // 2])

    assert tied_recall(Halved(tmp_path), queries, worst) == 0.5


def test_a_bad_index_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.reindex.build_vectors", lambda *_: {"vectors": {}, "similarity": 0.1, "recall": 0.42})
    with pytest.raises(GateError, match=r"42\.0%"):
        reindex(write_feed(random_products(9), tmp_path / "feed.jsonl"), toy_settings(tmp_path / "store"))
    assert not (tmp_path / "store" / "CURRENT").exists()


def test_a_snapshot_that_does_not_open_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from indexer import reindex as conductor

    real = conductor.finish

    def damaging(work: Path, folder: Path, manifest: object) -> Path:
        finished = real(work, folder, manifest)  # type: ignore[arg-type]
        path = finished / "lexical" / "terms.txt"
        path.write_bytes(path.read_bytes()[::-1])
        return finished

    monkeypatch.setattr(conductor, "finish", damaging)
    with pytest.raises(GateError, match=r"does not open.*terms\.txt does not match"):
        reindex(write_feed(random_products(9), tmp_path / "feed.jsonl"), toy_settings(tmp_path / "store"))
    assert list_snapshots(tmp_path / "store") == []


def test_a_damaged_current_snapshot_is_not_built_upon_but_still_counts(tmp_path: Path) -> None:
    settings, products = toy_settings(tmp_path / "store"), random_products(20)
    first = reindex(write_feed(products, tmp_path / "feed.jsonl"), settings)
    (tmp_path / "store" / "snapshots" / first.snapshot / "hashes.npy").write_bytes(b"x")
    with pytest.raises(GateError, match="the current snapshot has 20"):
        reindex(write_feed(products[:5], tmp_path / "half.jsonl"), settings)
    report = reindex(tmp_path / "feed.jsonl", settings)
    assert (report.embedded, report.reused) == (20, 0)
    assert open_snapshot(tmp_path / "store").manifest.id == report.snapshot


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "no")])
def test_an_error_of_the_disk_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def fail(*_: object) -> None:
        raise error

    settings = toy_settings(tmp_path / "store")
    first = reindex(write_feed(random_products(9), tmp_path / "feed.jsonl"), settings)
    monkeypatch.setattr("indexer.build.CodesBuilder.save", fail)
    expected = "is full: .* bytes were written" if error.errno == errno.ENOSPC else "cannot be written"
    with pytest.raises(GateError, match=expected + r".*Nothing was published\."):
        reindex(write_feed(random_products(12), tmp_path / "feed.jsonl"), settings)
    assert current_id(tmp_path / "store") == first.snapshot
    assert not list((tmp_path / "store").glob("*.tmp"))


def test_sigterm_removes_what_was_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.reindex.embed_missing", lambda *_: signal.raise_signal(signal.SIGTERM))
    before, notes = signal.getsignal(signal.SIGTERM), Notes()
    with pytest.raises(KeyboardInterrupt):
        reindex(write_feed(random_products(9), tmp_path / "f.jsonl"), toy_settings(tmp_path / "store"), progress=notes)
    assert signal.getsignal(signal.SIGTERM) == before
    assert not list((tmp_path / "store").glob("*.tmp"))
    assert any("Nothing was published" in text for text in notes.texts)


def test_progress_adds_up(tmp_path: Path) -> None:
    feed = write_feed(random_products(500), tmp_path / "feed.jsonl")
    notes = Notes()
    report = reindex(feed, toy_settings(tmp_path / "store"), progress=notes)
    assert notes.stages == [
        ["Reading", feed.stat().st_size, "bytes", feed.stat().st_size],
        ["Embedding", 500, "products", 500],
        ["Building", 500, "products", 500],
    ]
    assert orjson.loads(orjson.dumps(report.to_dict()))["products"] == 500


class Notes:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[list[object]] = []
        self.texts: list[str] = []

    def start(self, stage: str, total: int | None, unit: str) -> None:
        self.stages.append([stage, total, unit, 0])

    def advance(self, n: int) -> None:
        self.stages[-1][3] += n  # type: ignore[operator]

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_the_threshold_of_meaning_is_measured_on_single_words(tmp_path: Path) -> None:
    """Longer pieces of titles come nearer to products than any query: measured on them, the threshold is too high."""
    settings = toy_settings(tmp_path / "store")
    reindex(write_feed(random_products(60), tmp_path / "feed.jsonl"), settings)
    snapshot = open_snapshot(settings.store)
    vectors = map_vectors(snapshot.path / "vectors").astype(np.float32)
    titles = [[w for w in words(p.title) if not is_stop(w)] for p in Engine.open(settings).products()]
    singles = HashingEncoder().encode_queries([found[i % len(found)].text for i, found in enumerate(titles)])
    assert snapshot.manifest.report["similarity"] == pytest.approx(np.quantile(singles @ vectors.T, 0.975), abs=1e-3)
