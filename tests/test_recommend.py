"""Recommendations: the algebra is what it says, nobody's basket shows through, nothing unavailable or twice is offered, and reasons are true."""

from __future__ import annotations

import itertools
import time
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from api.app import create_app
from engine.engine import Engine
from engine.errors import FilterError, NotFoundError, RequestError
from engine.events import Event, EventLog, StoredEvent
from engine.index.vectors import ExactVectors
from engine.personal import Remembered
from engine.recommend import Bought, Model, Orders
from engine.recommend.fitting import Fit, fit_model
from engine.recommend.history import read_history
from engine.recommend.model import AGAIN, DAY_S, LENT, NOW
from engine.recommend.request import RecommendRequest
from engine.recommend.saved import load_model, no_model, save_model
from engine.recommend.serving import Recommender, Rest, new_places, with_new
from engine.recommend.wording import rest_text
from engine.schema import Money, Product
from indexer.reindex import reindex
from shop import toy_engine, toy_settings, write_feed

NOW_S = 1_700_000_000.0
NOW_MS = int(1000 * time.time())


def made_orders(seed: int = 0, people: int = 60, n: int = 30, each: int = 6) -> Orders:
    """Two halves of the catalogue, each person buying from one, now and then by mistake from the other."""
    rng = np.random.default_rng(seed)
    lines = []
    for person in range(people):
        for visit in range(rng.integers(1, each)):
            order, when = len(lines), NOW_S - float(rng.uniform(1, 300)) * DAY_S
            for _ in range(rng.integers(1, 6)):
                half = (person % 2) ^ (rng.random() < 0.1)
                lines.append((order + visit * 10_000, person if person % 7 else -1, int(half * n / 2 + rng.integers(n / 2)), when))
    order, person, product, when = zip(*lines, strict=True)
    return Orders(np.array(order), np.array(person), np.array(product), np.array(when))


