"""A large model reads turns of the guide: what it proposes is taken where the catalogue and the shopper's words bear it out."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.breaker import Breaker
from engine.engine import Engine
from engine.errors import GeneratorError
from engine.guide import GuideReply, GuideRequest, GuideState, ProposedTurns
from engine.guide.prompt import STEPS
from engine.schema import SearchRequest
from engine.settings import load_settings
from scripted_endpoint import Handler, serving
from shop import toy_engine
from test_guide import PRODUCTS


def step(do: str, **more: object) -> dict[str, object]:
    empty = {"kind": "", "text": "", "field": "", "values": [], "least": None, "most": None, "unit": "", "said": "", "items": []}
    return {"do": do, **empty, **more}


class Scripted:
    """A model that answers with the steps it is given."""

    def __init__(self) -> None:
        self.answer = ""
        self.prompts: list[list[dict[str, str]]] = []
        self.down = False

    def texts(self, prompt, schema=None):
        self.prompts.append(prompt)
        assert schema is STEPS
        if self.down:
            raise GeneratorError("It is down.")
        yield from self.answer

    def proposes(self, *steps: dict[str, object]) -> None:
        self.answer = json.dumps({"steps": steps})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return toy_engine(tmp_path_factory.mktemp("proposals"), PRODUCTS)


@pytest.fixture
def model() -> Scripted:
    return Scripted()


class Talk:
    def __init__(self, engine: Engine, model: Scripted, breaker: Breaker | None = None) -> None:
        self.engine, self.model, self.state = engine, model, GuideState()
        engine._reader = ProposedTurns(model, engine, breaker)

    def say(self, text: str, *steps: dict[str, object]) -> GuideReply:
        self.model.proposes(*steps)
        reply = self.engine.guide(GuideRequest(text=text, state=self.state))
        self.state = reply.state
        return reply

    @property
    def pieces(self) -> list[tuple[str, str, str]]:
        return [(p.kind, p.text, p.filter) for p in self.state.pieces]


@pytest.fixture
def talk(engine: Engine, model: Scripted) -> Talk:
    return Talk(engine, model)


def test_what_it_makes_of_words_that_no_rule_reads_is_searched_for(talk):
    reply = talk.say(
        "Something for my walks up north, it pours there all the time",
        step("want", kind="thing", text="hiking jacket", said="Something for my walks up north"),
        step("want", kind="quality", text="waterproof", said="it pours there all the time"),
    )
    assert reply.read_by == "endpoint"
    assert talk.state.query == "waterproof hiking jacket"
    assert [c.what for c in reply.changes] == ["added", "added"]
    assert {hit.document["id"][0] for hit in reply.hits} == {"J"}


def test_limits_choices_and_exclusions_become_filters_of_the_catalogue(talk, engine):
    talk.say("a hiking jacket", step("want", kind="thing", text="hiking jacket", said="a hiking jacket"))
    talk.say(
        "sixty to ninety dollars, half a kilo at the most i.e. 500 grams, only alpkit or cobalt, nothing red",
        step("limit", field="price", least=60, most=90, unit="USD", said="sixty to ninety dollars"),
        step("limit", field="weight", most=500, unit="g", said="500 grams"),
        step("choose", field="brand", values=["alpkit", "Cobalt"], said="only alpkit or cobalt"),
        step("exclude", field="color", values=["red"], said="nothing red"),
    )
    assert {f for _, _, f in talk.pieces if f} == {
        "price:>=60USD && price:<=90USD", "weight:<=0.5kg", "brand:=[Alpkit,Cobalt]", "color:!=red",
    }  # fmt: skip
    fits = {
        p.id
        for p in PRODUCTS
        if p.brand in ("Alpkit", "Cobalt") and p.current_price and 60 <= p.current_price.major <= 90
        and p.attributes.get("color") != ("red",) and any(q.value <= 0.5 for q in p.attributes.get("weight", ()))
    }  # fmt: skip
    found = engine.search(SearchRequest(q=talk.state.query, filter_by=talk.state.filter_by))
    assert {hit.document["id"] for hit in found.hits} == fits
    assert fits


TURN = "red jacket, 3 jackets, dreamy"
AS_SAID = [
    step("limit", field="price", most=5, unit="USD", said="red jacket"),  # a number nobody said
    step("limit", field="depth", most=3, unit="m", said="3 jackets"),  # a field the shop has not
    step("limit", field="weight", most=3, unit="USD", said="3 jackets"),  # a unit the field has not
    step("choose", field="brand", values=["Fellmark"], said="dreamy"),  # a brand the shop has not
    step("choose", field="color", values=["red", "mauve"], said="red jacket"),
]
UNFOUNDED = [
    step("limit", field="price", most=100, unit="USD", said="at most 100 dollars"),  # words nobody said
    step("choose", field="color", values=["red"], said=""),
    step("want", kind="quality", text="jacket under $5", said="jacket"),  # a limit in disguise
    step("want", kind="quality", text="without hood", said="jacket"),
    step("forget", items=[1], said="never said"), step("forget", items=[99, -1], said="red jacket"),
    step("begin", said="never said"), step("compare", items=[7, 8]), step("pick", items=[0]), step("dance"),
    step("exclude", said="red jacket", text=""), {"do": "want"}, {}, 3, None, "want",
]  # fmt: skip


@pytest.mark.parametrize("given", AS_SAID)
def test_of_a_limit_that_nothing_bears_out_only_the_shoppers_words_are_taken(talk, given):
    talk.say(TURN, given)
    assert talk.state.filter_by == ""
    assert talk.state.query == given["said"]


@pytest.mark.parametrize("unfounded", UNFOUNDED)
def test_what_was_not_said_or_cannot_be_changes_nothing_and_the_rules_read(talk, engine, unfounded):
    reply = talk.say(TURN, unfounded)
    assert reply.read_by == "rules"
    engine._reader = None
    by_rules = engine.guide(GuideRequest(text=TURN))
    assert talk.state.pieces == by_rules.state.pieces


STEERED = [
    step("choose", field="brand", values=["Cobalt"], said="jacket"),  # a value the words do not name
    step("exclude", field="brand", values=["Cobalt"], text="Cobalt", said="jacket"),
    step("want", kind="quality", text="Cobalt premium jacket", said="jacket"),
    step("choose", field="color", values=["red"], said="e"),  # half a word
    step("limit", field="price", most=2, unit="USD", said="2"),  # people, not money
    step("limit", field="price", most=125, unit="USD", said="under 100 dollars"),  # another number than was said
    step("limit", field="price", least=100, unit="USD", said="under 100 dollars"),  # the other way round
    step("limit", field="weight", most=5000, unit="kg", said="5 kg"),
    step("limit", field="price", most=-100, unit="USD", said="under 100 dollars"),
]


@pytest.mark.parametrize("steered", STEERED)
def test_no_filter_comes_of_what_the_words_do_not_say(talk, steered):
    talk.say("hiking jacket for 2 under 100 dollars and 5 kg please", steered)
    assert not any(p.filter for p in talk.state.pieces)
    assert "cobalt" not in talk.state.query.lower()


def test_what_is_said_beside_a_comparison_or_a_new_beginning_is_kept(talk):
    jacket = step("want", kind="thing", text="hiking jacket", said="hiking jacket")
    talk.say("hiking jacket", jacket)
    compared = talk.say("black ones, and compare the first two", step("want", text="black", said="black ones"), step("compare", items=[1, 2]))
    assert compared.comparison is not None
    assert talk.state.query == "black hiking jacket"
    talk.say("tents instead", step("want", kind="thing", text="tent", said="tents"), step("begin", said="tents instead"))
    assert talk.state.query == "tent"
    talk.say("thanks", step("begin", said="thanks"))
    assert talk.state.query == "tent"


def test_a_limit_it_cannot_place_is_read_as_the_shopper_said_it(talk):
    talk.say("under $90", step("limit", field="price", most=90, unit="EUR", said="under $90"))
    assert talk.pieces == [("limit", "under $90", "")]


def test_it_takes_back_begins_anew_compares_and_picks(talk):
    jacket = step("want", kind="thing", text="hiking jacket", said="hiking jacket")
    talk.say("red hiking jacket", jacket, step("want", kind="quality", text="red", said="red"))
    reply = talk.say("the colour is not so important after all", step("forget", items=[1], said="the colour is not so important"))
    assert [(c.what, c.piece.text) for c in reply.changes] == [("removed", "red")]
    shown = [hit.document["id"] for hit in reply.hits]
    compared = talk.say("hm, hard to tell them apart", step("compare", items=[1, 3]))
    assert [hit.document["id"] for hit in compared.hits] == [shown[0], shown[2]]
    assert compared.comparison is not None
    picked = talk.say("go on about number two", step("pick", items=[2]))
    assert [hit.document["id"] for hit in picked.hits] == [shown[1]]
    assert picked.claims
    assert talk.state.shown == shown
    assert talk.say("and beyond those", step("more")).state.page == 2
    talk.say("we need a tent", step("begin", said="we need a tent"), step("want", kind="thing", text="tent", said="a tent"))
    assert talk.state.query == "tent"


@pytest.mark.parametrize("answer", ["", "no", "{", '{"steps": 3}', '{"steps": []}', "[]", '{"steps": [' * 500, "null"])
def test_an_answer_that_is_none_leaves_the_turn_to_the_rules(talk, model, answer):
    talk.say("hiking jacket")
    model.answer = answer
    model.proposes = lambda *_: None
    reply = talk.say("red hiking jacket")
    assert reply.read_by == "rules"
    assert talk.state.query == "red hiking jacket"


def test_json_in_a_fence_is_read(talk, model):
    model.answer = "```json\n" + json.dumps({"steps": [step("want", kind="thing", text="tent", said="shelter")]}) + "\n```"
    model.proposes = lambda *_: None
    assert talk.say("a shelter").read_by == "endpoint"


def test_while_it_fails_it_is_let_rest(engine, model):
    talk = Talk(engine, model, Breaker(failures=2, rest_s=60))
    model.down = True
    for _ in range(4):
        assert talk.say("hiking jacket").read_by == "rules"
    assert len(model.prompts) == 2


def test_it_is_told_what_may_be_asked_for_and_text_of_others_is_fenced(talk, model):
    talk.say("hiking jacket", step("want", kind="thing", text="hiking jacket", said="hiking jacket"))
    shown = talk.engine.known_products(talk.state.shown)
    talk.say("hm", step("more"))
    system, user = (m["content"] for m in model.prompts[-1])
    fence = user.split("\n")[1]
    assert fence in system
    assert user.count(fence) == 10
    for told in ("brand: Alpkit", "weight: 0.3 to", "kg", "USD", "CNY", "1. thing: hiking jacket"):
        assert told in user
    assert len(shown) == 3
    assert all(product.title in user for product in shown)


@settings(max_examples=30, deadline=None)
@given(
    said=st.sampled_from(["red jacket", "for 100 dollars", "two", "x"]),
    steps=st.lists(
        st.fixed_dictionaries({
            "do": st.sampled_from(["want", "limit", "choose", "exclude", "forget", "begin", "compare", "pick", "more"]),
            "kind": st.sampled_from(["thing", "quality", "for", ""]), "text": st.text(max_size=140),
            "field": st.sampled_from(["price", "weight", "brand", "color", "`", ""]) | st.text(max_size=9),
            "values": st.lists(st.sampled_from(["Alpkit", "red", "`", "a,b"]), max_size=3),
            "least": st.none() | st.floats() | st.integers(), "most": st.none() | st.sampled_from([100, 2, 1e300]),
            "unit": st.sampled_from(["USD", "kg", "g", "", "?"]), "said": st.sampled_from(["red jacket", "100", "two", "x", ""]),
            "items": st.lists(st.integers(-3, 30), max_size=3),
        }),
        max_size=14,
    ),
)  # fmt: skip
def test_whatever_it_proposes_the_state_is_one_that_the_guide_takes_back(engine, said, steps):
    talk = Talk(engine, Scripted())
    talk.say("hiking jacket", step("want", kind="thing", text="hiking jacket", said="hiking jacket"))
    reply = talk.say(said, *steps)
    again = GuideState.model_validate_json(reply.state.model_dump_json())
    assert engine.guide(GuideRequest(text="", state=again)).state.pieces == again.pieces
    assert all("100" in p.text or "2" in p.filter or not p.filter.startswith("price") for p in again.pieces)


def test_the_same_through_a_real_endpoint(tmp_path):
    answer = json.dumps({"steps": [step("want", kind="thing", text="tent", said="where to sleep")]})

    def script(handler: Handler) -> None:
        handler.head()
        for char in answer:
            handler.event(char)
        handler.raw(b"data: [DONE]\n\n")

    toy = toy_engine(tmp_path, PRODUCTS)
    with serving(script) as server:
        told = load_settings(store=toy.settings.store, guide="endpoint", generator_url=server.url, generator="template")
        engine = Engine.open(told)
        reply = engine.guide(GuideRequest(text="I don't know where to sleep"))
        assert reply.read_by == "endpoint"
        assert reply.state.query == "tent"
        assert server.bodies[0]["response_format"]["json_schema"]["schema"] == STEPS
    assert engine.guide(GuideRequest(text="a tent")).read_by == "rules"  # it is gone, and the rules read
