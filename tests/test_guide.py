"""The guide as a shopper meets it: it narrows, asks, compares, lets go, switches language, and never asks twice."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.errors import FilterError
from engine.guide import Choice, GuideReply, GuideRequest, GuideState
from engine.guide.questions import choose_question
from engine.guide.state import Piece
from engine.schema import Facet, FacetCount, Money, Product, Quantity, SearchRequest
from shop import toy_engine

SHADES = ("red", "blue", "black")
PRODUCTS = [
    *(
        Product(
            f"J{i}",
            f"{brand} {quality} hiking jacket {SHADES[i % 3]}",
            description=f"A {quality} jacket for hiking in the rain." if quality == "waterproof" else "A jacket for hiking.",
            brand=brand,
            category=("Outdoor", "Jackets"),
            price=Money(4000 + 1500 * i, "USD"),
            attributes={
                "color": (SHADES[i % 3],),
                "waterproof": (quality == "waterproof",),
                "weight": (Quantity(0.3 + 0.05 * i, "kg"),),
            },
        )
        for i, (brand, quality) in enumerate(
            (b, q) for b in ("Alpkit", "Borealis", "Cobalt") for q in ("waterproof", "insulated", "waterproof")
        )
    ),
    Product("T1", "Alpkit two-person tent", brand="Alpkit", category=("Outdoor", "Tents"), price=Money(9900, "USD")),
    Product("T2", "Borealis family tent", brand="Borealis", category=("Outdoor", "Tents"), price=Money(19900, "USD")),
    Product("Z1", "岭行 防水登山外套 黑色", brand="岭行", category=("户外", "外套"), price=Money(39900, "CNY"), attributes={"color": ("黑色",)}),
    Product("Z2", "岭行 保温杯 500毫升", brand="岭行", category=("厨房", "水杯"), price=Money(8900, "CNY")),
    Product("Z3", "暖泉 保温杯 不锈钢", brand="暖泉", category=("厨房", "水杯"), price=Money(5900, "CNY")),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return toy_engine(tmp_path_factory.mktemp("guide"), PRODUCTS)


class Talk:
    """A conversation: each turn goes on from the last reply's state, through JSON as a client would send it."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.state = engine, GuideState()
        self.reply: GuideReply | None = None

    def say(self, text: str = "", choice: Choice | None = None) -> GuideReply:
        state = GuideState.model_validate_json(self.state.model_dump_json())
        self.reply = self.engine.guide(GuideRequest(text=text, choice=choice, state=state))
        self.state = self.reply.state
        return self.reply

    @property
    def ids(self) -> list[str]:
        return [hit.document["id"] for hit in self.reply.hits]


@pytest.fixture
def talk(engine: Engine) -> Talk:
    return Talk(engine)


def test_a_first_turn_finds_what_a_search_finds(talk, engine):
    reply = talk.say("waterproof hiking jacket under $90")
    found = engine.search(SearchRequest(q="waterproof hiking jacket under $90"))
    assert reply.found == found.found
    assert talk.ids == [hit.document["id"] for hit in found.hits[:3]]
    assert {c.product_id for c in reply.claims} == set(talk.ids)
    assert reply.snapshot == engine.snapshot_id
    assert [p.kind for p in talk.state.pieces] == ["quality", "thing", "limit"]


def test_nothing_said_is_answered_with_a_question(talk):
    assert talk.say("").say == ["What are you looking for?"]
    assert talk.say("你好").say == ["您好，想找什么？"]
    assert not talk.state.pieces


def test_turns_add_up_and_a_later_word_replaces_an_earlier_one(talk):
    talk.say("hiking jacket")
    reply = talk.say("in red please")
    assert [(c.what, c.piece.text) for c in reply.changes] == [("added", "red")]
    reply = talk.say("blue instead")
    assert [(c.what, c.piece.text, c.before) for c in reply.changes] == [("replaced", "blue", "red")]
    talk.say("under $100")
    reply = talk.say("under $80")
    assert [(c.what, c.before) for c in reply.changes] == [("replaced", "under $100")]
    assert "red" not in talk.state.query
    assert talk.state.query == "blue hiking jacket under $80"