def vectors_of(n: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def dense(model: Model) -> np.ndarray:
    n, t = model.size, model.together
    return scipy.sparse.csr_matrix((t.values, t.columns, t.starts), shape=(n, n)).toarray()


def buyers_of(orders: Orders, n: int) -> np.ndarray:
    matrix = np.zeros((max(orders.person.max() + 1, 1), n))
    known = orders.person >= 0
    matrix[orders.person[known], orders.product[known]] = 1
    return matrix


def test_together_is_ease_as_it_was_published() -> None:
    orders, n = made_orders(), 30
    model = fit_model(orders, vectors_of(n), NOW_S, Fit(ridge=20, min_buyers=1))
    x = buyers_of(orders, n)
    inverse = np.linalg.inv(x.T @ x + 20 * np.eye(n))
    expected = inverse / -np.diag(inverse)
    np.fill_diagonal(expected, 0)
    both = x.T @ x
    expected[both < 1] = 0
    np.testing.assert_allclose(dense(model), expected, rtol=1e-4, atol=1e-6)
    bought, rows = np.arange(0, n, 5), np.random.default_rng(0).permutation(n)[:12]
    weights, support = model.pairs(bought, rows)
    np.testing.assert_allclose(weights, dense(model)[np.ix_(bought, rows)], atol=1e-7)
    np.testing.assert_array_equal(support, np.where(weights != 0, both[np.ix_(bought, rows)], 0))


def test_the_baselines_agree_with_another_library_and_a_plain_inverse() -> None:
    from implicit.nearest_neighbours import CosineRecommender

    from evals.recommending.baselines import ease_weights, knn_weights

    x = scipy.sparse.csr_matrix(buyers_of(made_orders(3), 30).astype(np.float32))
    theirs = CosineRecommender(K=31)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what it does itself
        theirs.fit(x.astype(np.float64), show_progress=False)
    other = theirs.similarity.toarray()
    np.fill_diagonal(other, 0)
    np.testing.assert_allclose(knn_weights(x, 0, 31).toarray(), other.T, atol=1e-6)
    few = knn_weights(x, 0, 4).toarray()
    assert ((few > 0).sum(axis=0) <= 4).all()
    inverse = np.linalg.inv((x.T @ x).toarray() + 50 * np.eye(30))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(ease_weights(x, 50), expected, atol=1e-8)


def test_the_parts_add_up_as_written() -> None:
    orders, n = made_orders(1), 30
    model = fit_model(orders, vectors_of(n), NOW_S, Fit(ridge=20, min_buyers=1, lender_orders=2, alike=0.0))
    history = {3: Bought(2, 1.5), 7: Bought(1, 0.2), 29: Bought(4, 0.0)}
    parts = model.parts(history)
    goes = np.maximum(sum(np.log2(1 + b.orders) * dense(model)[row] for row, b in history.items()), 0) * model.trend
    lenders = model.lenders
    shares = scipy.sparse.csr_matrix((lenders.values, lenders.columns, lenders.starts), shape=(n, n)).toarray()
    np.testing.assert_allclose(parts.together, model.own * goes, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(parts.lent, LENT * (1 - model.own) * (shares @ goes), rtol=1e-4, atol=1e-6)
    again = np.zeros(n)
    for row, bought in history.items():
        again[row] = AGAIN * model.trend[row] * model.again[row] * bought.fresh
    np.testing.assert_allclose(parts.again, again, rtol=1e-5)
    np.testing.assert_allclose(parts.now, NOW * model.now, rtol=1e-5)
    np.testing.assert_allclose(parts.score, parts.together + parts.lent + parts.again + parts.now)
    assert ((shares.sum(axis=1) == 0) | np.isclose(shares.sum(axis=1), 1, atol=1e-5)).all()
    assert (np.diag(shares) == 0).all()


def test_customers_are_measured_on_what_they_bought_before_and_buy_next() -> None:
    from evals.recommending.measuring import _histories, _measured
    from evals.recommending.splits import split_at

    orders, n = made_orders(2), 30
    split = split_at(orders, n, NOW_S - 30 * DAY_S)
    shown = np.random.default_rng(0).permuted(np.tile(np.arange(n), (len(split.people), 1)), axis=1)[:, :20]
    shown[:, 17:] = -1
    figures = _measured(split, (shown, shown))
    for place, (person, history) in enumerate(zip(split.people.tolist(), _histories(split), strict=True)):
        mine = split.before.where(split.before.person == person)
        told = {}
        for row in set(mine.product.tolist()):
            lines = mine.where(mine.product == row)
            told[row] = Bought.at([(split.time_s - lines.time_s[lines.order == o][0]) / DAY_S for o in np.unique(lines.order)])
        assert {row: (b.orders, pytest.approx(b.fresh)) for row, b in history.items()} == {
            row: (b.orders, b.fresh) for row, b in told.items()
        }
        after = orders.where((orders.person == person) & (orders.time_s >= split.time_s))
        bought = set(after.product[after.order == after.order[np.argmin(after.time_s)]].tolist())
        for name, of in (("all", bought), ("again", bought & set(told)), ("discovery", bought - set(told))):
            hits = [row in of for row in shown[place].tolist()]
            assert figures[name][place] == pytest.approx(sum(hits) / len(of) if of else np.nan, nan_ok=True)
            if name != "again" and of:
                ideal = sum(1 / np.log2(2 + rank) for rank in range(min(20, len(of))))
                gained = sum(1 / np.log2(2 + rank) for rank, hit in enumerate(hits) if hit) / ideal
                assert figures["nDCG" if name == "all" else "nDCG, discovery"][place] == pytest.approx(gained)


@given(st.integers(0, 1000), st.integers(2, 6))
@settings(max_examples=20)
def test_what_too_few_people_bought_leaves_no_trace(seed: int, least: int) -> None:
    orders, n = made_orders(seed, people=12), 30
    model = fit_model(orders, vectors_of(n), NOW_S, Fit(ridge=20, min_buyers=least))
    x = buyers_of(orders, n)
    both = x.T @ x
    assert (model.support >= least).all()
    assert (dense(model)[both < least] == 0).all()
    # a person more who buys something nobody else does changes nothing that is kept
    one = Orders(
        np.append(orders.order, 10**6), np.append(orders.person, 999), np.append(orders.product, n), np.append(orders.time_s, NOW_S - 5)
    )
    wider = np.concatenate([vectors_of(n), vectors_of(1, 5)])
    alone, without = fit_model(one, wider, NOW_S, Fit(min_buyers=least)), fit_model(orders, wider, NOW_S, Fit(min_buyers=least))
    for name in ("now", "trend", "again", "own", "first_s", "buyers", "support"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(without, name))


def test_nothing_sold_yet_is_a_model_too(tmp_path: Path) -> None:
    model = fit_model(Orders.none(), vectors_of(5), NOW_S)
    assert (model.parts({}).score == 0).all()
    save_model(model, tmp_path)
    assert load_model(tmp_path, 5).orders == 0
    assert (no_model(5).parts({1: Bought(1, 1)}).score[[0, 2, 3, 4]] == 0).all()


def test_a_model_comes_back_from_disk_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_model(fit_model(made_orders(), vectors_of(30), NOW_S, Fit(min_buyers=2)), tmp_path / name)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    one, two = fit_model(made_orders(), vectors_of(30), NOW_S, Fit(min_buyers=2)), load_model(tmp_path / "a", 30)
    history = {2: Bought(1, 1.0), 9: Bought(2, 0.5)}
    np.testing.assert_array_equal(one.parts(history).score, two.parts(history).score)


@given(st.data())
def test_new_products_take_the_places_of_what_is_not_much_better_and_the_rest_stay_in_order(data: st.DataObject) -> None:
    n, k = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 12))
    scores = np.array(data.draw(st.lists(st.floats(0, 1, width=32) | st.just(-np.inf), min_size=n, max_size=n)), np.float32)
    new = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    places, worth = data.draw(st.integers(0, k)), data.draw(st.sampled_from([0.0, 0.4, 1.0]))
    best = np.argsort(-scores, kind="stable")
    best = best[np.isfinite(scores[best])]
    shown = with_new(scores, best, new, k, places, worth)
    assert len(set(shown.tolist())) == len(shown) == min(k, len(best))
    assert np.isfinite(scores[shown]).all()
    plain = best[:k].tolist()
    for row in [row for row in best.tolist() if new[row] and row not in plain]:
        old = [r for r in plain if not new[r]]
        if int(new[plain].sum()) >= places or not old or scores[row] < worth * scores[old[-1]]:
            break
        plain.remove(old[-1])
        plain.append(row)
    assert shown.tolist() == plain
    if not worth:
        assert int(new[shown].sum()) >= min(places, int((new & np.isfinite(scores)).sum()), len(shown))


