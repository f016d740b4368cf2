"""Numbers in every written form, read as what they are."""

import pytest

from engine.explain.quantities import read_numbers
from engine.numerals import fold


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("两百块", [((200.0,), "money", "")]),
        ("两百五十元以内", [((250.0,), "money", "max")]),
        ("under eighty dollars", [((80.0,), "money", "max")]),
        ("US$12.50", [((12.5,), "money", "")]),
        ("twenty-five litres", [((25.0,), "l", "")]),
        ("ten thousand mm", [((1000.0,), "cm", "")]),
        ("三成羊绒", [((30.0,), "%", "")]),
        ("百分之三十", [((30.0,), "%", "")]),
        ("８０％", [((80.0,), "%", "")]),
        ("72到120厘米", [((72.0, 120.0), "cm", "")]),
        ("140x70cm", [((140.0, 70.0), "cm", "")]),
        ("2万毫安时", [((20000.0,), "mAh", "")]),
        ("约520克", [((0.52,), "kg", "approx")]),
        ("at least 30 watts", [((30.0,), "W", "min")]),
        ("IPX7, TN-2110, 5G, 第一", []),
        ("这是一件外套", []),
        ("this one", []),
    ],
)
def test_numbers_are_read_with_unit_and_bound(text, expected):
    assert [(n.values, n.unit, n.bound) for n in read_numbers(fold(text))] == expected


@pytest.mark.parametrize(
    ("text", "currency"),
    [("469元", "CNY"), ("¥469", "¥"), ("¥469 CNY", "CNY"), ("469美元", "USD"), ("$5 EUR", "?"), ("A$5", "AUD")],
)
def test_currencies_are_told_apart(text, currency):
    assert [n.currency for n in read_numbers(fold(text))] == [currency]


@pytest.mark.parametrize(
    "text",
    ["9" * 400 + "万", "一" * 400 + "点五个", "一" * 5000 + "个", "亿" * 2000 + "个", "hundred " * 3000],
)  # fmt: skip
def test_what_is_too_long_to_be_a_number_stays_as_it_is(text: str) -> None:
    assert fold(text).strip() == text.strip()
    assert len(read_numbers(fold(text))) <= 1
    assert "%" not in fold("百分之" + text)


def test_dimensions_have_an_end() -> None:
    found = read_numbers(fold("x".join(["3"] * 100) + " cm"))
    assert max(len(number.values) for number in found) == 8
    assert sum(len(number.values) for number in found) == 100


@pytest.mark.parametrize("spaces", [1, 8, 30])
def test_what_bounds_a_number_stands_before_it(spaces: int) -> None:
    (number,) = read_numbers("a long text " * 50 + "no more than" + " " * spaces + "US$30")
    assert (number.bound, number.currency) == ("max", "USD")
    (number,) = read_numbers("a long text " * 50 + "no more than" + " " * spaces + "30 kg")
    assert (number.bound, number.unit) == ("max", "kg")
