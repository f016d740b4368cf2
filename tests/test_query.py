"""What is read out of a query, and from which characters."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.index.codes import CodeIndex, CodesBuilder, codes_of
from engine.index.lexical import LexicalIndex
from engine.index.lexical_builder import LexicalBuilder
from engine.index.runs import Scratch
from engine.index.snapshot import Part
from engine.index.values import ValuesBuilder, ValuesIndex
from engine.index.vocabulary import VocabularyBuilder, VocabularyIndex
from engine.lexicon import Lexicon
from engine.query import Knowledge
from engine.query.exclude import find_exclusions
from engine.query.parse import ParsedQuery, parse_query
from engine.query.price import find_prices
from engine.schema import Product
from engine.text import lexical_fields

TEXTS_WITHOUT_EXCLUSION = [
    "non-slip bath mat", "non slip bath mat", "notebook", "no. 5 battery", "north face", "knot pillow", "no-show socks",
    "no show socks", "hands-free headset", "wrinkle free shirt", "不锈钢锅", "无线耳机", "非常好看的裙子", "不粘锅", "not too big",
]  # fmt: skip


PRODUCTS = [
    Product("1", "Brother black toner", brand="Brother", mpn="TN-2110", attributes={"color": ("Black",)}),
    Product("2", "Red drive 500 GB", gtin=("0088420588030",), attributes={"color": ("Red",)}),
    Product("3", "Laser printer", brand="Inkwell", mpn="KX 2200/B", attributes={"color": ("White",)}),
    Product("4", "蓝牙耳机 黑色", brand="听澜", attributes={"color": ("黑色",)}),
    Product("5", "Waterproof red jacket", attributes={"color": ("Red",), "material": ("Nylon",)}),
    Product("6", "Red waterproof laptop bag", attributes={"color": ("Red",), "material": ("nylon",)}),
    Product("7", "Laser printer headphones laptop", brand="Inkwell"),
    Product("8", "Headphones, black", attributes={"color": ("Black",)}),
]


def knowledge(folder: Path, currencies: Sequence[str] = ("USD",)) -> Knowledge:
    lexicon = Lexicon.own()
    scratch = Scratch(folder, 1 << 20)
    lexical, codes = LexicalBuilder(scratch), CodesBuilder(scratch)
    values, vocabulary = ValuesBuilder(lexicon), VocabularyBuilder(lexicon)
    for product in PRODUCTS:
        lexical.add(lexical_fields(product))
        codes.add(product)
        values.add(product)
        vocabulary.add(product)
    for product in PRODUCTS:
        values.hear(product)
    codes.save(folder / "codes")
    lexical.save(folder / "lexical")
    values.save(folder / "values")
    vocabulary.save(folder / "vocabulary")
    parts = [Part(folder, 0, len(PRODUCTS))]
    return Knowledge(
        CodeIndex(parts),
        LexicalIndex(parts),
        ValuesIndex(parts),
        VocabularyIndex(parts),
        lexicon,
        currencies,
    )


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    return knowledge(tmp_path_factory.mktemp("known"))


@given(
    st.sampled_from(["under $80", "between 20 and 40 dollars", "两百块 以内", "$ 3 to $ 5", "300 左右", "at least 5 k usd", "3"]),
    st.lists(st.sampled_from([" ", "  ", "\t ", "\n", "\u3000", " " * 300]), min_size=8, max_size=8),
)
def test_white_space_between_words_changes_no_limit(text: str, spaces: list[str]) -> None:
    parts = text.split(" ")
    spaced = spaces[0] + "".join(part + space for part, space in zip(parts, spaces[1:], strict=False))
    expected = [(p.low, p.high, p.currency, text[p.start : p.end].split()) for p in find_prices(text)]
    assert [(p.low, p.high, p.currency, spaced[p.start : p.end].split()) for p in find_prices(spaced)] == expected


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
        ("a kettle, 30 dollars or less", "30 dollars or less", None, 30, "USD"),
        ("watch $200 and up", "$200 and up", 200, None, "USD"),
        ("around 30 euros", "around 30 euros", 24, 36, "EUR"),
        ("a lamp, 80 dollars at most", "80 dollars at most", None, 80, "USD"),
        ("up to a hundred", "up to a hundred", None, 100, ""),
        ("under forty-five dollars", "under forty-five dollars", None, 45, "USD"),
        ("between twenty and fifty dollars", "between twenty and fifty dollars", 20, 50, "USD"),
        ("around sixty euros", "around sixty euros", 48, 72, "EUR"),
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
        "10-20 pieces", "aa battery 4 pack", "不超过2公斤", "不超过500克", "至少1.5升", "不超过三百五十毫升", "功率100W以上", "under 30 minutes", "at least two pockets", "over four seasons", "someone over sixty", "women over forty", "less than twenty calories",
        "12个月以上", "4 or more people", "2 or less",
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
        ("手机 非苹果", "非苹果", ["苹果"]),
        ("sugar-free gum", "sugar-free", ["sugar"]),
        ("wheels no rims", "no rims", ["rims"]),
        ("a dress that is not made of polyester please", "not made of polyester", ["polyester"]),
        ("i don't want leather", "don't want leather", ["leather"]),
    ],
)
def test_exclusions(text: str, span: str, named: list[str]) -> None:
    (found,) = find_exclusions(text, Lexicon.own())
    assert text[found.start : found.end] == span
    assert [w.text for w in found.groups[0]] == named
    assert all(text[w.start : w.end].lower() == w.text for w in found.groups[0])


@pytest.mark.parametrize("text", TEXTS_WITHOUT_EXCLUSION)
def test_qualities_are_not_exclusions(text: str) -> None:
    assert list(find_exclusions(text, Lexicon.own())) == []


@pytest.mark.parametrize("written", ["TN-2110", "tn2110", "tn 2110", "toner TN 2110", "ＴＮ２１１０ 硒鼓", "brother tn-2110"])
def test_model_numbers_in_every_written_form(known: Knowledge, written: str) -> None:
    query = parse_query(written, known)
    assert [c.rows for c in query.codes] == [(0,)]
    assert query.only_codes == (not any(w in written for w in ("toner", "硒鼓", "brother")))


@pytest.mark.parametrize(("written", "row"), [("0088420588030", 1), ("88420588030", 1), ("kx2200b", 2), ("KX-2200 B", 2)])
def test_eans_and_separators(known: Knowledge, written: str, row: int) -> None:
    assert [c.rows for c in parse_query(written, known).codes] == [(row,)]


def test_short_and_plain_numbers_are_no_codes() -> None:
    assert codes_of(Product("7", "x", mpn="Pro")) == set()
    assert codes_of(Product("1234", "x", mpn="ab1")) == set()


@example("N0内N")
@given(st.text(alphabet=st.sampled_from("under $80 不要塑料的元以内 a1TN-2110 到"), max_size=40))
def test_spans_are_in_order_and_the_rest_keeps_its_place(known: Knowledge, text: str) -> None:
    query = parse_query(text, known)
    end = 0
    for u in query.understood:
        assert end <= u.start < u.end <= len(text)
        assert text[u.start : u.end] == u.text
        end = u.end
    for word in query.words:
        assert not any(u.start < word.end and word.start < u.end for u in query.understood if u.mode == "filter")


PIECES = [
    "不要", "不含", "非", "no ", "without ", "not ", "free ", "1", "2.5", "百", "两", "x", " inch ", "red ", "耳机", "for ", "with ",
    "的", " ", "-", "qzv", "%", '"', "'", "$", "looking for ", "size ", "pack of ", "under ", "ＴＮ２", "無線", "，", "lanya", "\u200b",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_whatever_is_typed_is_read_without_an_error(known: Knowledge, text: str) -> None:
    query = parse_query(text, known)
    for u in query.understood:
        assert 0 <= u.start < u.end <= len(text)
        assert text[u.start : u.end] == u.text
    for c in query.corrected:
        assert text[c.start : c.end] == c.text
    kept = sorted((u.start, u.end) for u in query.understood if u.mode == "filter")
    assert all(a[1] <= b[0] for a, b in pairwise(kept))


def test_nothing_is_read_when_that_is_switched_off(known: Knowledge) -> None:
    query = parse_query("jacket under $80", known, understand=False)
    assert query.understood == ()
    assert query.searched == "jacket under $80"


def test_ambiguous_money_is_the_shops_own_where_it_has_one(known: Knowledge) -> None:
    assert parse_query("tent under $80", replace(known, currencies=["AUD"])).filters == ["price:<=80"]
    assert parse_query("tent under $80", replace(known, currencies=["AUD", "CNY"])).filters == ["price:<=80USD"]
    assert parse_query("tent under 80 euros", replace(known, currencies=["AUD"])).filters == ["price:<=80EUR"]


def spans(query: ParsedQuery, kind: str) -> list[str]:
    return [u.text for u in query.understood if u.kind == kind]


def test_traits_are_learned_from_the_catalogue_in_both_languages(known: Knowledge) -> None:
    query = parse_query("red laptop bag", known)
    assert spans(query, "attribute") == ["red"]
    assert spans(query, "object") == ["laptop bag"]
    (trait,) = parse_query("黑色蓝牙耳机", known).traits[:1]
    assert trait.field == "color"
    assert set(trait.fields["color"]) == {"黑色", "Black"}
    assert {"听澜"} == set(spans(parse_query("听澜 耳机", known), "attribute"))


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ('laptop 15.6"', "39.624 cm"),
        ("笔记本 15.6寸", "39.624 cm"),
        ("drive 2TB", "2000 GB"),
        ("五升空气炸锅", "5 l"),
        ("a seventy centimeter mirror", "70 cm"),
        ("a fifty two inch shade", "132.08 cm"),
        ("one hundred watt bulb", "100 W"),
        ("500毫升杯子", "0.5 l"),
    ],
)
def test_measures_meet_in_one_unit(known: Knowledge, text: str, measure: str) -> None:
    assert [str(t.quantity) for t in parse_query(text, known).traits if t.quantity] == [measure]


@pytest.mark.parametrize(
    ("text", "thing", "target", "accessory"),
    [
        ("toner for brother tn-2110", ["toner"], ["brother tn-2110"], True),
        ("iphone 11 手机壳", ["手机壳"], [], True),
        ("佳能相机包", ["相机包"], [], True),
        ("laptop", ["laptop"], [], False),
        ("laptop bag", ["laptop bag"], [], True),
        ("headphones for men", ["headphones"], [], False),
        ("jacket with hood", ["jacket"], [], False),
    ],
)
def test_the_thing_wanted_is_told_from_what_it_goes_with(
    known: Knowledge, text: str, thing: list[str], target: list[str], accessory: bool
) -> None:
    query = parse_query(text, known)
    if thing != ["相机包"]:
        assert spans(query, "object") == thing
    assert query.head.accessory == accessory
    if target:
        assert spans(query, "for") == target


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("headphnes", {"headphnes": "headphones"}),
        ("waterprof jacket", {"waterprof": "waterproof"}),
        ("lanya erji", {"lanya erji": "蓝牙耳机"}),
        ("蓝呀耳机", {"蓝呀": "蓝牙"}),
        ("headphones", {}),
        ("tn2110", {}),
        ("xyzzyq", {}),
    ],
)
def test_only_unknown_words_are_corrected(known: Knowledge, text: str, replaced: dict[str, str]) -> None:
    query = parse_query(text, known)
    assert {c.text: c.replacement for c in query.corrected} == replaced
    assert all(text[c.start : c.end] == c.text for c in query.corrected)
    assert [w.text for w in query.words] == [w.text for w in parse_query(text, known, correct=False).words]
    assert parse_query(text, known, correct=False).corrected == ()


@pytest.mark.parametrize(("text", "cheap"), [("cheap laptop", 1), ("便宜的耳机", 1), ("高端耳机", -1), ("laptop", 0)])
def test_a_wish_about_the_price_is_no_word_to_search(known: Knowledge, text: str, cheap: int) -> None:
    query = parse_query(text, known)
    assert query.cheap == cheap
    assert query.filters == []
    assert "cheap" not in query.searched
    assert "便宜" not in query.searched


@pytest.mark.parametrize(("text", "vague"), [("a gift for dad", True), ("给妈妈的礼物", True), ("gift box", False), ("laptop", False)])
def test_a_gift_may_be_anything(known: Knowledge, text: str, vague: bool) -> None:
    assert parse_query(text, known).vague == vague


@pytest.mark.parametrize(
    ("text", "measures"),
    [("cable   3   m", ["300 cm"]), ("CABLE 3M", ["300 cm"]), ("cable 3M", []), ("PACK OF 5G", ["0.005 kg"]), ("5G phone", []), ("LAMP", [])],
)  # fmt: skip
def test_measures_in_wide_spaces_and_in_capitals(known: Knowledge, text: str, measures: list[str]) -> None:
    assert [str(t.quantity) for t in parse_query(text, known).traits if t.quantity] == measures


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("i would like a chocolate gift basket under $50", "gift basket"),
        ("i am looking for some kosher chocolate bars that are 2 pounds", "chocolate bars"),
        ("i want a pair of super soft fleece lined socks", "socks"),
        ("i need a laptop that is easy to carry for my daughter", "laptop"),
        ("camera eos 5d", "camera"),
    ],
)
def test_the_thing_of_a_sentence_is_its_whole_compound(known: Knowledge, text: str, thing: str) -> None:
    assert [u.text for u in parse_query(text, known).understood if u.kind == "object"] == [thing]


@pytest.mark.parametrize("text", ["mug without lid", "mug ithout lid", "mug withotu lid", "mug wlithout lid", "mug wothout a lid"])
def test_a_slip_in_without_still_leaves_out(known: Knowledge, text: str) -> None:
    assert [[w.text for w in group] for groups in parse_query(text, known).exclusions for group in groups[:1]] == [["lid"]]


@pytest.mark.parametrize("text", ["mug within lid", "outlet mug", "with outdoor mug"])
def test_what_is_not_without_leaves_nothing_out(known: Knowledge, text: str) -> None:
    assert parse_query(text, known).exclusions == ()
