"""Bounds of scores against every way of rating what nobody rated, scored by ir_measures."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.bounds import bounds
from evals.measures import score_queries, standard_measures

PRODUCTS = [f"p{i}" for i in range(14)]


@settings(max_examples=60)
@given(
    ranking=st.lists(st.sampled_from(PRODUCTS), unique=True, max_size=12),
    ratings=st.dictionaries(st.sampled_from(PRODUCTS), st.integers(0, 3), min_size=6, max_size=12),
)
def test_bounds_are_the_least_and_most_of_every_way(ranking: list[str], ratings: dict[str, int]) -> None:
    qrels = {"q": ratings, "other": {"p0": 3}}
    unrated = [p for p in ranking[:10] if p not in ratings]
    ways = [ratings | dict(zip(unrated, way, strict=True)) for way in product((0, 3), repeat=len(unrated))]
    names = [m.name for m in standard_measures()]
    scores = np.array([score_queries({"q": ranking}, {"q": way, "other": {"p0": 3}}).values[1] for way in ways])
    for column, name in enumerate(names):
        found = bounds(name, ["q"], {"q": ranking}, qrels, 2)
        if name.startswith(("R(", "Judged")):
            assert found is None
        else:
            assert found is not None
            assert found[0] == pytest.approx([scores[:, column].min(), scores[:, column].max()], abs=1e-6)


def test_what_is_all_rated_has_no_width() -> None:
    found = bounds("nDCG@10", ["q", "r"], {"q": ["a", "b"]}, {"q": {"a": 1, "b": 3}, "r": {"a": 2}}, 2)
    assert found is not None
    assert found[:, 0] == pytest.approx(found[:, 1])
    assert found[1].tolist() == [0, 0]
