from itertools import pairwise
from pathlib import Path

import ir_measures
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import EvaluationError
from engine.schema import Applied, Hit, Scores, SearchRequest, SearchResponse
from evals.measures import score_queries
from evals.run import Run, make_run, read_run, write_run

WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=8)
RUNS = st.dictionaries(WORDS, st.lists(WORDS, unique=True, min_size=1, max_size=12).map(tuple), min_size=1, max_size=4)


class Shelf:
    """A searcher that has one fixed ranking a query, and remembers what it was asked."""

    def __init__(self, rankings: dict[str, list[str]]) -> None:
        self.rankings = rankings
        self.asked: list[SearchRequest] = []

    def search(self, request: SearchRequest) -> SearchResponse:
        self.asked.append(request)
        ranking = self.rankings.get(request.q, [])
        start = (request.page - 1) * request.per_page
        hits = [
            Hit(document={"id": product, "title": product}, scores=Scores(fused=0.5, lexical=0.5))
            for product in ranking[start : start + request.per_page]
        ]
        return SearchResponse(
            query_id="q", snapshot="s", model="m", found=len(ranking), found_relation="eq", page=request.page,
            per_page=request.per_page, hits=hits, facet_counts=[], search_time_ms=0.1,
            applied=Applied(q=request.q, language="en", alpha=0.7),
        )  # fmt: skip


@pytest.mark.parametrize("depth", [1, 7, 100, 250, 300, 1000])
@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 250, 300])
def test_a_run_is_the_first_products_in_the_searchers_order(depth: int, size: int) -> None:
    ranking = [f"p{(number * 37) % 301}" for number in range(size)]
    shelf = Shelf({"lamp": ranking})
    run = make_run(shelf, {"q1": "lamp", "q2": "nothing"}, depth=depth, alpha=0.4)
    assert run.rankings == {"q1": tuple(ranking[:depth]), "q2": ()}
    assert all(request.per_page <= 100 and request.alpha == 0.4 for request in shelf.asked)


def test_equal_scores_keep_the_searchers_order_through_a_file(tmp_path: Path) -> None:
    """The shelf gives every hit the same score; ids run against the order."""
    ranking = [f"p{number:03d}" for number in range(100, 0, -1)]
    path = tmp_path / "run.txt"
    write_run(make_run(Shelf({"lamp": ranking}), {"q1": "lamp"}), path, "ours")
    scores = [float(line.split()[4]) for line in path.read_text().splitlines()]
    assert all(a > b for a, b in pairwise(scores))
    assert read_run(path) == Run({"q1": tuple(ranking)}, "ours")


def test_overlapping_pages_and_unaskable_queries_are_refused() -> None:
    with pytest.raises(EvaluationError, match="'q1' returned product 'a' twice"):
        make_run(Shelf({"lamp": ["a", "b", "a"]}), {"q1": "lamp"})
    with pytest.raises(EvaluationError, match=r"'q1' cannot be searched.*512"):
        make_run(Shelf({}), {"q1": "x" * 600})
    with pytest.raises(EvaluationError, match="depth 0"):
        make_run(Shelf({}), {"q1": "x"}, depth=0)


@given(RUNS, WORDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_run_survives_its_file(tmp_path: Path, rankings: dict[str, tuple[str, ...]], tag: str) -> None:
    path = tmp_path / "run.txt"
    write_run(Run(rankings, tag), path)
    assert read_run(path) == Run(rankings, tag)


def test_other_tools_read_our_runs(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    rankings = {"q1": ("b", "a", "z"), "q2": ("z", "b"), "q3": ()}
    qrels = {"q1": {"a": 3, "b": 1}, "q2": {"b": 3}, "q3": {"a": 2}}
    write_run(Run(rankings), path)
    measures = [ir_measures.parse_measure(name) for name in ("nDCG@10", "RR(rel=2)@10")]
    theirs = ir_measures.calc_aggregate(measures, qrels, ir_measures.read_trec_run(str(path)))
    ours = score_queries(rankings, qrels).values.mean(axis=0)
    assert [theirs[measure] for measure in measures] == pytest.approx(ours[:2].tolist())


def test_a_foreign_run_is_ordered_by_score_then_id_whatever_its_ranks(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    path.write_text(
        "q2\tQ0\tx\t9\t-1e-3\tbm25\n"
        "q1 0 b 1 12.5 bm25\r\n"
        "q1 0 c 2 1.25e1 bm25\n\n"
        "q2 Q0 y 1 -inf bm25\n"
        "q1 0 a 7 12.5 bm25\n"
        "q1 0 d 3 13 bm25\n"
    )
    assert read_run(path) == Run({"q1": ("d", "a", "b", "c"), "q2": ("x", "y")}, "bm25")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("q1 Q0 a 1 2.0 t\nq1 Q0 b 2 1.0\n", 2, "6 columns.*found 5"),
        ("q1 Q0 a b 1 2.0 t\n", 1, "found 7"),
        ("q1 Q0 a 1 2.0 t\n\nq1 Q0 b 2 high t\n", 3, "'high' is not a number"),
        ("q1 Q0 a 1 nan t\n", 1, "'nan' is not a number"),
        ("q1 Q0 a 1 2.0 t\nq2 Q0 a 1 2.0 t\nq1 Q0 a 2 1.0 t\n", 3, "'a' was already returned.*line 1"),
    ],
)
def test_malformed_runs_name_their_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "run.txt"
    path.write_text(text)
    with pytest.raises(EvaluationError, match=rf"run\.txt, line {line}: .*{says}"):
        read_run(path)


def test_what_a_run_file_cannot_hold_is_refused_before_writing(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    with pytest.raises(EvaluationError, match="product id 'a b'"):
        write_run(Run({"q1": ("a b",)}), path)
    with pytest.raises(EvaluationError, match="run tag 'my run'"):
        write_run(Run({"q1": ("a",)}), path, "my run")
    assert not path.exists()
    with pytest.raises(EvaluationError, match="cannot be written"):
        write_run(Run({"q1": ("a",)}), tmp_path / "no" / "run.txt")
    path.write_text("\n")
    with pytest.raises(EvaluationError, match="holds no result"):
        read_run(path)
