import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.language import Word, _fold_char, fold, is_stop, language_of, normalize_code, terms, words

TEXT = st.text(alphabet=st.sampled_from("aB9-./ é防水登山外套機壳，ＡＢ１ß🧥'"), max_size=40)


def forms(text: str) -> set[str]:
    return {t.text for t in terms(words(text))}


@given(TEXT)
def test_spans_point_into_the_text_as_given_and_never_overlap(text: str) -> None:
    end = 0
    for word in words(text):
        assert end <= word.start < word.end <= len(text)
        assert fold(text[word.start : word.end])[0].replace(" ", "").find(word.text[0]) >= 0
        end = word.end


@given(st.one_of(TEXT, st.text(st.sampled_from("aΣİ½™…″ſK[]^-\\éﬀ壳"), max_size=20), st.text(max_size=40)))
def test_folding_is_character_by_character(text: str) -> None:
    folded, places = fold(text)
    forms = [_fold_char(char) for char in text]
    assert folded == "".join(forms)
    assert list(places) == [i for i, form in enumerate(forms) for _ in form] + [len(text)]


@given(TEXT)
def test_folding_twice_changes_nothing(text: str) -> None:
    once = fold(text)[0]
    assert fold(once)[0] == once
    assert len(fold(text)[1]) == len(once) + 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("jackets", "Jacket"), ("TN-2110", "tn2110"), ("手機殼", "手机壳"), ("ＡＢＣ１２", "abc12"), ("hiking", "hike")],
)
def test_two_spellings_of_one_thing_share_a_form(one: str, other: str) -> None:
    assert forms(one) & forms(other)


def test_a_compound_is_found_whole_and_by_its_parts() -> None:
    assert {"tn2110", "tn", "2110"} <= forms("TN-2110")
    assert {"500ml", "500", "ml"} <= forms("500ml")
    assert forms("15.6") == {"15.6"}


def test_neighbouring_characters_meet_whatever_the_cut() -> None:
    assert forms("防水登山外套") & forms("水登")


@pytest.mark.parametrize(("text", "language"), [("jacket", "en"), ("防水外套", "zh"), ("iphone 手机壳", "zh"), ("42", "")])
def test_language(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize("written", ["TN-2110", "tn 2110", "ＴＮ２１１０", "Tn/2110"])
def test_codes_are_one_in_every_written_form(written: str) -> None:
    assert normalize_code(written) == "tn2110"


def test_stop_words_carry_no_need() -> None:
    assert is_stop(Word("the", 0, 3, False))
    assert not is_stop(Word("jacket", 0, 6, False))
    assert is_stop(words("推荐")[0])
