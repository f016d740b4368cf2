"""A delta beside a base answers as one index of all of it would, and becomes that index when it is compacted."""

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from api.cli import app
from engine.engine import Engine
from engine.errors import GateError, LockedError, NotFoundError, SnapshotError
from engine.events import Event, EventLog
from engine.index.snapshot import list_snapshots, open_snapshot
from engine.recommend.request import RecommendRequest
from engine.schema import ExplainRequest, Money, Product, SearchRequest
from engine.settings import Settings
from indexer.publish import rollback, writer_lock
from indexer.reindex import reindex
from indexer.update import compact, update
from shop import files_of, random_products, toy_settings, write_feed

QUERIES = ["waterproof tent", "登山 外套", "steel kettle red", "plastic", "jacket not plastic", "tent under $100", "", "KX-1234"]


def shop(tmp_path: Path, products: list[Product], **changes: object) -> Settings:
    settings = toy_settings(tmp_path / "store", compact_share=1.0, **changes)
    reindex(write_feed(products, tmp_path / "feed.jsonl"), settings)
    return settings


def ids_of(engine: Engine, request: SearchRequest) -> set[str]:
    """Every product found, page by page."""
    ids: list[str] = []
    for page in range(1, 100):
        found = engine.search(request.model_copy(update={"per_page": 100, "page": page}))
        ids += [hit.document["id"] for hit in found.hits]
        if len(found.hits) < 100:
            break
    assert len(ids) == len(set(ids)) == found.found
    return set(ids)


def changed(products: list[Product]) -> list[Product]:
    """A third of the products cheaper, a few said otherwise, and some new."""
    out = [replace(p, price=Money(777, "USD")) for p in products[::3]]
    out += [replace(p, title=f"zorblax {p.title}", brand="Zorblax") for p in products[1:40:9]]
    return out + [replace(p, id=f"Q{p.id}", title=p.title + " premium") for p in random_products(12, seed=8)]


def after(products: list[Product], changes: list[Product], gone: list[str]) -> list[Product]:
    every = {p.id: p for p in products} | {p.id: p for p in changes}
    return [p for p in every.values() if p.id not in gone]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, Engine]:
    """An engine over a base and a delta, and one over a whole index of the same products."""
    folder = tmp_path_factory.mktemp("update")
    products = random_products(300)
    settings = shop(folder, products)
    changes, gone = changed(products), [p.id for p in products[2::60]]
    (folder / "gone.txt").write_text("\n".join(gone))
    report = update(write_feed(changes, folder / "changes.jsonl"), settings, delete=gone)
    assert (report.deleted, report.changed, report.new, report.unknown) == (len(gone), len(changes) - 12, 12, 0)
    assert report.delta == len(changes)
    assert report.dead == len(changes) - 12 + len(gone)
    whole = toy_settings(folder / "whole")
    reindex(write_feed(after(products, changes, gone), folder / "whole.jsonl"), whole)
    return Engine.open(settings), Engine.open(whole)


@pytest.mark.parametrize("filter_by", ["", "price:<50", "brand:=Zorblax", "brand:!=Zorblax", "in_stock:=true && color:=red", "id:!=x"])
@pytest.mark.parametrize("q", QUERIES)
def test_it_finds_what_a_whole_index_finds(both: tuple[Engine, Engine], q: str, filter_by: str) -> None:
    request = SearchRequest(q=q, filter_by=filter_by, facet_by="brand,price,category,color")
    delta, whole = (engine.search(request) for engine in both)
    one, other = (ids_of(engine, request) for engine in both)
    if filter_by or not q:  # exactly; words are as rare as they were in the base, so the end of a list may differ a little
        assert len(one ^ other) <= (0.05 * len(other) if q else 0)
    assert len(one & other) >= 0.9 * len(other)
    if one == other:
        for first, second in zip(delta.facet_counts, whole.facet_counts, strict=True):
            assert first == second
    top = [[h.document["id"] for h in found.hits[:1]] for found in (delta, whole)]
    if q and whole.hits and whole.hits[0].scores.fused > 2:
        assert top[0] == top[1]


def test_what_is_gone_is_nowhere(both: tuple[Engine, Engine]) -> None:
    delta, whole = both
    assert delta.product_count == whole.product_count
    assert delta.product_ids == whole.product_ids
    assert [p.id for p in delta.products()] == [p.id for p in whole.products()]
    assert list(delta.products()) == list(whole.products())
    assert np.array_equal(delta.product_vectors(), whole.product_vectors())
    assert delta.capabilities().fields == whole.capabilities().fields
    gone = random_products(300)[2].id
    with pytest.raises(NotFoundError):
        delta.document(gone)
    with pytest.raises(NotFoundError):
        list(delta.explain(ExplainRequest(q="tent", ids=[gone])))
    for product in list(whole.products())[::20]:
        one, other = (engine.similar(product.id, 20) for engine in both)
        assert gone not in {h.document["id"] for h in one.hits}
        assert [round(h.scores.semantic, 5) for h in one.hits] == [round(h.scores.semantic, 5) for h in other.hits]