def shop_products() -> list[Product]:
    out = []
    for n in range(24):
        half = "tent" if n < 12 else "kettle"
        out.append(
            Product(
                f"P{n:02d}",
                f"{half} {chr(97 + n)}{chr(97 + n)}{chr(97 + n)} model",
                category=("Shop", half.title() + "s"),
                price=Money(1000 + n, "USD"),
                availability="out_of_stock" if n in (5, 17) else "in_stock",
                item_group_id="g" if n in (2, 3) else "",
            )
        )
    return out


def shop_events() -> list[Event]:
    rng = np.random.default_rng(5)
    events = []
    for person in range(40):
        rows = rng.choice(12, 3, replace=False) + 12 * (person % 2)
        when = NOW_MS - int(rng.integers(2, 200)) * 86_400_000
        for row in rows.tolist() if person else [0, 1, 2]:
            events.append(Event("purchase", when, user_id=f"u{person}", products=(f"P{row:02d}",), order_id=f"o{person}"))
    return events


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    folder = tmp_path_factory.mktemp("shop")
    toy_engine(folder, shop_products(), consent="assumed", min_buyers=2).close()
    given_settings = toy_settings(folder / "store", consent="assumed", min_buyers=2)
    with closing(EventLog.open(given_settings)) as log:
        assert log.add(shop_events(), lambda product: True).added == 120
    report = reindex(write_feed(shop_products(), folder / "feed.jsonl"), given_settings)
    assert report.orders == 40
    assert reindex(write_feed(shop_products(), folder / "feed.jsonl"), given_settings).snapshot == report.snapshot
    with closing(EventLog.open(given_settings)) as log:
        assert [u.name for u in log.uses.of(log.person("u1"))] == [report.snapshot]
    return Engine.open(given_settings)


KINDS = ["for_you", "similar", "bought_together", "basket", "buy_again"]


