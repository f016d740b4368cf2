"""What is read out of a query, and from which characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.index.codes import CodeIndex, codes_of, save_codes
from engine.query.exclude import find_exclusions
from engine.query.parse import parse_query
from engine.query.price import find_prices
from engine.schema import Product


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> CodeIndex:
    folder = tmp_path_factory.mktemp("codes")
    products = [Product("1", "Toner", mpn="TN-2110"), Product("2", "Drive", gtin=("0088420588030",)), Product("3", "x", mpn="KX 2200/B")]
    save_codes([codes_of(p) for p in products], folder)
    return CodeIndex(folder)


@pytest.mark.parametrize(
    ("text", "span", "low", "high", "currency"),
    [
        ("hiking jacket under $80", "under $80", None, 80, "USD"),
        ("jacket below 80 dollars please", "below 80 dollars", None, 80, "USD"),
        ("under 500", "under 500", None, 500, ""),
        ("tent over £1,500.50", "over £1,500.50", 1500.5, None, "GBP"),
        ("between 20 and 40 dollars", "between 20 and 40 dollars", 20, 40, "USD"),
        ("kettle $20-$40 steel", "$20-$40", 20, 40, "USD"),
        ("laptop up to 1.5k usd", "up to 1.5k usd", None, 1500, "USD"),
        ("around 30 euros", "around 30 euros", 24, 36, "EUR"),
        ("防水登山外套 500元以内", "500元以内", None, 500, "CNY"),
        ("200元以下的水壶", "200元以下", None, 200, "CNY"),
        ("两百块以内的礼物", "两百块以内", None, 200, "CNY"),
        ("1.5千到3000元的手机", "1.5千到3000元", 1500, 3000, "CNY"),
        ("1万元左右 电脑", "1万元左右", 8000, 12000, "CNY"),
        ("不超过300元 鞋", "不超过300元", None, 300, "CNY"),
        ("100-200元 耳机", "100-200元", 100, 200, "CNY"),
        ("500以内 背包", "500以内", None, 500, ""),
        ("三百元以上的表", "三百元以上", 300, None, "CNY"),
        ("￥99以下", "￥99以下", None, 99, "CNY"),
    ],
)
def test_prices(text: str, span: str, low: float | None, high: float | None, currency: str) -> None:
    (limit,) = find_prices(text)
    assert text[limit.start : limit.end] == span
    assert (limit.low, limit.high, limit.currency) == (low, high, currency)


@pytest.mark.parametrize(
    "text",
    [
        "jacket under 2 kg", "over 20 inch monitor", "usb 3.0 hub", "iphone 11", "rtx 2060", "2-4 person tent", "size 40-42",
        "500ml 水壶", "13寸以上 电脑", "3岁以上 玩具", "1000张以内", "over ear headphones", "under desk treadmill", "windows 10",
        "10-20 pieces", "aa battery 4 pack", "不超过2公斤", "12个月以上",
    ],
)  # fmt: skip
def test_numbers_that_are_no_prices(text: str) -> None:
    assert list(find_prices(text)) == []


@pytest.mark.parametrize(
    ("text", "span", "named"),
    [
        ("bed frame without mattress", "without mattress", ["mattress"]),
        ("sofa, not leather", "not leather", ["leather"]),
        ("bottle without a plastic lid for kids", "without a plastic lid", ["plastic", "lid"]),
        ("杯子 不要塑料的", "不要塑料的", ["塑料"]),
        ("不含酒精 洗手液", "不含酒精", ["酒精"]),
    ],
)
def test_exclusions(text: str, span: str, named: list[str]) -> None:
    (found,) = find_exclusions(text)
    assert text[found.start : found.end] == span
    assert [w.text for w in found.words] == named
    assert all(text[w.start : w.end].lower() == w.text for w in found.words)


@pytest.mark.parametrize("text", ["non-slip bath mat", "non slip bath mat", "notebook", "no. 5 battery", "north face", "knot pillow"])
def test_qualities_are_not_exclusions(text: str) -> None:
    assert list(find_exclusions(text)) == []


@pytest.mark.parametrize("written", ["TN-2110", "tn2110", "tn 2110", "toner TN 2110", "ＴＮ２１１０ 硒鼓", "brother tn-2110"])
def test_model_numbers_in_every_written_form(codes: CodeIndex, written: str) -> None:
    query = parse_query(written, codes, ["USD"])
    assert [c.rows for c in query.codes] == [(0,)]
    assert query.only_codes == (not any(w in written for w in ("toner", "硒鼓", "brother")))


@pytest.mark.parametrize(("written", "row"), [("0088420588030", 1), ("88420588030", 1), ("kx2200b", 2), ("KX-2200 B", 2)])
def test_eans_and_separators(codes: CodeIndex, written: str, row: int) -> None:
    assert [c.rows for c in parse_query(written, codes, []).codes] == [(row,)]


def test_short_and_plain_numbers_are_no_codes() -> None:
    assert codes_of(Product("7", "x", mpn="Pro")) == set()
    assert codes_of(Product("1234", "x", mpn="ab1")) == set()


@given(st.text(alphabet=st.sampled_from("under $80 不要塑料的元以内 a1TN-2110 到"), max_size=40))
def test_spans_are_in_order_and_the_rest_keeps_its_place(codes: CodeIndex, text: str) -> None:
    query = parse_query(text, codes, ["USD", "CNY"])
    end = 0
    for u in query.understood:
        assert end <= u.start < u.end <= len(text)
        assert text[u.start : u.end] == u.text
        end = u.end
    for word in query.words:
        assert not any(u.start < word.end and word.start < u.end for u in query.understood)


def test_nothing_is_read_when_that_is_switched_off(codes: CodeIndex) -> None:
    query = parse_query("jacket under $80", codes, ["USD"], understand=False)
    assert query.understood == ()
    assert query.searched == "jacket under $80"


def test_ambiguous_money_is_the_shops_own_where_it_has_one(codes: CodeIndex) -> None:
    assert parse_query("tent under $80", codes, ["AUD"]).filters == ["price:<=80"]
    assert parse_query("tent under $80", codes, ["AUD", "CNY"]).filters == ["price:<=80USD"]
    assert parse_query("tent under 80 euros", codes, ["AUD"]).filters == ["price:<=80EUR"]
