"""The bundled demo: the feed is a shop of two languages, its oddities are there, and the judgements are consistent."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from evals.evalsets import load_evalset

DEMO = Path(__file__).resolve().parent.parent / "examples" / "demo"
HAN = re.compile(r"[一-鿿]")
PRICE = re.compile(r"(\d+\.\d\d) (CNY|USD)")
BUDGETS = {
    "z01": (0, 500, "CNY"),
    "z10": (0, 200, "CNY"),
    "z12": (0, 200, "CNY"),
    "z15": (0, 2000, "CNY"),
    "z23": (0, 1000, "CNY"),
    "z25": (250, 350, "CNY"),
    "z40": (100, 200, "CNY"),
    "e01": (0, 80, "USD"),
    "e13": (20, 40, "USD"),
    "e20": (0, 150, "USD"),
    "e40": (0, 50, "USD"),
    "e44": (0, 100, "USD"),
}
NOTHING_SUITABLE = {"z48", "z49", "e46", "e47", "e48"}

Row = dict[str, str]


def read_rows() -> list[Row]:
    with (DEMO / "catalogue.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


ROWS = read_rows()
BY_ID = {row["id"]: row for row in ROWS}
QUERIES = load_evalset(DEMO).queries
QRELS = load_evalset(DEMO).view().qrels


def current_price(row: Row) -> tuple[Decimal, str]:
    match = PRICE.fullmatch(row["sale_price"] or row["price"])
    assert match, f"{row['id']} has no usable price"
    return Decimal(match[1]), match[2]


def near_duplicates() -> list[tuple[str, str]]:
    """Pairs that are one product under two ids and two titles, and no variants of each other."""
    same: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in BY_ID.values():
        if row["mpn"]:
            same[row["brand"], row["mpn"], row["color"], row["size"]].append(row)
    return [(a["id"], b["id"]) for rows in same.values() for a, b in pairwise(rows)]


def test_every_row_has_as_many_cells_as_the_header() -> None:
    with (DEMO / "catalogue.tsv").open(encoding="utf-8", newline="") as file:
        widths = {len(cells) for cells in csv.reader(file, delimiter="\t")}
    assert len(widths) == 1


def test_the_shop_is_large_and_half_chinese() -> None:
    chinese = sum(bool(HAN.search(row["title"])) for row in ROWS)
    assert len(ROWS) >= 300
    assert 0.45 <= chinese / len(ROWS) <= 0.55


def test_both_languages_have_at_least_ten_departments_of_their_own() -> None:
    departments = {row["product_type"].split(" > ")[0] for row in ROWS}
    chinese = {name for name in departments if HAN.search(name)}
    assert len(chinese) >= 10
    assert len(departments - chinese) >= 10


def test_prices_are_in_two_currencies_by_the_language_of_the_path() -> None:
    currencies: Counter[str] = Counter()
    for row in ROWS:
        if match := PRICE.fullmatch(row["price"]):
            assert match[2] == ("CNY" if HAN.search(row["product_type"]) else "USD"), row["id"]
            currencies[match[2]] += 1
    assert min(currencies["CNY"], currencies["USD"]) >= 150


def test_a_sale_price_is_below_the_price() -> None:
    on_sale = [row for row in ROWS if row["sale_price"]]
    assert len(on_sale) >= 10
    for row in on_sale:
        regular = PRICE.fullmatch(row["price"])
        assert regular
        assert current_price(row)[0] < Decimal(regular[1]), row["id"]


def test_about_half_have_a_gtin_and_every_check_digit_is_right() -> None:
    codes = [row["gtin"] for row in BY_ID.values() if row["gtin"]]
    assert 0.4 <= len(codes) / len(BY_ID) <= 0.6
    assert len(set(codes)) == len(codes)
    for code in codes:
        digits = [int(character) for character in code]
        assert len(digits) == 13
        assert (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0, code


def test_variants_share_a_group_and_differ_in_size_or_colour() -> None:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in BY_ID.values():
        if row["item_group_id"]:
            groups[row["item_group_id"]].append(row)
    assert len(groups) >= 15
    for rows in groups.values():
        assert len(rows) >= 2
        assert len({(row["size"], row["color"]) for row in rows}) == len(rows)


def test_stock_states_and_columns_that_are_not_googles() -> None:
    assert {"in_stock", "out_of_stock", "preorder"} <= {row["availability"] for row in ROWS}
    for name in ("weight", "capacity", "power", "battery_life", "screen_size", "waterproof", "season", "style"):
        assert sum(bool(row[name]) for row in ROWS) >= 15, name


AWKWARD: dict[str, Callable[[Row], bool]] = {
    "missing brand": lambda row: not row["brand"],
    "title of 300 characters": lambda row: len(row["title"]) >= 300,
    "paragraphs in HTML": lambda row: "<p>" in row["description"],
    "line break in HTML": lambda row: "<br" in row["description"],
    "HTML entity": lambda row: bool(re.search(r"&\w+;", row["description"])),
    "script": lambda row: "<script>" in row["description"],
    "mojibake": lambda row: "Ã©" in row["title"],
    "full-width letters or digits": lambda row: bool(re.search(r"[０-９Ａ-Ｚａ-ｚ]", row["title"])),
    "NaN price": lambda row: row["price"] == "NaN",
    "negative price": lambda row: row["price"].startswith("-"),
    "absurd price": lambda row: row["price"].startswith("99999999999 "),
    "missing price": lambda row: not row["price"],
    "empty title": lambda row: not row["title"],
    "unknown availability": lambda row: (
        row["availability"] not in {"in_stock", "out_of_stock", "preorder", "backorder"}
    ),
    "orders in English": lambda row: "Ignore previous instructions" in row["description"],
    "orders in Chinese": lambda row: "忽略之前的所有指令" in row["description"],
    "zero-width character": lambda row: "\u200b" in row["description"],
    "superlatives in English": lambda row: "The brightest, longest-lasting" in row["description"],
    "superlatives in Chinese": lambda row: "史上最强" in row["description"],
    "two languages in one title": lambda row: bool(
        HAN.search(row["title"]) and re.search(r"[A-Za-z]{4,} [A-Z][a-z]+", row["title"])
    ),
}


@pytest.mark.parametrize("kind", AWKWARD)
def test_every_awkward_kind_is_there_and_listed(kind: str) -> None:
    found = [row["id"] for row in ROWS if AWKWARD[kind](row)]
    readme = (DEMO / "README.md").read_text(encoding="utf-8")
    assert found
    assert [name for name in found if f"`{name}`" not in readme] == []


def test_one_id_comes_twice_and_near_duplicates_are_listed() -> None:
    readme = (DEMO / "README.md").read_text(encoding="utf-8")
    twice = [name for name, count in Counter(row["id"] for row in ROWS).items() if count > 1]
    pairs = near_duplicates()
    languages = {bool(HAN.search(BY_ID[first]["title"])) for first, _ in pairs}
    assert len(twice) == 1
    assert languages == {True, False}
    for name in twice + [name for pair in pairs for name in pair]:
        assert f"`{name}`" in readme, name


def test_no_description_is_lorem_ipsum_or_copied_between_products() -> None:
    texts: dict[str, set[str]] = defaultdict(set)
    for row in ROWS:
        assert "lorem" not in row["description"].lower()
        assert len(row["description"]) >= 12, row["id"]
        texts[row["description"]].add(row["item_group_id"] or row["id"])
    assert [owners for owners in texts.values() if len(owners) > 1] == []


def test_sixty_judged_queries_in_both_languages() -> None:
    chinese = sum(bool(HAN.search(text)) for text in QUERIES.values())
    assert len(QUERIES) >= 60
    assert min(chinese, len(QUERIES) - chinese) >= 0.4 * len(QUERIES)
    assert set(QRELS) == set(QUERIES)


def test_judgements_name_products_that_a_clean_feed_keeps() -> None:
    rejected = {"AWK-E06", "AWK-E07", "AWK-E08", "AWK-E09"}
    for qid, judged in QRELS.items():
        assert set(judged) <= set(BY_ID) - rejected, qid
        assert set(judged.values()) <= {0, 1, 2, 3}, qid


def test_every_query_has_five_zeros_and_an_answer_unless_the_shop_has_none() -> None:
    for qid, judged in QRELS.items():
        grades = Counter(judged.values())
        assert grades[0] >= 5, qid
        assert (grades[3] == 0) == (qid in NOTHING_SUITABLE), qid
        if qid in NOTHING_SUITABLE:
            assert set(judged.values()) == {0}, qid


@pytest.mark.parametrize("qid", BUDGETS)
def test_nothing_good_breaks_the_budget_of_its_query(qid: str) -> None:
    low, high, currency = BUDGETS[qid]
    good = [product for product, grade in QRELS[qid].items() if grade >= 2]
    for product in good:
        amount, paid_in = current_price(BY_ID[product])
        assert paid_in == currency, product
        assert low <= amount <= high, product


def test_a_query_of_thirteen_digits_is_the_gtin_of_its_only_answer() -> None:
    codes = {qid: text for qid, text in QUERIES.items() if re.fullmatch(r"\d{13}", text)}
    assert len(codes) >= 2
    for qid, code in codes.items():
        assert [BY_ID[product]["gtin"] for product, grade in QRELS[qid].items() if grade] == [code]


def test_the_two_searches_of_the_demo_have_near_misses_on_both_sides() -> None:
    for qid in ("z01", "e01"):
        low, high, currency = BUDGETS[qid]
        zeros = [BY_ID[product] for product, grade in QRELS[qid].items() if grade == 0]
        own = [row for row in zeros if PRICE.fullmatch(row["price"]) and current_price(row)[1] == currency]
        assert [row["id"] for row in own if row["waterproof"] in {"yes", "是"} and current_price(row)[0] > high]
        assert [row["id"] for row in own if row["waterproof"] in {"no", "否"} and low < current_price(row)[0] <= high]
        assert sum(grade == 3 for grade in QRELS[qid].values()) >= 4