@given(
    st.sampled_from(KINDS), st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True), st.integers(1, 24), st.booleans(),
    st.sampled_from(["", "price:<1010"]), st.integers(0, 39),
)  # fmt: skip
@settings(max_examples=120)
def test_nothing_sold_out_given_or_twice_is_offered_and_filters_hold(
    engine: Engine, kind: str, rows: list[int], k: int, discover: bool, filter_by: str, person: int
) -> None:
    ids = [f"P{row:02d}" for row in rows]
    asked = RecommendRequest(kind=kind, ids=ids, k=k, discover=discover, filter_by=filter_by, user_id=f"u{person}")  # type: ignore[arg-type]
    answer = engine.recommend(asked)
    offered = [hit.document["id"] for hit in answer.hits]
    assert len(offered) == len(set(offered)) <= k
    assert not {"P05", "P17"} & set(offered)
    mine = {e.products[0] for e in shop_events() if e.user_id == f"u{person}"}
    if kind != "buy_again":
        assert not set(ids) & set(offered)
        assert not (discover and kind == "for_you" and mine & set(offered))
        assert len({"P02", "P03"} & set(offered)) <= (0 if {"P02", "P03"} & set(ids) else 1)
    else:
        assert set(offered) <= mine
    assert all(hit.document["price"]["amount"] < 101_000 for hit in answer.hits) or not filter_by
    assert all(hit.because for hit in answer.hits)


def test_reasons_are_true_of_the_orders(engine: Engine) -> None:
    both: dict[frozenset[str], set[str]] = {}
    for a, b in itertools.permutations(shop_events(), 2):
        if a.user_id == b.user_id and a.products != b.products:
            both.setdefault(frozenset((a.products[0], b.products[0])), set()).add(a.user_id)
    told = 0
    for row in range(24):
        for hit in engine.recommend(RecommendRequest(kind="bought_together", ids=[f"P{row:02d}"], k=20)).hits:
            for why in hit.because:
                if why.signal == "together":
                    told += 1
                    assert why.buyers == len(both[frozenset((why.product_id, hit.document["id"]))])
                    assert f"{why.buyers} shoppers" in why.text
    assert told > 50
    mine = engine.recommend(RecommendRequest(kind="buy_again", user_id="u3", language="zh"))
    assert {hit.because[0].text for hit in mine.hits} == {"您以前买过"}


