"""The filter language against Python's own comparisons."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import FilterError
from engine.index.filters import join_filters, parse_filter, quote
from engine.index.runs import Scratch
from engine.index.snapshot import Part
from engine.index.table import Table
from engine.index.table_builder import TableBuilder
from engine.schema import Money, Product, Quantity
from shop import random_products

PRODUCTS = random_products(400)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    folder = tmp_path_factory.mktemp("table")
    builder = TableBuilder(Scratch(folder, 1 << 20))
    for p in PRODUCTS:
        builder.add(p)
    builder.save(folder / "table")
    return Table([Part(folder, 0, len(PRODUCTS))])


def allowed(table: Table, text: str) -> set[int]:
    tree = parse_filter(text)
    assert tree is not None
    return set(np.flatnonzero(table.allow(tree)).tolist())


def price(p: Product) -> float | None:
    return p.price.major if p.price else None


def weight(p: Product) -> float | None:
    values = p.attributes.get("weight", ())
    return values[0].value if values and isinstance(values[0], Quantity) else None


CASES = {
    "price:<100": lambda p: price(p) is not None and price(p) < 100,
    "price:[50..100]": lambda p: price(p) is not None and 50 <= price(p) <= 100,
    "price:<=100USD": lambda p: p.price is not None and p.price.currency == "USD" and p.price.major <= 100,
    "price:>200 CNY": lambda p: p.price is not None and p.price.currency == "CNY" and p.price.major > 200,
    "brand:=[Alpkit,Cobalt]": lambda p: p.brand in ("Alpkit", "Cobalt"),
    "brand:!=Alpkit": lambda p: p.brand != "Alpkit",
    "brand:=alpkit": lambda p: p.brand == "Alpkit",
    "weight:<500g": lambda p: weight(p) is not None and weight(p) < 0.5,
    "weight:>=2kg && weight:<3": lambda p: weight(p) is not None and 2 <= weight(p) < 3,
    "waterproof:true": lambda p: p.attributes.get("waterproof") == (True,),
    "color:=黑色 || color:=red": lambda p: p.attributes.get("color") in (("黑色",), ("red",)),
    "!(color:red || brand:=岭行)": lambda p: p.attributes.get("color") != ("red",) and p.brand != "岭行",
    "category:=`Outdoor > Tents`": lambda p: p.category == ("Outdoor", "Tents"),
    "category:outdoor": lambda p: p.category[0] == "Outdoor",
    "in_stock:true": lambda p: p.availability == "in_stock",
}


@pytest.mark.parametrize("text", CASES)
def test_filters_mean_what_they_say(table: Table, text: str) -> None:
    want = {i for i, p in enumerate(PRODUCTS) if CASES[text](p)}
    assert want
    assert allowed(table, text) == want


@given(st.sampled_from(sorted(CASES)), st.sampled_from(sorted(CASES)))
def test_joining_is_intersection(table: Table, one: str, other: str) -> None:
    assert allowed(table, join_filters(one, other)) == allowed(table, one) & allowed(table, other)


@given(st.text(min_size=1, max_size=20).filter(lambda s: s.strip()))
def test_every_value_can_be_quoted(value: str) -> None:
    tree = parse_filter(f"brand:={quote(value)}")
    assert tree is not None
    assert tree.values == (value,) or tree.values == (value.strip(),)  # type: ignore[union-attr]


@given(st.text(alphabet="ab:=<>&|![]()`,.1 ", max_size=30))
def test_nonsense_is_an_error_with_a_position(table: Table, text: str) -> None:
    try:
        tree = parse_filter(text)
        if tree is not None:
            table.allow(tree)
    except FilterError as error:
        assert 0 <= error.position <= len(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prise:<3", "Did you mean.*'price'"),
        ("brand:<3", "holds text"),
        ("price:<cheap", "not a number"),
        ("price:<3 &&", "expected a field name"),
        ("(price:<3", r"expected `\)`"),
        ("brand:=[a", "expected `]`"),
        ("(" * 60 + "price:<3" + ")" * 60, "nested"),
    ],
)
def test_mistakes_are_sentences(table: Table, text: str, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        allowed(table, text)


def test_currencies_meet_only_by_a_rate(tmp_path: Path) -> None:
    builder = TableBuilder(Scratch(tmp_path, 1 << 20))
    builder.add(Product("a", "a", price=Money(1000, "USD")))
    builder.add(Product("b", "b", price=Money(5000, "CNY")))
    builder.save(tmp_path / "table")
    assert allowed(Table([Part(tmp_path, 0, 2)]), "price:<=60CNY") == {1}
    assert allowed(Table([Part(tmp_path, 0, 2)], {"USD": 7.0, "CNY": 1.0}), "price:<=60CNY") == {1}
    assert allowed(Table([Part(tmp_path, 0, 2)], {"USD": 7.0, "CNY": 1.0}), "price:<=70CNY") == {0, 1}
