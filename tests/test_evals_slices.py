"""Kinds of queries are told from their text and judgements."""

import pytest

from engine.lexicon import Lexicon
from evals.evalsets import EvalSet
from evals.evaluate import evaluate
from evals.run import Run
from evals.slices import kinds_of, score_slices

LEXICON = Lexicon.own()


@pytest.mark.parametrize(
    ("text", "ratings", "kinds"),
    [
        ("laptop", {"a": 3}, {"English", "head", "device"}),
        ("toner for brother tn-2110", {"a": 1}, {"English", "short", "code", "accessory"}),
        ("饭盒 不要塑料的 200元以内", {"a": 2}, {"Chinese", "negation", "price"}),
        ("the boys", {"a": 0}, {"English", "head", "nothing suitable"}),
        ("3926672100442", {"a": 3}, {"English", "head", "code"}),
    ],
)
def test_kinds(text: str, ratings: dict[str, int], kinds: set[str]) -> None:
    assert kinds <= set(kinds_of(text, ratings, LEXICON))


def test_every_query_counts_once_in_each_of_its_kinds() -> None:
    queries = {"1": "laptop", "2": "手机壳", "3": "red shoes under $20"}
    qrels = {"1": {"a": 3}, "2": {"b": 3}, "3": {"c": 0}}
    report = evaluate(Run({"1": ("a",), "2": ("x",), "3": ("c",)}), EvalSet("s", queries, {"judged": qrels}))
    results = {r.kind: r.estimate for r in score_slices(report.view(), queries, qrels)}
    assert results["English"].n == 2
    assert (results["Chinese"].mean, results["device"].mean) == (0.0, pytest.approx(0.5))
    assert results["nothing suitable"].n == results["price"].n == 1
