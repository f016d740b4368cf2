"""The vectors of a shop in Milvus: filters are tested there, and everything else is as it is with FAISS."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from engine.engine import Engine
from engine.errors import MissingExtraError, SettingsError, SnapshotError, VectorEngineError
from engine.index.engines import connect
from engine.index.faiss_index import create_vectors
from engine.index.filters import And, Condition, Filter, Not, Or, parse_filter
from engine.index.milvus_index import Milvus, MilvusVectors
from engine.index.snapshot import list_snapshots, open_snapshot
from engine.index.table import Table
from engine.index.vectors import ExactVectors
from engine.schema import SearchRequest
from engine.settings import Settings
from indexer.publish import rollback
from indexer.reindex import reindex
from indexer.update import compact, update
from milvus_parts import SERVER, a_milvus, collected, milvus_uri, table_of
from shop import random_products, toy_settings, write_feed
from test_filters import CASES
from test_update import QUERIES, changed

PRODUCTS = random_products(600, seed=3)
D = 8


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MilvusVectors, Milvus, Table, ExactVectors]]:
    """A collection whose vectors say nothing of what the products are."""
    folder = tmp_path_factory.mktemp("shop")
    points = np.random.default_rng(0).normal(size=(len(PRODUCTS), D))
    half = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float16)
    with a_milvus(folder) as milvus:
        create_vectors(folder / "vectors", *half.shape)[:] = half
        yield collected(milvus, folder, PRODUCTS), milvus, table_of(PRODUCTS, folder / "again"), ExactVectors(half)


def passing(shop: tuple[MilvusVectors, Milvus, Table, ExactVectors], tree: Filter) -> set[int]:
    """The rows that pass what Milvus is told of a filter."""
    vectors, milvus, _, exact = shop
    expression = vectors._pushdown.expression(tree)
    ((rows, _),) = milvus.search(vectors._name, exact.vectors(np.array([0])), len(PRODUCTS), expression, vectors.lists)
    return set(rows.tolist())


@pytest.mark.parametrize("text", CASES)
def test_milvus_tests_a_filter_as_the_table_does(shop: tuple[MilvusVectors, Milvus, Table, ExactVectors], text: str) -> None:
    tree = parse_filter(text)
    assert tree is not None
    assert shop[0]._pushdown.expression(tree)
    assert passing(shop, tree) == set(np.flatnonzero(shop[2].allow(tree)).tolist())


def random_tree(rng: random.Random, depth: int = 0) -> Filter:
    conditions = [
        lambda: Condition("price", rng.choice(["<", "<=", ">", ">="]), (str(rng.randint(1, 500)),), 0),
        lambda: Condition("price", "..", (str(rng.randint(1, 200)), str(rng.randint(100, 500))), 0),
        lambda: Condition("price", "=", (str(rng.choice(PRODUCTS).price or 1),), 0),
        lambda: Condition("brand", rng.choice(["=", "!=", ":"]), (rng.choice(["Alpkit", "岭行", "nobody", "cobalt"]),), 0),
        lambda: Condition("weight", "<", (f"{rng.randint(100, 4000)}g",), 0),
        lambda: Condition("id", rng.choice(["=", "!=", ":"]), (f"P{rng.randint(0, 650):05d}",), 0),  # is not stored there
        lambda: Condition("color", rng.choice(["=", "!="]), ("red", "黑色"), 0),
    ]
    if depth == 3 or rng.random() < 0.4:
        return rng.choice(conditions)()
    parts = tuple(random_tree(rng, depth + 1) for _ in range(rng.randint(1, 3)))
    return rng.choice([And, Or, lambda parts: Not(parts[0])])(parts)


def test_what_milvus_leaves_out_may_never_be_found(shop: tuple[MilvusVectors, Milvus, Table, ExactVectors]) -> None:
    rng = random.Random(1)
    exactly = 0
    for _ in range(60):
        tree = random_tree(rng)
        allowed = set(np.flatnonzero(shop[2].allow(tree)).tolist())
        there = passing(shop, tree)
        assert allowed <= there
        exactly += allowed == there
    assert exactly > 30


@pytest.mark.parametrize("listed", [10, 10_000])
@pytest.mark.parametrize("most", [7, 16_384])
def test_filtered_search_is_brute_force_by_every_way(
    shop: tuple[MilvusVectors, Milvus, Table, ExactVectors], listed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows listed, rows left out listed, a filter pushed down, deeper and deeper, and at last all allowed rows in spans."""
    monkeypatch.setattr("engine.index.milvus_index._LISTED", listed)
    monkeypatch.setattr("engine.index.milvus_index._MOST", most)
    vectors, _, table, exact = shop
    rng = random.Random(2)
    for place in range(6):
        tree = random_tree(rng)
        allowed = table.allow(tree)
        if place % 3 == 0:  # an exclusion that no filter says
            allowed &= np.random.default_rng(place).random(len(PRODUCTS)) < 0.5
        query = exact.vectors(np.array([place]))[0]
        for k in (1, 40):
            got, want = vectors.search(query, k, allowed, tree), exact.search(query, k, allowed)
            assert len(got.rows) == len(want.rows)
            assert allowed[got.rows].all()
            np.testing.assert_allclose(got.scores, want.scores, atol=1e-5)
    everything = vectors.search(query, len(PRODUCTS))
    assert sorted(everything.rows.tolist()) == list(range(len(PRODUCTS)))


