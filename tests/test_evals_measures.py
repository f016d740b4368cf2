import math
from collections.abc import Mapping, Sequence

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EvaluationError
from evals.measures import condense, score_queries, standard_measures

PRODUCTS = [f"p{number}" for number in range(14)]
QRELS = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3"]),
    st.dictionaries(st.sampled_from(PRODUCTS), st.integers(-1, 3), min_size=1),
    min_size=1,
).filter(lambda qrels: any(rating >= 2 for ratings in qrels.values() for rating in ratings.values()))
RUNS = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q4"]), st.lists(st.sampled_from(PRODUCTS), unique=True).map(tuple)
)


def naive(ranking: Sequence[str], ratings: Mapping[str, int], min_rel: int) -> list[float]:
    """The five measures written out by hand, from their definitions."""
    dcg = 0.0
    for position, product in enumerate(ranking[:10]):
        dcg += max(ratings.get(product, 0), 0) / math.log2(position + 2)
    ideal = 0.0
    for position, rating in enumerate(sorted(ratings.values(), reverse=True)[:10]):
        ideal += max(rating, 0) / math.log2(position + 2)
    reciprocal = 0.0
    for position, product in enumerate(ranking[:10]):
        if ratings.get(product, 0) >= min_rel:
            reciprocal = 1 / (position + 1)
            break
    relevant = {product for product, rating in ratings.items() if rating >= min_rel}
    precision = len(relevant & set(ranking[:10])) / 10
    recall = len(relevant & set(ranking[:100])) / len(relevant) if relevant else 0.0
    top = ranking[:10]
    judged = sum(product in ratings for product in top) / len(top) if top else 0.0
    return [dcg / ideal if ideal else 0.0, reciprocal, precision, recall, judged]


@given(RUNS, QRELS, st.sampled_from([1, 2]), st.booleans())
def test_scores_equal_a_hand_written_implementation(
    run: dict[str, tuple[str, ...]], qrels: dict[str, dict[str, int]], min_rel: int, condensed: bool
) -> None:
    scores = score_queries(run, qrels, min_rel, condensed)
    assert scores.qids == tuple(sorted(qrels))
    for qid, values, possible, answered in zip(
        scores.qids, scores.values, scores.possible, scores.answered, strict=True
    ):
        ranking = run.get(qid, ())
        assert answered == bool(ranking)
        if condensed:
            ranking = tuple(product for product in ranking if product in qrels[qid])
        assert values.tolist() == pytest.approx(naive(ranking, qrels[qid], min_rel), abs=1e-6)
        best = max(qrels[qid].values())
        assert possible.tolist() == [best >= 1, best >= min_rel, best >= min_rel, best >= min_rel, True]


def test_cutoffs_count_beyond_ten_and_a_hundred() -> None:
    ranking = tuple(f"x{number}" for number in range(200))
    ratings = {"x9": 3, "x10": 3, "x99": 3, "x100": 3}
    scores = score_queries({"q": ranking}, {"q": ratings})
    assert scores.values[0].tolist() == pytest.approx(naive(ranking, ratings, 2))
    assert scores.column("R(rel=2)@100")[0] == 3 / 4


@given(RUNS, QRELS)
def test_dropping_a_query_gains_nothing(run: dict[str, tuple[str, ...]], qrels: dict[str, dict[str, int]]) -> None:
    full = score_queries(run, qrels)
    for qid in run:
        less = score_queries({other: ranking for other, ranking in run.items() if other != qid}, qrels)
        assert less.qids == full.qids
        assert (less.values <= full.values).all()
        assert (less.values.mean(axis=0) <= full.values.mean(axis=0) + 1e-12).all()
        if qid in qrels:
            assert not less.values[less.qids.index(qid)].any()


def test_the_ranking_order_decides_and_not_the_ids() -> None:
    """trec_eval breaks ties by id, backwards; long rankings must not tie after rounding either."""
    filler = tuple(f"z{number:06d}" for number in range(50_000))
    qrels = {"q": {"a": 3}}
    assert score_queries({"q": ("a", *filler)}, qrels).values[0, 0] == 1
    assert score_queries({"q": (*filler[:1], "a", *filler[1:])}, qrels).values[0, 1] == 0.5


def test_printed_names_parse_back() -> None:
    for min_rel in (1, 2, 3):
        for measure in standard_measures(min_rel):
            assert str(ir_measures.parse_measure(measure.name)) == measure.name


def test_thresholds_that_make_no_sense_are_sentences() -> None:
    with pytest.raises(EvaluationError, match="rating 0"):
        standard_measures(0)
    with pytest.raises(EvaluationError, match=r"No judgement reaches rating 2.*the highest is 1"):
        score_queries({}, {"q": {"a": 1}})
    with pytest.raises(EvaluationError, match="no judgement"):
        score_queries({}, {})


def test_condense_keeps_order() -> None:
    assert condense(("a", "b", "c", "d"), {"d": 0, "b": 3}) == ("b", "d")
