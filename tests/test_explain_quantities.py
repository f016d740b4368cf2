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
