"""Labelled turns: every case can be read, a reader that understands is told from one that does not, and what is wrong is named."""

import pytest

from engine.errors import EvaluationError
from engine.guide import GuideState, Turn
from engine.guide.state import Piece
from evals.turning import DEMO_TURNS, TurnCase, read_cases, score_turns
from shop import toy_engine
from test_guide import PRODUCTS


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return toy_engine(tmp_path_factory.mktemp("turning"), PRODUCTS)


def case(text: str, act: str = "need", says=(), silent=(), keeps: str = "", before=("hiking jacket",)) -> TurnCase:
    return TurnCase("en", "said", tuple(before), text, act, tuple(says), tuple(silent), keeps)


def test_our_own_cases_are_of_both_kinds_and_languages():
    cases = read_cases()
    assert {(c.language, c.kind) for c in cases} == {(z, k) for z in ("en", "zh") for k in ("said", "implied")}
    assert len({(c.before, c.text) for c in cases}) == len(cases)
    assert all(c.says or c.act != "need" for c in cases)


def test_what_holds_is_understood_and_what_does_not_is_named(engine):
    right = [
        case("under $60, red", says=("red", "jacket"), keeps="price:<=60USD"),
        case("the second one", act="pick"),
        case("which is better", act="compare"),
    ]
    wrong = [
        case("red", says=("blue",)), case("red", silent=("jacket",)), case("red", keeps="brand:=Cobalt"), case("red", act="more"),
    ]  # fmt: skip
    report = score_turns(engine, [*right, *wrong])
    (row,) = report.rows
    assert row["understood"].mean == pytest.approx(3 / 7)
    named = ("does not say blue", "still says jacket", "keep to brand:=Cobalt", "it is taken for need")
    assert all(part in w["wrong"] for part, w in zip(named, report.wrong, strict=True))
    assert report.read_by == {"rules": 7}


def test_the_last_turn_is_read_by_the_engines_reader_and_the_others_by_rules(engine):
    class Mute:
        def read(self, text, state, shown):
            assert [p.text for p in state.pieces] == ["red", "hiking jacket"]
            return Turn(GuideState(pieces=[Piece(kind="thing", text="tent")]), reader="endpoint")

    engine._reader = Mute()
    report = score_turns(engine, [case("anything", says=("tent",), before=("hiking jacket", "red"))])
    engine._reader = None
    assert report.rows[0]["understood"].mean == 1.0
    assert report.read_by == {"endpoint": 1}


@pytest.mark.parametrize("more", [None, "en\tsaid\n", "en\tsaid\t\tx\tneed\t(\t\t\n"])
def test_a_table_that_is_none_is_refused(tmp_path, more):
    path = tmp_path / "turns.tsv"
    path.write_text("a\tb\n" if more is None else DEMO_TURNS.read_text("utf-8") + more, "utf-8")
    with pytest.raises(EvaluationError):
        read_cases(path)