def test_another_thing_begins_anew(talk):
    talk.say("waterproof hiking jacket under $90")
    reply = talk.say("actually I need a tent")
    assert set(talk.ids) == {"T1", "T2"}
    assert talk.state.query == "tent"
    assert reply.changes[0].what == "replaced"


def test_a_wish_can_be_taken_back(talk):
    talk.say("red hiking jacket under $60")
    reply = talk.say("forget the budget")
    assert [(c.what, c.piece.text) for c in reply.changes] == [("removed", "under $60")]
    talk.say("any colour")
    assert talk.state.query == "hiking jacket"
    talk.say("start over")
    assert talk.state.pieces == []


def test_cheaper_means_cheaper_than_what_was_shown(talk, engine):
    talk.say("hiking jacket")
    shown = [p.current_price.major for p in engine.known_products(talk.ids)]
    reply = talk.say("too expensive")
    prices = [p.current_price for p in engine.known_products(talk.ids)]
    limit = reply.changes[0].piece
    assert limit.field == "price"
    if reply.changes[-1].what == "relaxed":
        assert min(shown) <= min(p.major for p in prices)
    else:
        assert all(p.major < min(shown) for p in prices if p.currency == "USD")


@pytest.mark.parametrize(
    ("turns", "query"),
    [
        (("jacket", "not black", "I don't want leather"), "jacket, not black, don't want leather"),
        (("hiking jacket", "waterproof", "not waterproof"), "hiking jacket, not waterproof"),
        (("hiking jacket", "anything in blue?"), "blue hiking jacket"),
        (("hiking jacket", "any brand except Cobalt"), "hiking jacket, except Cobalt"),
        (("red hiking jacket", "remove the red"), "hiking jacket"),
        (("hiking jacket under $80", "show me some cheaper tents"), "cheaper tents"),
        (("hiking jacket", "Thanks, bye"), "hiking jacket"),
        (("hiking jacket", "I don't know"), "hiking jacket"),
        (("想买个保温杯",), "保温杯"),
        (("保温杯", "换一批"), "保温杯"),
    ],
)
def test_words_do_what_they_mean_and_no_more(talk, turns, query):
    for text in turns:
        talk.say(text)
    assert talk.state.query == query


def test_cheaper_ones_in_blue_are_both(talk):
    talk.say("hiking jacket")
    talk.say("cheaper ones in blue")
    assert [p.kind for p in talk.state.pieces] == ["quality", "thing", "limit"]
    assert "blue" in talk.state.query


def test_a_state_that_is_too_large_is_refused_and_none_is_handed_out_that_would_be():
    with pytest.raises(ValueError, match="together"):
        GuideState(pieces=[Piece(kind="limit", text="x", filter="price:<99999" + " " * 300)] * 24)
    assert GuideState(pieces=[Piece(kind="quality", text="red", filter="  ")]).query == "red"


def test_the_last_page_is_not_left(talk):
    talk.say("hiking jacket")
    talk.state = talk.state.model_copy(update={"page": 100})
    talk.say("show me more")
    assert talk.state.page == 100


def test_what_keeps_everything_out_is_let_go_and_said(talk):
    reply = talk.say("hiking jacket under $5")
    assert reply.changes[-1].what == "relaxed"
    assert reply.changes[-1].piece.text == "under $5"
    assert "under $5" in reply.say[0]
    assert reply.hits
    assert any(p.text == "under $5" for p in talk.state.pieces)  # the wish stands, the answer goes without it


def test_what_the_shop_does_not_have_is_admitted(talk):
    reply = talk.say("xylophone mallets")
    assert reply.found == 0
    assert reply.question is None
    assert "nothing" in reply.say[0]


def test_a_clicked_answer_is_kept_to_and_never_asked_again(talk, engine):
    reply = talk.say("hiking jacket")
    asked = []
    while reply.question is not None:
        assert len(reply.question.choices) > 1
        assert reply.question.field not in asked
        asked.append(reply.question.field)
        choice = reply.question.choices[0]
        reply = talk.say(choice=choice)
        exact = engine.search(SearchRequest(q=talk.state.query, filter_by=talk.state.filter_by))
        assert reply.found == exact.found
    assert asked
    assert len(asked) <= 4


def test_what_was_said_is_not_asked(talk):
    for text in ("red hiking jacket", "under $100", "by Alpkit"):
        reply = talk.say(text)
        said = {p.field for p in talk.state.pieces if p.field}
        assert reply.question is None or reply.question.field not in said