def test_orders_tell_more_than_content_and_content_more_than_nothing(engine: Engine, tmp_path: Path) -> None:
    for row in (0, 14):
        hits = engine.recommend(RecommendRequest(kind="bought_together", ids=[f"P{row:02d}"], k=4)).hits
        assert {int(hit.document["id"][1:]) // 12 for hit in hits} == {row // 12}
    plain = toy_engine(tmp_path, shop_products(), consent="assumed")
    stranger = plain.recommend(RecommendRequest(k=5))
    assert {h.because[0].text for h in stranger.hits} == {"From Kettles", "From Tents"}
    assert stranger.orders == stranger.events == 0
    assert plain.recommend(RecommendRequest(kind="bought_together", ids=["P01"])).hits == []
    history = [StoredEvent("click", NOW_MS, client="c", products=("P13",))]
    looked = plain.remembering(lambda who: Remembered(history, None)).recommend(RecommendRequest(k=3))
    assert {h.document["category"][1] for h in looked.hits} == {"Kettles"}
    assert looked.hits[0].because[0].text == "Like “kettle nnn model”, which you looked at"
    similar = plain.recommend(RecommendRequest(kind="similar", ids=["P13"], k=5)).hits
    assert {h.document["category"][1] for h in similar} == {"Kettles"}


def test_one_purchase_counts_in_the_next_answer_unless_not_wanted(engine: Engine) -> None:
    before = engine.recommend(RecommendRequest(k=6, client_id="new-device-0123456789"))
    with closing(EventLog.open(engine.settings)) as log:
        log.add([Event("purchase", NOW_MS, client_id="new-device-0123456789", products=("P20",))], lambda product: True)
    after = engine.recommend(RecommendRequest(k=6, client_id="new-device-0123456789"))
    assert (before.events, after.events) == (0, 1)
    assert any("P20" in (why.product_id, hit.document["id"]) for hit in after.hits for why in hit.because)
    plain = engine.recommend(RecommendRequest(k=6, client_id="new-device-0123456789", personalize=False))
    assert plain == before


def test_what_cannot_be_asked_is_a_sentence(engine: Engine) -> None:
    with pytest.raises(RequestError, match="needs `ids`"):
        engine.recommend(RecommendRequest(kind="basket"))
    with pytest.raises(NotFoundError, match="No product has the id 'X'"):
        engine.recommend(RecommendRequest(kind="similar", ids=["X"]))
    with pytest.raises(FilterError):
        engine.recommend(RecommendRequest(filter_by="price"))


def test_a_history_counts_orders_and_fades() -> None:
    day = 86_400_000
    events = [
        StoredEvent("purchase", NOW_MS, products=("A",), order="1"), StoredEvent("purchase", NOW_MS, products=("A",), order="1"),
        StoredEvent("purchase", NOW_MS - 180 * day, products=("A",), order="2"), StoredEvent("click", NOW_MS, products=("B",)),
        StoredEvent("cart", NOW_MS, products=("B",)), StoredEvent("search", NOW_MS, query="x"), StoredEvent("click", NOW_MS, products=("?",)),
    ]  # fmt: skip
    found, did = read_history(events, {"A": 0, "B": 1}.get, NOW_MS)
    assert found[0].orders == 2
    assert found[0].fresh == pytest.approx(1.5)
    assert (found[1].orders, found[1].fresh) == (0.5, 0)
    assert did == {0: "purchase", 1: "cart"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_reason_has_a_sentence_in_both_languages(language: str) -> None:
    for signal in ("together", "alike", "again", "now", "new", "content", "category", "bought", "discover"):
        for did, like in itertools.product(("purchase", "cart", "click", ""), (2, 3)):
            text = rest_text(Rest(signal, 1.0, 2, like, 5), did, language, lambda row: "T" * 90, "Tents")  # type: ignore[arg-type]
            assert 2 < len(text) < 240
            assert any("\u4e00" <= c <= "\u9fff" for c in text) is (language == "zh")


def test_variants_and_duplicates_of_what_is_looked_at_are_left_out() -> None:
    vectors = np.eye(7, dtype=np.float32)[:6]
    vectors[:5, 6] = 1.0  # all but the last are alike
    vectors[1] = vectors[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = np.array([-1, -1, 7, 7, -1, -1], np.int32)
    recommender = Recommender(no_model(6), ExactVectors(vectors), groups)
    rows = [pick.row for pick in recommender.recommend("similar", [0], {}, 6, np.ones(6, bool))]
    assert not {0, 1, 5} & set(rows)
    assert len({2, 3} & set(rows)) == 1
    assert new_places(20) == 5


def test_it_is_all_there_over_http(engine: Engine) -> None:
    with TestClient(create_app(engine.settings)) as client:
        found = client.post("/v1/recommend", json={"kind": "bought_together", "ids": ["P01"], "k": 3}).json()
        assert 1 <= len(found["hits"]) <= 3
        assert found["orders"] == 40
        assert client.post("/v1/recommend", json={"kind": "basket"}).status_code == 400
        assert client.post("/v1/recommend", json={"kind": "similar", "ids": ["X"]}).status_code == 404


def test_measuring_tells_the_methods_apart() -> None:
    from evals.recommending.measuring import OURS, PLACED, recommend_scores

    orders = made_orders(4, people=200, each=9)
    orders = orders.where((orders.product < 26) | (orders.time_s > NOW_S - 70 * DAY_S))
    scores = recommend_scores(orders, vectors_of(30), days=2, fit=Fit(ridge=20))
    assert scores.customers < scores.orders
    by_name = {method.name: method for method in scores.methods}
    assert by_name[OURS].means["all"].mean > by_name["popularity, all time"].means["all"].mean
    assert by_name["EASE, best for discovery"].means["discovery"].mean > by_name["popularity, all time"].means["discovery"].mean
    assert set(by_name[OURS].ahead) == set()
    for plain, placed in PLACED.items():
        assert by_name[placed].means["new"].mean >= by_name[plain].means["new"].mean
    assert all(0 <= m.coverage <= 1 for m in scores.methods)
    scores.to_dict()


def test_a_product_is_recommendable_with_the_reindex_that_brings_it(engine: Engine, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(engine.settings.store, tmp_path / "store")
    given_settings = toy_settings(tmp_path / "store", consent="assumed", min_buyers=2)
    new = Product("P99", "tent brand new model", category=("Shop", "Tents"), availability="in_stock", price=Money(999, "USD"))
    reindex(write_feed([*shop_products(), new], tmp_path / "feed.jsonl"), given_settings)
    wider = Engine.open(given_settings)
    for kind, ids in (("for_you", []), ("similar", ["P01"])):
        hits = wider.recommend(RecommendRequest(kind=kind, ids=ids, k=20, user_id="u2")).hits  # type: ignore[arg-type]
        found = next(hit for hit in hits if hit.document["id"] == "P99")
        assert found.because
    wider.close()
