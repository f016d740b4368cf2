"""Quantities: the same measure written differently is the same value, and codes are never quantities."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine.units
from engine.schema import Quantity
from engine.units import convert, find_quantities, leading_quantity, parse_quantity


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(engine.units).failed == 0


@pytest.mark.parametrize(
    "same",
    [
        ["500 ml", "500ML", "0.5 L", "0,5 l", "50 cl", "500毫升", "0.5升", "５００ｍｌ"],
        ["1.5kg", "1500 g", "1,500 grams", "3斤", "1.5公斤", "1500克", "1.5千克"],
        ["2 m", "200cm", "2000 mm", "2米", "200厘米", "2000毫米"],
        ["10 in", "10 inches", '10"', "10-inch", "10英寸", "25.4 cm"],
        ["2 h", "120 min", "2小时", "120分钟", "7200 s"],
        ["20000mAh", "20 Ah", "20000毫安时"],
        ["2.4 GHz", "2400MHz"],
        ["1 TB", "1000GB"],
        ["0.5 GB", "512 MB"],
        ["25 °C", "25℃", "77°F", "25摄氏度"],
        ["2 years", "24 months", "2年", "24个月"],
    ],
)
def test_the_same_measure_is_the_same_quantity(same: list[str]) -> None:
    first = parse_quantity(same[0])
    assert first is not None
    for text in same[1:]:
        found = parse_quantity(text)
        assert found is not None, text
        assert found.unit == first.unit, text
        assert found.value == pytest.approx(first.value, rel=1e-9), text


@pytest.mark.parametrize(
    "text",
    ["", "5G", "5M", "305A", "802.11b", "1440 x 900", "TN-2110", "10", "kg", "1-2 kg", "-5 kg", "1.2.3 kg", "3 apples"],
)
def test_what_is_no_single_quantity_is_none(text: str) -> None:
    assert parse_quantity(text) is None


@given(st.text(max_size=60))
def test_any_text_is_a_quantity_or_none(text: str) -> None:
    found = parse_quantity(text)
    assert found is None or (found.unit and found.value == found.value)
    for start, end, quantity in find_quantities(text):
        assert 0 <= start < end <= len(text)
        assert isinstance(quantity, Quantity)


@given(st.floats(0.001, 1e6), st.sampled_from(["mm", "g", "ml", "kW", "GB", "min", "毫升", "斤", "Hz"]))
def test_conversion_keeps_the_order(value: float, unit: str) -> None:
    less, more = convert(value, unit), convert(value * 2, unit)
    assert less is not None
    assert more is not None
    assert less.unit == more.unit
    assert less.value < more.value


def test_not_a_number_is_no_quantity() -> None:
    assert convert(float("nan"), "kg") is None
    assert convert(float("inf"), "kg") is None
    assert convert(1, "parsec") is None


def test_quantities_are_found_inside_both_scripts() -> None:
    text = "水壶500毫升 保温12小时, 65W charger, 2m cable, 5G iPhone 15, 1.5kg"
    found = [(text[a:b], str(q)) for a, b, q in find_quantities(text)]
    assert found == [
        ("500毫升", "0.5 l"),
        ("12小时", "12 h"),
        ("65W", "65 W"),
        ("2m", "200 cm"),
        ("1.5kg", "1.5 kg"),
    ]


def test_a_number_in_wide_digits_begins_where_its_digits_begin() -> None:
    assert [str(q) for _, _, q in find_quantities("１２ kg")] == ["12 kg"]
    assert list(find_quantities("cm１3 kg")) == list(find_quantities("cm13 kg")) == []


@pytest.mark.parametrize(("text", "end"), [("500ml under 2 lb", 5), ("5 of 2 kg", None), ("kg", None), ("2.5kg", 5)])
def test_a_text_begins_with_a_quantity_or_not(text: str, end: int | None) -> None:
    found = leading_quantity(text)
    assert (found[0] if found else None) == end
    assert found is None or next(find_quantities(text))[1:] == found