def test_no_preference_skips_the_question_and_changes_nothing(talk):
    first = talk.say("hiking jacket")
    before = talk.state.pieces
    reply = talk.say("doesn't matter")
    assert talk.state.pieces == before
    assert reply.question is None or reply.question.field != first.question.field


def test_more_shows_others_until_there_are_none(talk):
    talk.say("hiking jacket")
    seen = list(talk.ids)
    for _ in range(8):
        reply = talk.say("show me more")
        if not reply.hits:
            break
        assert not set(talk.ids) & set(seen)
        seen += talk.ids
    assert reply.say == ["That is all there is."]


def test_language_follows_the_shopper_and_can_be_asked_for(talk):
    assert "款。" in talk.say("保温杯").say[0]
    assert not any("It " in c.text or "The " in c.text for c in talk.reply.claims)
    assert "Found" in talk.say("in english please").say[0]
    assert "款。" in talk.say("不要不锈钢的").say[0]
    assert talk.ids == ["Z2"]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("compare the first and the second", 2),
        ("which one is better?", 3),
        ("哪个好", 3),
        ("这两个有什么区别", 2),
        ("what is the difference between these two", 2),
    ],
)
def test_a_comparison_is_of_what_was_shown_and_true(talk, engine, text, ids):
    talk.say("hiking jacket")
    shown = talk.ids[:ids]
    table = talk.say(text).comparison
    products = {p.id: p for p in engine.known_products(shown)}
    assert table.rows
    for row in table.rows:
        assert [cell.product_id for cell in row.cells] == shown
        assert len({cell.value for cell in row.cells}) > 1
    price = next(row for row in table.rows if row.field == "price")
    assert price.best == min(products.values(), key=lambda p: p.current_price.amount).id
    weight = next((row for row in table.rows if row.field == "weight"), None)
    assert weight is None or weight.best == min(products.values(), key=lambda p: p.attributes["weight"][0].value).id
    assert all(v.citations for v in table.verdicts)


def test_names_pick_what_is_compared(talk, engine):
    talk.say("hiking jacket")
    brands = [p.brand for p in engine.known_products(talk.ids)]
    if len(set(brands)) == 3:
        table = talk.say(f"{brands[0]} vs {brands[2]}").comparison
        assert [c.product_id for c in table.rows[0].cells] == [talk.state.shown[0], talk.state.shown[2]]


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("two-person tent or family tent, which is better?", "T1", "T2"),
        ("compare the two-person tent and the family tent", "T1", "T2"),
        ("暖泉 保温杯和岭行 保温杯哪个好", "Z3", "Z2"),
    ],
)
def test_two_that_are_named_are_compared_in_the_first_turn(talk, text, first, second):
    reply = talk.say(text)
    assert talk.ids == [first, second]
    assert reply.comparison.rows
    assert talk.state.shown == [first, second]
    assert talk.say("the second one").hits[0].document["id"] == second


@pytest.mark.parametrize(
    ("text", "place"),
    [("the second one", 1), ("tell me more about the first", 0), ("第三个怎么样", 2), ("I'll take the 2nd", 1), ("what about the last one?", 2)],
)
def test_one_that_is_pointed_at_is_spoken_of(talk, text, place):
    talk.say("hiking jacket")
    shown = list(talk.ids)
    reply = talk.say(text)
    assert talk.ids == [shown[place]]
    assert {c.product_id for c in reply.claims} == {shown[place]}
    assert reply.question is None
    assert talk.state.shown == shown
    assert talk.state.query == "hiking jacket"


@pytest.mark.parametrize(
    ("text", "filter_by"),
    [
        ("hiking jacket not less than 400 g", "weight:>=0.4kg"), ("hiking jacket no more than 400 g", "weight:<=0.4kg"),
        ("hiking jacket 不低于400克", "weight:>=0.4kg"), ("hiking jacket 不要超过400克", "weight:<=0.4kg"),
        ("hiking jacket 不小于400克", "weight:>=0.4kg"), ("hiking jacket under 99999999999 kg", "weight:<=99999999999kg"),
    ],
)  # fmt: skip
def test_a_bound_is_not_turned_round_by_its_denial(talk, text, filter_by):
    talk.say(text)
    assert talk.state.filter_by == filter_by


