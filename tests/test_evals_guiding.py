"""Simulated shoppers: goals come from products, answers from their records, and a guide that is worse is seen to be."""

import json
from dataclasses import replace

import pytest
from rich.console import Console

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.guide import Choice, GuideReply
from engine.schema import Money, Product
from evals.guiding import Lead, _answer, goals_of, leads_of, read_goals, render, score_guiding
from shop import toy_engine

COLOURS = ("red", "blue", "green", "black", "white", "grey")
MATERIALS = ("cotton", "wool", "nylon", "linen")
PRODUCTS = [
    Product(
        f"S{i}",
        f"Maker {i % 7} sweater model {i}",
        brand=f"Brand{i % 5}",
        price=Money(1000 + 250 * i, "USD"),
        attributes={"color": (COLOURS[i % 6],), "material": (MATERIALS[i // 6 % 4],)},
    )
    for i in range(72)
] + [Product("Z1", "保温杯 500毫升", price=Money(8900, "CNY"), attributes={"color": ("黑色",)})]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return toy_engine(tmp_path_factory.mktemp("guiding"), PRODUCTS, generator="template")


def test_goals_are_made_of_the_product_s_own_words():
    goals = goals_of(PRODUCTS, [Lead("i need a ", 1, True)], 40, "en")
    assert len(goals) == 40
    for goal in goals:
        assert goal.first.startswith("i need a ")
        assert "sweater" in goal.first
        assert "under $" in goal.first
        own = {goal.product.brand.lower(), *(str(v[0]) for v in goal.product.attributes.values())}
        assert any(word in goal.first for word in own)
        assert set(goal.more) <= own
    (chinese, *_) = goals_of(PRODUCTS[-1:], [], 5, "zh")
    assert "保温杯" in chinese.first
    assert goals_of(PRODUCTS, [], 40, "en", 3) == goals_of(PRODUCTS, [], 40, "en", 3) != goals_of(PRODUCTS, [], 40, "en", 4)


def test_a_chinese_shopper_asks_for_an_english_product_in_chinese():
    goals = goals_of(PRODUCTS[:-1], [], 10, "zh")
    assert goals
    assert all(any("一" <= c <= "鿿" for c in goal.first) and "sweater" not in goal.first for goal in goals)


def test_leads_are_how_people_begin(engine):
    found = list(leads_of(["i need a red sweater under $50", "sweater"], engine.understand))
    assert found == [Lead("i need a ", 1, True)]


def test_answers_are_true_of_the_product_in_mind():
    product = replace(PRODUCTS[0], price=Money(4000, "USD"))
    colours = [Choice(label=c, field="color", filter=f"color:={c}") for c in ("blue", "red")]
    assert _answer(colours, product).label == "red"
    bands = [
        Choice(label="up to $30", field="price", filter="price:<=30USD"),
        Choice(label="$30 to $60", field="price", filter="price:>30USD && price:<=60USD"),
    ]
    assert _answer(bands, product).label == "$30 to $60"
    assert _answer(bands, replace(product, price=Money(4000, "EUR"))) is None
    assert _answer([Choice(label="x", field="size", filter="size:=x")], product) is None


def test_the_guide_finds_more_than_one_search_and_a_mute_one_does_not(engine, monkeypatch):
    goals = goals_of(PRODUCTS, [Lead("i need a ", 0, False)], 40, "en")
    (row,) = score_guiding(engine, goals).rows
    assert row["guide"].mean > row["search_first_3"].mean + 0.2
    assert row["questions"] > 0
    assert 1 <= row["turns_where_found"] <= 3
    real = engine.guide

    def mute(request) -> GuideReply:
        return real(request).model_copy(update={"question": None, "hits": []})

    monkeypatch.setattr(engine, "guide", mute)
    (row,) = score_guiding(engine, goals).rows
    assert row["guide"].mean == 0


def test_the_report_is_plain_and_printed(engine, capsys):
    report = score_guiding(engine, goals_of(PRODUCTS, [], 6, "en"))
    json.dumps(report.to_dict())
    render(report, Console(width=100))
    assert "found by the guide" in capsys.readouterr().out


def test_what_is_no_goals_file_is_named(tmp_path):
    (tmp_path / "goals.json").write_text('{"a": 1}')
    with pytest.raises(EvaluationError, match="no list of texts"):
        read_goals(tmp_path / "goals.json")
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_goals(tmp_path / "none.json")
    with pytest.raises(EvaluationError, match="No product"):
        score_guiding(None, [])