def test_words_brands_codes_and_suggestions_of_the_delta_are_known(both: tuple[Engine, Engine]) -> None:
    delta, _ = both
    found = delta.search(SearchRequest(q="zorblax"))
    assert found.found == 5
    assert all(hit.document["brand"] == "Zorblax" for hit in found.hits)
    assert any(u.kind == "attribute" and u.field == "brand" for u in delta.understand("zorblax tent"))
    new = next(p for p in delta.products() if p.id.startswith("Q"))
    assert delta.search(SearchRequest(q=new.mpn)).hits[0].document["mpn"] == new.mpn
    assert any(s.text == "Zorblax" for s in delta.suggest("zorb").suggestions)
    prices = delta.search(SearchRequest(q="", sort_by="price:asc", filter_by="currency:=USD", per_page=50)).hits
    amounts = [hit.document["price"] for hit in prices]
    assert amounts == sorted(amounts, key=lambda a: float(str(a).split()[0] if isinstance(a, str) else a["amount"]))


def test_compacting_gives_the_snapshot_of_the_whole_feed(tmp_path: Path) -> None:
    products = random_products(80)
    settings = shop(tmp_path, products)
    changes, gone = changed(products), [products[5].id]
    update(write_feed(changes, tmp_path / "changes.jsonl"), settings, delete=gone)
    compacted = compact(settings)
    whole = toy_settings(tmp_path / "whole")
    reindex(write_feed(after(products, changes, gone), tmp_path / "whole.jsonl"), whole)
    assert files_of(settings.store) == files_of(whole.store)
    assert compact(settings) == compacted


def test_many_changes_compact_by_themselves(tmp_path: Path) -> None:
    products = random_products(60)
    settings = shop(tmp_path, products).model_copy(update={"compact_share": 0.1})
    few = update(write_feed([replace(products[0], title="few")], tmp_path / "c.jsonl"), settings)
    assert (few.compacted, few.delta, few.dead, few.embedded) == (False, 1, 1, 1)
    many = update(write_feed([replace(p, title="many") for p in products[:9]], tmp_path / "c.jsonl"), settings)
    assert (many.compacted, many.delta, many.dead, many.products) == (True, 0, 0, 60)


def test_a_price_embeds_nothing_and_the_base_is_shared(tmp_path: Path) -> None:
    products = random_products(50)
    settings = shop(tmp_path, products)
    before = open_snapshot(settings.store)
    report = update(write_feed([replace(products[3], price=Money(1, "USD"))], tmp_path / "c.jsonl"), settings)
    now = open_snapshot(settings.store)
    assert report.embedded == 0
    assert now.file("documents/documents.jsonl").stat().st_ino == before.file("documents/documents.jsonl").stat().st_ino
    assert rollback(settings.store) == before.manifest.id
    assert Engine.open(settings).document(products[3].id)["price"] != Engine(now, settings).document(products[3].id)["price"]


def test_updates_follow_each_other(tmp_path: Path) -> None:
    products = random_products(50)
    settings = shop(tmp_path, products)
    first = replace(products[0], title="first words")
    update(write_feed([first, replace(products[1], title="second")], tmp_path / "c.jsonl"), settings)
    update(write_feed([replace(first, title="other words"), replace(products[2], id="NEW")], tmp_path / "c.jsonl"), settings)
    engine = Engine.open(settings)
    assert engine.document(products[0].id)["title"] == "other words"
    assert engine.document(products[1].id)["title"] == "second"
    assert engine.product_count == 51
    report = update(None, settings, delete=["NEW", products[1].id, products[9].id, "nobody"])
    assert (report.deleted, report.unknown, report.products) == (3, 1, 48)
    again = update(write_feed([replace(products[1], title="back")], tmp_path / "c.jsonl"), settings)
    assert (again.new, again.products) == (1, 49)
    assert Engine.open(settings).document(products[1].id)["title"] == "back"


def test_the_same_again_publishes_nothing(tmp_path: Path) -> None:
    products = random_products(40)
    settings = shop(tmp_path, products)
    assert update(write_feed(products[:7], tmp_path / "c.jsonl"), settings).snapshot == open_snapshot(settings.store).manifest.id
    change = write_feed([replace(products[0], title="new words")], tmp_path / "c.jsonl")
    first, second = update(change, settings), update(change, settings)
    assert (second.snapshot, second.unchanged, second.delta) == (first.snapshot, 1, 1)


