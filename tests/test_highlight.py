"""Highlights: exactly the words that share a form with the query, found without cutting every word of a text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from engine.highlight import Highlighter
from engine.language import Word, terms, words

RUN = re.compile(r"[^\W_]+(?:[-./+_'’&][^\W_]+)*")
WORDS = st.sampled_from(
    "shoe Shoes running run TN-2110 tn2110 abc-12-de abc12de jacket jackets the L'Oréal café wi-fi 15.6 2000 x a dying Lying skis ski early".split()
)
GLUE = st.sampled_from([" ", ", ", "\n", "(", "/", " - ", "：", "_", ""])
TEXTS = st.lists(st.tuples(WORDS, GLUE), max_size=12).map(lambda pairs: "".join(w + g for w, g in pairs))


def every_word(query: str, text: str) -> list[tuple[int, int]]:
    """The oracle: cut the whole text and compare each word."""
    asked = {t.text for t in terms(words(query)) if t.cover >= 0.5}
    found = []
    for run in RUN.finditer(text.lower()):
        if asked & {t.text for t in terms([Word(run.group(), 0, len(run.group()), False)])}:
            found.append(run.span())
    return found


@given(st.lists(WORDS.filter(lambda w: w not in ("the", "a")), min_size=1, max_size=3).map(" ".join), TEXTS)
def test_spans_are_those_of_a_search_through_every_word(query: str, text: str) -> None:
    spans = Highlighter(words(query)).highlight({"title": text}).get("title", {"spans": []})["spans"]
    marked = {at for start, end in spans for at in range(start, end)}
    assert marked == {at for start, end in every_word(query, text) for at in range(start, end)}


def test_a_model_number_is_marked_however_it_is_hyphenated() -> None:
    found = Highlighter(words("abc12de")).highlight({"title": "Toner ABC-12-DE black"})
    assert found["title"]["spans"] == [(6, 15)]
