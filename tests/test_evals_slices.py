"""Kinds of queries are told from their text and judgements."""

from pathlib import Path

import pytest

from engine.errors import EvaluationError
from engine.lexicon import Lexicon
from evals.evalsets import EvalSet, load_evalset
from evals.evaluate import evaluate
from evals.run import Run
from evals.slices import kinds_of, score_slices, with_misspelt
from shop import random_products, toy_engine

LEXICON = Lexicon.own()


@pytest.mark.parametrize(
    ("text", "ratings", "kinds"),
    [
        ("laptop", {"a": 3}, {"English", "one word", "device"}),
        ("toner for brother tn-2110", {"a": 1}, {"English", "short", "code", "accessory"}),
        ("饭盒 不要塑料的 200元以内", {"a": 2}, {"Chinese", "negation", "price"}),
        ("the boys", {"a": 0}, {"English", "one word", "nothing suitable"}),
        ("3926672100442", {"a": 3}, {"English", "one word", "code"}),
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
    named = {r.kind: r.estimate.n for r in score_slices(report.view(), queries, qrels, {"1": ["head"], "2": ["tail", "Chinese"]})}
    assert (named["head"], named["tail"], named["Chinese"]) == (1, 1, 1)


def test_a_set_may_name_its_kinds(tmp_path: Path) -> None:
    (tmp_path / "queries.tsv").write_text("1\ttent\n2\tlamp\n")
    (tmp_path / "qrels.txt").write_text("1 0 a 3\n")
    (tmp_path / "slices.tsv").write_text("1\thead\n1\tspring\n2\ttail\n")
    assert load_evalset(tmp_path).kinds == {"1": ["head", "spring"], "2": ["tail"]}
    (tmp_path / "slices.tsv").write_text("9\thead\n")
    with pytest.raises(EvaluationError, match="line 1"):
        load_evalset(tmp_path)


def test_queries_with_a_slip_are_a_kind(tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, random_products(60))
    evalset = EvalSet("s", {"1": "waterproof jacket", "2": "waterprof jacket"}, {}, {"1": ["head"]})
    assert with_misspelt(engine, evalset) == {"1": ["head"], "2": ["typo"]}