def test_what_was_learned_from_purchases_stays_and_so_does_whose_they_were(tmp_path: Path) -> None:
    products = random_products(40)
    settings = toy_settings(tmp_path / "store", compact_share=1.0, consent="assumed", min_buyers=2)
    moment = int(1000 * time.time()) - 10 * 86_400_000
    with closing(EventLog.open(settings)) as log:
        bought = [(f"user-{n % 5}", f"o{n}", p) for n in range(10) for p in ("P00003", "P00004", "P00005")]
        events = [
            Event("purchase", moment + 60_000 * n, user_id=who, order_id=order, products=(p,), event_id=f"e{n}")
            for n, (who, order, p) in enumerate(bought)
        ]
        log.add(events, lambda _: True)
    reindex(write_feed(products, tmp_path / "feed.jsonl"), settings)
    asked = RecommendRequest(kind="bought_together", ids=["P00003"], k=5)
    before = [hit.document["id"] for hit in Engine.open(settings).recommend(asked).hits]
    assert before[:2] in (["P00004", "P00005"], ["P00005", "P00004"])
    feed = write_feed([replace(products[4], price=Money(5, "USD")), replace(products[3], title="said otherwise")], tmp_path / "c.jsonl")
    report = update(feed, settings, delete=["P00005"])
    found = Engine.open(settings).recommend(asked).hits
    assert found[0].document["id"] == "P00004"
    assert found[0].because[0].signal == "together"
    assert "P00005" not in {hit.document["id"] for hit in found}
    with closing(EventLog.open(settings)) as log:
        assert report.snapshot in {use.name for use in log.uses.of(log.person(user_id="user-1"))}


def test_a_whole_feed_after_updates_is_a_whole_index(tmp_path: Path) -> None:
    products = random_products(40)
    settings = shop(tmp_path, products)
    update(write_feed([replace(products[0], title="new words")], tmp_path / "c.jsonl"), settings)
    report = reindex(write_feed([replace(products[0], title="new words"), *products[1:30]], tmp_path / "f.jsonl"), settings)
    assert (report.embedded, report.removed) == (0, 10)
    assert open_snapshot(settings.store).manifest.delta == 0


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    products = random_products(30)
    with pytest.raises(SnapshotError, match="No snapshot was published"):
        update(None, toy_settings(tmp_path / "none"), delete=["x"])
    assert not (tmp_path / "none").exists()
    settings = shop(tmp_path, products)
    before = list_snapshots(settings.store)
    with pytest.raises(GateError, match=r"20 of 30 products would be deleted: 67%.*--allow-shrink"):
        update(None, settings, delete=[p.id for p in products[:20]])
    with pytest.raises(GateError, match=r"30 of 30 products would be deleted: all"):
        update(None, settings, delete=[p.id for p in products], allow_shrink=True)
    (tmp_path / "bad.jsonl").write_text('{"id": "", "title": "x"}\n{"id": "1", "title": ""}\n')
    with pytest.raises(GateError, match="2 of 2 rows were rejected"):
        update(tmp_path / "bad.jsonl", settings)
    with writer_lock(settings.store), pytest.raises(LockedError):
        update(None, settings, delete=[products[0].id])
    assert list_snapshots(settings.store) == before
    assert not list(settings.store.glob("*.tmp"))


def test_the_commands(tmp_path: Path) -> None:
    products = random_products(30)
    settings = shop(tmp_path, products)
    feed = write_feed([replace(products[0], title="new words")], tmp_path / "c.jsonl")
    (tmp_path / "gone.txt").write_text(f"{products[4].id}\n\nnobody\n")
    store = ["--store", str(settings.store), "--quiet"]
    said = CliRunner().invoke(app, ["update", str(feed), "--delete", str(tmp_path / "gone.txt"), *store]).stdout
    assert "1 products changed, 0 new, 1 deleted, 0 as they were; 1 embedded" in said
    assert "1 of the ids to delete are of no product" in said
    assert "29 products, 1 of them in the delta" in said
    assert "serves" in CliRunner().invoke(app, ["compact", *store]).stdout
    assert CliRunner().invoke(app, ["update", *store]).exit_code == 2


@hypothesis_settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.data())
def test_any_sequence_of_updates_equals_the_whole_feed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("sequence")
    pool = random_products(30)
    settings = toy_settings(folder / "store", compact_share=data.draw(st.sampled_from([0.2, 1.0])), max_shrink=1.0)
    now = {p.id: p for p in pool[:15]}
    reindex(write_feed(list(now.values()), folder / "feed.jsonl"), settings)
    for _ in range(data.draw(st.integers(1, 3))):
        given = data.draw(st.lists(st.sampled_from(pool), max_size=6, unique_by=lambda p: p.id))
        words = data.draw(st.sampled_from(["red", "tent", "塑料"]))
        changes = [replace(p, title=f"{words} {p.title}") for p in given]
        gone = data.draw(st.lists(st.sampled_from(sorted(p.id for p in pool)), max_size=4, unique=True))
        left = {**{i: p for i, p in now.items() if i not in gone}, **{p.id: p for p in changes}}
        if not left:
            continue
        now = left
        feed = write_feed(changes, folder / "changes.jsonl") if changes else None
        report = update(feed, settings, delete=gone)
        assert report.products == len(now)
    engine = Engine.open(settings)
    assert {p.id: p.title for p in engine.products()} == {p.id: p.title for p in now.values()}
    assert ids_of(engine, SearchRequest(q="")) == set(now)
    for q in ("tent", "塑料", "red kettle"):
        assert ids_of(engine, SearchRequest(q=q)) <= set(now)