def test_scores_and_vectors_are_those_of_the_rows(shop: tuple[MilvusVectors, Milvus, Table, ExactVectors]) -> None:
    vectors, _, _, exact = shop
    rows = np.array([7, 3, 3, 599, 0])
    query = exact.vectors(np.array([5]))[0]
    np.testing.assert_allclose(vectors.scores(query, rows), exact.scores(query, rows), atol=1e-6)
    assert np.array_equal(vectors.vectors(rows), exact.vectors(rows))
    assert vectors.vectors(rows[:0]).shape == (0, D)
    with pytest.raises(SnapshotError, match="Row 600"):
        vectors.vectors(np.array([600]))


def test_a_value_cannot_say_anything_to_milvus(shop: tuple[MilvusVectors, Milvus, Table, ExactVectors]) -> None:
    tree = Condition("brand", "=", ('x" or row >= 0 or brand == "', "]) or row >= 0"), 0)
    assert shop[0]._pushdown.expression(tree) == "row < 0"
    assert passing(shop, tree) == set()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Settings, Settings, Milvus]]:
    """The same shop twice: with FAISS and with Milvus."""
    feed = write_feed(PRODUCTS[:300], tmp_path / "feed.jsonl")
    plain = toy_settings(tmp_path / "plain")
    stored = toy_settings(tmp_path / "stored", milvus_uri=milvus_uri(tmp_path))
    with a_milvus_of(stored) as milvus:
        reindex(feed, plain)
        reindex(feed, stored)
        yield plain, stored, milvus


class a_milvus_of:
    """A connection to a store's Milvus whose new collections are gone afterwards."""

    def __init__(self, settings: Settings) -> None:
        self.milvus = connect(settings)
        self.before = set(self.milvus.names())

    def __enter__(self) -> Milvus:
        return self.milvus

    def __exit__(self, *_: object) -> None:
        for name in set(self.milvus.names()) - self.before:
            self.milvus.drop(name)


def collection(settings: Settings) -> str:
    name = open_snapshot(settings.store).manifest.report["vectors"]["collection"]
    assert isinstance(name, str)
    return name


def assert_alike(plain: Settings, stored: Settings) -> None:
    one, other = Engine.open(plain), Engine.open(stored)
    for q in QUERIES:
        for filter_by in ("", "price:<200", "brand:!=Alpkit && in_stock:true", "id:=P00007"):
            request = SearchRequest(q=q, filter_by=filter_by, facet_by="brand,price", per_page=20)
            want, got = one.search(request), other.search(request)
            assert (got.found, got.facet_counts) == (want.found, want.facet_counts)
            assert [h.document["id"] for h in got.hits] == [h.document["id"] for h in want.hits]
            np.testing.assert_allclose([h.scores.fused for h in got.hits], [h.scores.fused for h in want.hits], atol=1e-4)
    one.close()
    other.close()


def test_a_shop_answers_as_it_does_with_faiss(two: tuple[Settings, Settings, Milvus], tmp_path: Path) -> None:
    plain, stored, milvus = two
    assert collection(stored) in milvus.names()
    assert_alike(plain, stored)
    changes = write_feed(changed(PRODUCTS[:300]), tmp_path / "changes.jsonl")
    for settings in (plain, stored):
        update(changes, settings.model_copy(update={"compact_share": 1.0}), delete=["P00004"])
    assert_alike(plain, stored)
    before = collection(stored)
    for settings in (plain, stored):
        compact(settings)
    assert collection(stored) != before
    assert_alike(plain, stored)


def test_collections_come_and_go_with_their_snapshots(two: tuple[Settings, Settings, Milvus], tmp_path: Path) -> None:
    _, stored, milvus = two
    stored = stored.model_copy(update={"keep_snapshots": 2})
    feed, first = tmp_path / "feed.jsonl", collection(stored)
    ours = {name for name in milvus.names() if name.startswith(first[:-16])}
    assert ours == {first}
    assert reindex(feed, stored).snapshot == list_snapshots(stored.store)[-1]  # nothing changed, nothing was made
    assert {name for name in milvus.names() if name.startswith(first[:-16])} == {first}
    report = reindex(write_feed(changed(PRODUCTS[:300]) + PRODUCTS[:300:2][1:], tmp_path / "second.jsonl"), stored, allow_shrink=True)
    assert report.snapshot != report.previous
    second = collection(stored)
    rollback(stored.store)
    assert collection(stored) == first
    assert Engine.open(stored).search(SearchRequest(q="tent")).found
    reindex(write_feed(PRODUCTS[:290], tmp_path / "third.jsonl"), stored)
    third = collection(stored)
    assert {name for name in milvus.names() if name.startswith(first[:-16])} == {first, third}
    assert second not in milvus.names()


