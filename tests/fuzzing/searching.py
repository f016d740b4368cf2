"""What shoppers type and clients filter by: queries in two languages, filters, amounts and quantities."""

from __future__ import annotations

from functools import cache

import numpy as np

from engine.errors import FilterError
from engine.explain.quantities import read_numbers
from engine.index.filters import And, Condition, Filter, Not, Or, parse_filter, quote
from engine.index.pushdown import Pushdown
from engine.numerals import fold
from engine.query import ParsedQuery, parse_query
from engine.query.price import find_price_wishes, find_prices
from engine.schema import Money, Quantity
from engine.units import find_quantities, parse_quantity
from fuzzing.catalogue import shop
from fuzzing.target import sentence, text_of
from indexer.clean.price import BadPrice, parse_price

__all__ = ["read_amounts", "read_filter", "read_query", "written_filter"]

_LONGEST_QUERY = 512
"""Characters of a query that a request may have."""
_ASKED_BETWEEN = "红色 waterproof jacket under $80, not leather 500元以内"


@cache
def _answer_between() -> ParsedQuery:
    return parse_query(_ASKED_BETWEEN, shop()._pipeline._known)


def read_query(data: bytes) -> None:
    """The first byte says whether the query is understood and corrected."""
    flags, text = data[:1], text_of(data[1:])[:_LONGEST_QUERY]
    known = shop()._pipeline._known
    understand, correct = not flags or not flags[0] & 1, not flags or not flags[0] & 2
    between = _answer_between()
    found = parse_query(text, known, understand, correct)
    for part in (*found.understood, *found.corrected):
        assert 0 <= part.start <= part.end <= len(text)
        assert part.text == text[part.start : part.end]
    for word in found.words:
        assert 0 <= word.start < word.end <= len(text)
    for part in found.understood:
        assert part.mode != "filter" or part.kind != "price" or part.filter, part
    for filter_by in found.filters:
        tree = parse_filter(filter_by)
        assert tree is not None, filter_by
        shop()._pipeline.table.allow(tree)
    assert not any(word.start >= word.end for group in found.exclusions for words in group for word in words)
    assert parse_query(_ASKED_BETWEEN, known) == between, "another query is read otherwise than before"
    assert parse_query(text, known, understand, correct) == found, "the same query is read otherwise"


def written_filter(tree: Filter) -> str:
    """Return an expression that says what a tree does."""
    if isinstance(tree, And | Or):
        sign = " && " if isinstance(tree, And) else " || "
        return "(" + sign.join(map(written_filter, tree.parts)) + ")"
    if isinstance(tree, Not):
        return f"!({written_filter(tree.part)})"
    name = "`" + tree.field.replace("`", "``") + "`"
    if tree.operator == "..":
        low, high = (quote(value) if value else "" for value in tree.values)
        return f"{name}:[{low}..{high}]"
    sign = tree.operator.removeprefix(":")
    values = ",".join("``" if not value else quote(value) for value in tree.values)
    return f"{name}:{sign}{values if len(tree.values) == 1 else f'[{values}]'}"


def _placeless(tree: Filter) -> Filter:
    if isinstance(tree, Condition):
        return Condition(tree.field, tree.operator, tree.values, 0)
    if isinstance(tree, Not):
        return Not(_placeless(tree.part))
    return type(tree)(tuple(map(_placeless, tree.parts)))


def _depth(tree: Filter) -> int:
    parts = () if isinstance(tree, Condition) else (tree.part,) if isinstance(tree, Not) else tree.parts
    return 1 + max(map(_depth, parts), default=0)


def read_filter(data: bytes) -> None:
    """A filter is a tree that is written and read back, and its denial allows what it does not."""
    text = text_of(data)
    try:
        tree = parse_filter(text)
    except FilterError as error:
        sentence(error)
        assert 0 <= error.position <= len(text)
        return
    if tree is None:
        assert not text.strip()
        return
    if 2 * _depth(tree) <= 32:  # a denial is written with parentheses, which are counted
        assert _placeless(parse_filter(written_filter(tree))) == _placeless(tree), written_filter(tree)  # type: ignore[arg-type]
    table = shop()._pipeline.table
    try:
        allowed = table.allow(tree)
    except FilterError as error:
        sentence(error)
        assert 0 <= error.position <= len(text)
        return
    assert allowed.dtype == bool
    assert allowed.shape == (table.n,)
    assert np.array_equal(table.allow(Not(tree)), ~allowed)
    Pushdown.chosen(table).expression(tree).encode()


def read_amounts(data: bytes) -> None:
    """A text as a quantity, a price in a feed, and with the amounts that are in it."""
    text = text_of(data)
    fold(text)
    for start, end, _ in find_quantities(text):
        assert 0 <= start < end <= len(text)
    for limit in find_prices(text):
        assert 0 <= limit.start < limit.end <= len(text)
        assert limit.low is not None or limit.high is not None
    for start, end, _ in find_price_wishes(text):
        assert 0 <= start < end <= len(text)
    for number in read_numbers(text):
        assert 0 <= number.start < number.end
    if (quantity := parse_quantity(text)) is not None:
        assert isinstance(quantity, Quantity)
        assert np.isfinite(quantity.value), quantity
        again = parse_quantity(str(quantity))
        assert again is None or (again.unit == quantity.unit and np.isclose(again.value, quantity.value, rtol=1e-4)), again
    for value in (text, _plain_number(text)):
        money = parse_price(value, column=text[-3:], default_currency="USD", max_price=1e7, chinese=b"\xe4" in data)
        assert money is None or isinstance(money, Money | BadPrice)
        if isinstance(money, Money):
            assert money.amount <= 1e7 * 1000
            str(money).encode()
        elif money is not None:
            sentence(money.detail)


def _plain_number(text: str) -> object:
    try:
        return int(text[:20])
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
