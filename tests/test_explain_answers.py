"""What models answer is read the same however it is cut up, and nothing of it is read before it is complete."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.explain import Draft
from engine.explain.answers import DraftReader

NAMES = {"P1": "a", "P2": "b"}
CLAIMS = [{"id": "P1", "text": "It weighs {weight}."}, {"id": "P2", "text": 'Called "light", {not} [so]. It is 防水.'}]
DRAFTS = [Draft("a", "It weighs {weight}."), Draft("b", 'Called "light", {not} [so].'), Draft("b", "It is 防水.")]
ANSWERS = [
    json.dumps({"claims": CLAIMS}),
    json.dumps({"claims": CLAIMS}, indent=2, ensure_ascii=False),
    "```json\n" + json.dumps({"claims": CLAIMS}, indent=1) + "\n```\n",
    "\n" + "\n".join(json.dumps(claim) for claim in CLAIMS),
    "\n".join(f"{claim['id']}: {claim['text']}" for claim in CLAIMS),
]


def read(parts: list[str]) -> list[Draft]:
    reader = DraftReader(NAMES)
    return [draft for part in parts for draft in reader.feed(part)] + list(reader.finish())


@pytest.mark.parametrize("answer", ANSWERS)
@given(cuts=st.lists(st.integers(0, 400), max_size=12))
def test_however_it_is_cut_the_drafts_are_the_same(answer, cuts):
    edges = [0, *sorted(min(cut, len(answer)) for cut in cuts), len(answer)]
    assert read([answer[a:b] for a, b in pairwise(edges)]) == DRAFTS


def test_a_claim_is_read_as_soon_as_it_ends_and_half_a_one_never():
    reader = DraftReader(NAMES)
    begun = json.dumps({"claims": CLAIMS})
    first = begun.index("}") + 1  # the reference's
    assert list(reader.feed(begun[:first])) == []
    assert list(reader.feed(begun[first : begun.index("}", first) + 1])) == DRAFTS[:1]
    assert list(reader.feed(begun[begun.index("}", first) + 1 : -10])) == []
    assert list(reader.finish()) == []


@given(st.text(max_size=300), st.sampled_from(["", '{"claims": [', '{"claims": [{"id": "P1", "text": "', "```json\n"]))
def test_whatever_it_says_only_known_products_are_spoken_of(text, begun):
    for draft in read([begun, *text]):
        assert draft.product_id in ("", *NAMES.values())


@pytest.mark.parametrize("answer", ['{"claims": []}', '{"claims": {}}', '{"claims": ['])
def test_what_is_no_list_of_claims_gives_none(answer):
    assert [d for d in read([answer]) if d.product_id] == []


@pytest.mark.parametrize("before", ["Here is the JSON:\n```json\n", "<think>short</think>\n", "\ufeff"])
def test_json_behind_other_words_is_read_and_what_is_no_claim_passed_over(before):
    given = read([before, json.dumps({"claims": [3, "x", *CLAIMS]}), "\n```"])
    assert [d for d in given if d.product_id] == DRAFTS


def test_memory_is_bounded():
    reader = DraftReader(NAMES)
    list(reader.feed('{"claims": [{"id": "P1", "text": "'))
    for _ in range(100):
        assert list(reader.feed("x" * 10_000)) == []
    assert len(reader._rest) <= 65_536
