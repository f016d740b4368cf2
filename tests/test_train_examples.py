"""Training examples: made from the catalogue, judgements, logs and orders; split without leaks; kept on disk whole."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import FeedError, TrainingError
from engine.language import normalize_code
from engine.lexicon import Entry, Lexicon
from engine.schema import Product
from engine.train.catalogue import KINDS, catalogue_examples
from engine.train.examples import Example, ExampleSet, fold_of, leaks, query_key, read_examples, split, write_examples
from evals.evalsets import EvalSet
from evals.examples import Gathering
from indexer.logs import LoggedAction, LoggedQuery, SearchLog, read_log
from indexer.people import shoppers
from indexer.transactions import read_sales

PRODUCTS = {
    p.id: p
    for p in (
        Product("j1", "Fellmark Ridge hiking jacket, red", "Keeps the rain out on long walks.", "Fellmark", ("Outdoor", "Jackets"),
                mpn="FM-2208W", gtin=("4006381333931",), attributes={"color": ("red",), "material": ("nylon",)}),
        Product("j2", "Norrbeck city coat", "Wool for the town.", "Norrbeck", ("Coats",), attributes={"color": ("grey",)}),
        Product("m1", "Slate M7 wireless mouse", "", "Slate", (), mpn="M7-X10"),
    )
}  # fmt: skip
LEXICON = Lexicon([Entry("color", ("red",), ("红色",)), Entry("thing", ("wireless mouse",), ("无线鼠标",)), Entry("thing", ("coats", "coat"), ("大衣",))])
WORDS = st.lists(st.sampled_from("red green laptop laptops bag bags 外套 红色 tn-2110 for the".split()), min_size=1, max_size=4).map(" ".join)


def test_every_query_of_a_catalogue_could_be_asked_for_its_product() -> None:
    made = list(catalogue_examples(PRODUCTS.values(), LEXICON, each=7, seed=1))
    assert made == list(catalogue_examples(PRODUCTS.values(), LEXICON, each=7, seed=1))
    assert {e.kind for e in made} == set(KINDS)
    for e in made:
        product = PRODUCTS[e.product]
        if e.kind == "code":
            assert normalize_code(e.query) == normalize_code(product.mpn)
        elif e.kind == "brand and code":
            assert normalize_code(e.query) == normalize_code(product.brand + product.mpn)
        elif not any("\u3400" <= c <= "\u9fff" for c in e.query):
            everything = " ".join([product.title, product.description, product.brand, *product.category, "red grey nylon"]).lower()
            assert all(word.strip(",.") in everything for word in e.query.lower().split())
    chinese = [e.query for seed in range(30) for e in catalogue_examples(PRODUCTS.values(), LEXICON, 7, seed) if "鼠标" in e.query]
    assert any("slate 无线鼠标" in query for query in chinese)
    bare = Product("x", "?")
    assert list(catalogue_examples([bare], LEXICON)) == []


@given(st.lists(st.tuples(WORDS, st.sampled_from(["a", "b", "c"])), max_size=30), st.integers(2, 6))
def test_no_query_is_on_both_sides_whatever_its_form(asked: list[tuple[str, str]], folds: int) -> None:
    train, test = split([Example(q, p, 1.0, "judgements") for q, p in asked], folds)
    assert len(train) + len(test) == len(asked)
    assert leaks(train, test)["queries"] == 0
    assert {query_key(e.query) for e in train}.isdisjoint(query_key(e.query) for e in test)
    assert all(fold_of(e.query, folds) == 0 for e in test)


def test_leaks_are_counted_and_a_leaking_query_is_refused(tmp_path) -> None:
    train = [Example("laptops", "a", 1.0, "judgements"), Example("mouse", "b", 0.0, "judgements")]
    test = [Example("Laptop", "a", 1.0, "judgements"), Example("mice", "a", 1.0, "judgements"), Example("lamp", "b", 1.0, "clicks")]
    assert leaks(train, test) == {"queries": 1, "pairs": 1, "products": 1}
    with pytest.raises(TrainingError, match="Split by query"):
        write_examples(tmp_path / "x", ExampleSet({"a": "", "b": ""}, train, test))
    with pytest.raises(TrainingError, match="nothing can be learned"):
        write_examples(tmp_path / "x", ExampleSet({"b": ""}, train[1:], []))


def test_a_set_is_read_as_it_was_written_or_refused(tmp_path) -> None:
    found = ExampleSet(
        {"a": "Lamp — 灯", "b": "x"}, [Example("lamp", "a", 0.5, "clicks", "head")], [Example("x y", "b", 1.0, "orders")]
    )
    card = write_examples(tmp_path / "x", found)
    assert card["train"]["by_grade"] == {"0.5": 1}
    again = read_examples(tmp_path / "x")
    assert (again.texts, again.train, again.test, again.fingerprint) == (found.texts, found.train, found.test, card["fingerprint"])
    lines = (tmp_path / "x" / "train.jsonl").read_text()
    (tmp_path / "x" / "train.jsonl").write_text(lines.replace("0.5", "0.6"))
    with pytest.raises(TrainingError, match="have changed"):
        read_examples(tmp_path / "x")
    (tmp_path / "x" / "train.jsonl").write_text('{"no": 1}\n')
    with pytest.raises(TrainingError, match="no examples that can be read"):
        read_examples(tmp_path / "x")
    with pytest.raises(TrainingError, match="daogou examples"):
        read_examples(tmp_path / "nothing")
    orphan = replace(found, train=[Example("lamp", "z", 1.0, "clicks")])
    write_examples(tmp_path / "y", orphan)
    with pytest.raises(TrainingError, match="'z'"):
        read_examples(tmp_path / "y")


def test_judgements_are_scaled_and_what_is_personal_or_unknown_is_left_out() -> None:
    evalset = EvalSet(
        "mine",
        {"q1": "jacket", "q2": "mouse", "q3": "mail me at anna@example.org"},
        {"judged": {"q1": {"j1": 100, "j2": 10, "gone": 1}, "q2": {"m1": 0}, "q3": {"m1": 3}}},
        {"q1": ["head"]},
    )
    made = Gathering(PRODUCTS, folds=2)
    made.add_judged(evalset)
    found = made.finish(None, {})
    everything = {(e.query, e.product): (e.grade, e.kind) for e in (*found.train, *found.test)}
    assert everything == {("jacket", "j1"): (1.0, "head"), ("jacket", "j2"): (0.1, "head"), ("mouse", "m1"): (0.0, "")}
    assert found.card["left_out"]["judgements"] == {
        "judgement of a product that is not in the catalogue": 1,
        "query that may hold something personal": 1,
    }
    assert set(found.texts) == {"j1", "j2", "m1"}


def log(searches: int = 40, times: bool = True) -> SearchLog:
    """The first product is shown first and clicked for its place; the second is what people want."""
    queries, actions = [], []
    for i in range(searches):
        text = ["jacket", "coat", "warm coat", "rain jacket"][i % 4] if i < 0.8 * searches else ["jacket", "town wool"][i % 2]
        queries.append(LoggedQuery(f"q{i}", f"u{i % 9}", text, ("4006381333931", "j2", "m1"), 1_700_000_000.0 + 600 * i if times else 0.0))
        actions.append(LoggedAction(f"q{i}", f"u{i % 9}", "purchase" if i % 5 == 0 else "click", "j2" if i % 3 else "FM-2208W", 0))
    return SearchLog(queries, actions)


def test_a_log_is_split_by_time_and_products_are_called_by_our_ids() -> None:
    made = Gathering(PRODUCTS)
    made.add_log(log())
    found = made.finish(None, {"log": "x"})
    assert {e.product for e in found.train} <= set(PRODUCTS)
    assert {e.query for e in found.test} == {"town wool"}  # `jacket` was asked before
    assert found.card["left_out"]["test"]["query that is also trained on"] > 0
    best = {e.query: e for e in sorted(found.train, key=lambda e: e.grade)}
    assert best["coat"].product == "j2"
    untimed = Gathering(PRODUCTS, folds=2)
    untimed.add_log(log(times=False))
    assert leaks(untimed.train, untimed.test)["queries"] == 0


def test_clicks_are_freed_of_the_pull_of_places_unless_raw() -> None:
    queries, actions = [], []
    for i in range(300):  # for `red`, b is the better one and stands second; the first place draws every second click
        shown = ("j1", "j2") if i % 2 else ("m1", "j2")
        queries.append(LoggedQuery(f"q{i}", f"u{i}", "red" if i % 2 else "blue", shown))
        if i % 2:
            actions.append(LoggedAction(f"q{i}", "", "click", "j1" if i % 4 == 1 else "j2", 0))
        else:
            actions.append(LoggedAction(f"q{i}", "", "click", "m1", 0))
    grades = {}
    for debiased in (True, False):
        made = Gathering(PRODUCTS, folds=50)
        made.add_log(SearchLog(queries, actions), debiased=debiased)
        grades[debiased] = {(e.query, e.product): e.grade for e in (*made.train, *made.test)}
    assert grades[True]["red", "j2"] > grades[True]["red", "j1"]
    assert grades[False]["red", "j2"] <= grades[False]["red", "j1"]


def test_machines_and_tests_are_not_shoppers(tmp_path) -> None:
    def asked(user: str, times: list[float], text: str = "lamp") -> list[LoggedQuery]:
        return [LoggedQuery(f"{user}-{i}", user, text, (), t) for i, t in enumerate(times)]

    everyone = [
        *asked("fast", [100 + 0.2 * i for i in range(20)]),
        *asked("tireless", [100 + 20 * i for i in range(400)]),
        *asked("keen", [100 + 45 * i for i in range(60)]),
        *asked("tester", [1.0], "TEST"),
        *asked("tester2", [1.0], "test strips"),
        *asked("", [1.0 + i / 100 for i in range(50)]),
    ]
    human, left_out = shoppers(SearchLog(everyone, [LoggedAction("fast-1", "fast", "click", "x", 1), LoggedAction("keen-1", "keen", "click", "x", 1)]))
    assert Counter(q.user for q in human.queries) == {"keen": 60, "tester2": 1, "": 50}
    assert left_out == {"search of a machine": 420, "search that tries the shop": 1}
    assert [a.user for a in human.actions] == ["keen"]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(1717527762025, 1717527762.025), (1717527762, 1717527762.0), ("2024-06-04T19:02:42Z", 1717527762.0),
     ("2024-06-04T19:02:42", 1717527762.0), ("1717527762025", 1717527762.025), ("soon", 0.0), (None, 0.0), (-5, 0.0), ([], 0.0)],
)  # fmt: skip
def test_times_of_a_log_are_read_in_the_forms_they_have(tmp_path, given, seconds) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"user_query": "lamp", "query_id": "1", "timestamp": given}) + "\n")
    assert read_log(path).queries[0].time_s == pytest.approx(seconds)


def test_orders_are_cleaned_and_give_their_other_descriptions(tmp_path) -> None:
    rows = [
        "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID",
        "1,85048,RED LAMP,2,2009-12-01 07:45:00,1.5,17850",
        "2,85048,RED LAMP,1,2009-12-01 08:45:00,1.5,",
        "3,85048,LAMP WITH RED SHADE,1,2009-12-02 08:45:00,1.5,17850",
        "C489449,85048,RED LAMP,-1,2009-12-02 08:45:00,1.5,17850",
        "5,85048,RED LAMP,-3,2009-12-02 08:45:00,0,",
        "6,POST,POSTAGE,1,2009-12-02 08:45:00,18,17850",
        "7,TEST001,This is a test,1,2009-12-02 08:45:00,18,17850",
        "8,22222,damaged,1,2009-12-02 08:45:00,0,",
        "9,m1,MOUSE FOR ANNA@EXAMPLE.ORG,1,2009-12-02 08:45:00,3,17850",
        "10,m1,LITTLE MOUSE,x,2009-12-02 08:45:00,3,17850",
        "11,m1,LITTLE MOUSE,1,2009-12-02 08:45:00,3,17850",
    ]
    path = tmp_path / "orders.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.write("\n".join(rows))
    sales = read_sales(path)
    assert len(sales.lines) == 5
    assert sales.skipped == {"cancelled": 1, "returned, or without a quantity": 2, "no product: a fee, postage or a test": 2, "a note in place of a description": 1}
    assert {sale.user for sale in sales.lines} == {sales.lines[0].user, ""}
    assert "17850" not in repr(sales.lines)
    made = Gathering(PRODUCTS, folds=50)
    made.add_sales(sales)
    found = made.finish(None, {})
    assert {(e.query, e.product) for e in (*found.train, *found.test)} == {("lamp with red shade", "85048"), ("little mouse", "m1")}
    assert found.texts["85048"] == "RED LAMP"
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FeedError, match="names a product"):
        read_sales(tmp_path / "bad.csv")
    with pytest.raises(FeedError, match="cannot be read as orders"):
        read_sales(tmp_path / "none.parquet")