@pytest.mark.parametrize("text", ["the second one is too expensive", "I don't like the second one", "cheaper than the first one", "第二个不要"])
def test_what_is_said_of_a_product_is_no_pointing(talk, text):
    talk.say("hiking jacket")
    shown = list(talk.ids)
    assert len(talk.say(text).hits) != 1 or talk.ids != [shown[1]]


def test_a_place_with_a_wish_is_no_pointing(talk):
    talk.say("hiking jacket")
    talk.say("my first jacket, a blue one")
    assert "blue" in talk.state.query


def test_two_values_of_a_field_are_one_wish(talk):
    talk.say("hiking jacket")
    reply = talk.say("in blue or black")
    assert [p.text for p in talk.state.pieces] == ["blue or black", "hiking jacket"]
    assert {hit.document["attributes"]["color"][0] for hit in reply.hits} <= {"blue", "black"}


@pytest.mark.parametrize(
    ("text", "filter_by", "fits"),
    [
        ("hiking jacket lighter than 400 g", "weight:<=0.4kg", lambda kg: kg <= 0.4001),
        ("hiking jacket, 500 g or more", "weight:>=0.5kg", lambda kg: kg >= 0.4999),
        ("重量不超过450克的 hiking jacket", "weight:<=0.45kg", lambda kg: kg <= 0.4501),
    ],
)
def test_a_measure_that_is_bounded_is_kept_to(talk, text, filter_by, fits):
    reply = talk.say(text)
    assert talk.state.filter_by == filter_by
    assert reply.hits
    for product in talk.engine.known_products(talk.ids):
        assert all(fits(q.value) for q in product.attributes["weight"])


def test_a_choice_with_a_filter_that_cannot_be_read_is_refused(talk):
    talk.say("hiking jacket")
    with pytest.raises(FilterError):
        talk.say(choice=Choice(label="x", field="color", filter="color := ["))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(turns=st.lists(st.one_of(st.text(max_size=60), st.sampled_from(
    ["hiking jacket", "red", "cheaper", "any brand", "保温杯", "不要红色", "compare", "more", "under $50", "start over", "tent", "哪个好"]
)), max_size=8))  # fmt: skip
def test_no_words_break_it_and_the_state_stays_bounded(engine, turns):
    talk = Talk(engine)
    for text in turns:
        reply = talk.say(text)
        assert len(talk.state.model_dump_json()) < 20_000
        assert len(reply.hits) <= 3
        assert {c.product_id for c in reply.claims} <= set(talk.ids)


def test_the_best_question_is_the_one_that_tells_most():
    def facet(name: str, *counts: int) -> Facet:
        return Facet(field=name, counts=[FacetCount(value=f"{name}{i}", count=n, filter=f"{name}:={i}") for i, n in enumerate(counts)])

    even, uneven = facet("style", 10, 10, 10, 10), facet("pattern", 38, 1, 1)
    assert choose_question([uneven, even], [], 40, set(), "en").field == "style"
    assert choose_question([uneven, even], [], 40, {"style"}, "en") is None
    assert choose_question([even], [], 400, set(), "en") is None  # nine in ten products do not say
    prices = [Money(100 * n, "USD") for n in range(10, 100)]
    priced = choose_question([], prices, 90, set(), "zh")
    assert priced.field == "price"
    assert sum(c.count for c in priced.choices) == 90
    assert choose_question([], [Money(500, "USD")] * 9, 9, set(), "en") is None


def test_every_filter_that_capabilities_offer_finds_what_it_counts(engine):
    told = engine.capabilities()
    assert told.products == len(PRODUCTS)
    assert {"USD", "CNY"} == set(told.currencies)
    assert {"brand", "color", "price", "waterproof", "category"} <= {f.field for f in told.fields}
    for facet in told.fields:
        for value in facet.counts:
            assert engine.search(SearchRequest(filter_by=value.filter)).found == value.count
    weight = next(f for f in told.fields if f.field == "weight")
    assert (weight.stats[0].unit, weight.stats[0].count) == ("kg", 9)


def test_a_long_need_stays_a_query_that_can_be_asked():
    state = GuideState(pieces=[Piece(kind="quality", text="x" * 120)] * 24)
    assert len(state.query) == 512