@pytest.mark.skipif(not SERVER, reason="a file is opened by one process alone; test_milvus_server runs this with a server")
def test_a_writer_killed_while_it_fills_a_collection(two: tuple[Settings, Settings, Milvus], tmp_path: Path) -> None:
    """What serves serves on, and the next run ends with one collection for each snapshot."""
    _, stored, milvus = two
    first = collection(stored)
    feed = write_feed(random_products(1_500), tmp_path / "more.jsonl")
    script = (
        "import sys, os, signal; from pathlib import Path; import engine.index.pushdown as p; from shop import toy_settings\n"
        "from indexer.reindex import reindex; fields = p.Pushdown.fields\n"
        "p.Pushdown.fields = lambda s, a, b: fields(s, a, b) if a < 1000 else os.kill(os.getpid(), signal.SIGKILL)\n"
        f"reindex(Path({str(feed)!r}), toy_settings(Path({str(stored.store)!r}), milvus_uri={SERVER!r}))"
    )
    tests = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, str(Path(tests).parent)])}
    killed = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert collection(stored) == first
    assert Engine.open(stored).search(SearchRequest(q="tent")).found
    reindex(feed, stored)
    ours = {name for name in milvus.names() if name.startswith(first[:-16])}
    assert ours == {first, collection(stored)}
    assert Engine.open(stored).product_count == 1_500


def test_what_cannot_be_reached_is_said(two: tuple[Settings, Settings, Milvus], tmp_path: Path) -> None:
    _, stored, milvus = two
    with pytest.raises(SettingsError, match="milvus_uri"):
        Engine.open(stored.model_copy(update={"milvus_uri": ""}))
    started = time.monotonic()
    with pytest.raises(VectorEngineError, match=r"http://127\.0\.0\.1:9 did not do what was asked"):
        Engine.open(stored.model_copy(update={"milvus_uri": "http://127.0.0.1:9"}))
    assert time.monotonic() - started < 60
    milvus.drop(collection(stored))
    with pytest.raises(SnapshotError, match="is not in Milvus"):
        Engine.open(stored)
    # the snapshot is the truth: the same feed makes the collection anew
    reindex(tmp_path / "feed.jsonl", stored)
    assert Engine.open(stored).search(SearchRequest(q="tent")).found


def test_a_server_whose_milvus_fails_says_so_and_comes_back(
    two: tuple[Settings, Settings, Milvus], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, stored, _ = two
    with TestClient(create_app(stored)) as client:
        assert client.post("/v1/search", json={"q": "tent"}).status_code == 200
        search = Milvus.search

        def fails(self: Milvus, *arguments: object) -> object:
            def gone() -> None:
                raise OSError("the other end is gone")

            return self.asked(gone)

        monkeypatch.setattr(Milvus, "search", fails)
        answer = client.post("/v1/search", json={"q": "steel kettle"})
        assert (answer.status_code, answer.json()["title"]) == (503, "Vector engine unavailable")
        assert stored.milvus_uri not in answer.text
        monkeypatch.setattr(Milvus, "search", search)
        assert client.post("/v1/search", json={"q": "steel kettle"}).status_code == 200


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingExtraError, match=r"daogou\[milvus\]"):
        Milvus("http://127.0.0.1:1")


def test_rows_with_more_labels_than_fit_keep_what_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.index.pushdown.MOST_LABELS", 4)
    monkeypatch.setattr("engine.index.milvus_index.MOST_LABELS", 4)
    half = np.eye(D, dtype=np.float16)[np.arange(50) % D]
    with a_milvus(tmp_path) as milvus:
        create_vectors(tmp_path / "vectors", *half.shape)[:] = half
        vectors = collected(milvus, tmp_path, PRODUCTS[:50])
        table = table_of(PRODUCTS[:50], tmp_path / "again")
        assert 0 < len(vectors._pushdown.stored) < len(table.columns)
        for text in ("in_stock:true", "color:=red", "price:<200"):
            tree = parse_filter(text)
            assert tree is not None
            allowed = table.allow(tree)
            got = vectors.search(np.eye(D, dtype=np.float32)[0], 50, allowed, tree)
            assert sorted(got.rows.tolist()) == np.flatnonzero(allowed).tolist()
