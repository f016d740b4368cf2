import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from engine.errors import EvaluationError
from evals.evalsets import MACHINE_NOTE, EvalSet, load_evalset
from evals.evaluate import Report, evaluate, render, write_per_query
from evals.run import Run

ICECAT = Path(__file__).parents[2] / "shared" / "data" / "icecat"
EVALSET = EvalSet(
    "shop",
    {"q1": 'lamp 12" [red]', "q2": "tent", "q3": "the boys", "q4": "never judged", "q5": "cup"},
    {
        "completed": {"q1": {"a": 3, "x": 3}, "q2": {"b": 2}, "q3": {"a": 0}, "q5": {"c": 1}},
        "human": {"q1": {"a": 3}, "q2": {"b": 2}, "q3": {"a": 0}, "q5": {"c": 1}},
    },
)
RUN = Run({"q1": ("x", "a"), "q3": ("a",), "q5": ("c",), "foreign": ("a",)}, "mine")


def report(**arguments: object) -> Report:
    return evaluate(RUN, EVALSET, resamples=200, **arguments)  # type: ignore[arg-type]


def text(result: Report) -> str:
    console = Console(file=io.StringIO(), width=160)
    render(result, console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_means_count_every_judged_query_and_say_which_could_score() -> None:
    view = report().view()
    assert view.view.name == "completed"
    ndcg, precision = view.result("nDCG@10"), view.result("P(rel=2)@10")
    assert ndcg.all.n == 4
    assert ndcg.all.mean == pytest.approx((1 + 0 + 0 + 1) / 4)
    assert ndcg.with_positives is not None
    assert ndcg.with_positives.n == 3
    assert ndcg.with_positives.mean == pytest.approx(2 / 3)
    assert precision.all.mean == pytest.approx((0.2 + 0 + 0 + 0) / 4)
    assert precision.with_positives is not None
    assert precision.with_positives.n == 2
    assert ndcg.all.low <= ndcg.all.mean <= ndcg.all.high


def test_nothing_is_dropped_in_silence() -> None:
    view = report().view()
    assert view.unanswered == ("q2",)
    assert view.unjudged == ("foreign", "q4")
    shown = text(report())
    for piece in (
        "1 queries returned nothing and score 0: q2.",
        "2 queries have no judgement and are in no mean: foreign, q4.",
        "1 of 4 queries have no product rated 1 or more and score 0.",
        "2 of 4 queries have no product rated 2 or more and score 0.",
        f"completed ({MACHINE_NOTE})",
        "linear gains",
        "rated 2 or more",
        "Judged@10",
    ):
        assert piece in shown


def test_tables_fit_a_terminal_of_80_columns() -> None:
    console = Console(file=io.StringIO(), width=80)
    render(report(), console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "…" not in shown
    assert shown.count("RR(rel=2)@10") == 4  # a row in each of three tables, and one line of what is open


def test_condensing_takes_out_only_unrated_products() -> None:
    views = report()
    assert views.view("human").result("RR(rel=2)@10").all.mean == pytest.approx((0.5 + 0 + 0 + 0) / 4)
    assert views.view("human-condensed").result("RR(rel=2)@10").all.mean == pytest.approx((1 + 0 + 0 + 0) / 4)
    assert views.view("human").result("Judged@10").all.mean == pytest.approx((0.5 + 0 + 1 + 1) / 4)


def test_plain_values_say_what_the_table_says() -> None:
    values = json.loads(json.dumps(report(views=["human"]).to_dict(), allow_nan=False))
    assert values["run"] == "mine"
    assert values["min_rel"] == 2
    (view,) = values["views"]
    assert (view["view"], view["queries"], view["judgements"]) == ("human", 4, 4)
    assert view["unanswered"] == ["q2"]
    ndcg = next(row for row in view["measures"] if row["measure"] == "nDCG@10")
    assert ndcg["all"]["n"] == 4
    assert ndcg["with_positives"]["n"] == 3


def test_the_threshold_is_a_parameter_and_is_named() -> None:
    result = report(min_rel=1)
    assert result.view().result("P@10").with_positives is not None
    assert result.view().result("RR@10").all.mean == pytest.approx((1 + 0 + 0 + 1) / 4)
    assert "rated 1 or more" in text(result)


def test_the_per_query_file_averages_to_the_report(tmp_path: Path) -> None:
    path = tmp_path / "per_query.tsv"
    result = report()
    write_per_query(result, path)
    header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    assert header[:4] == ["qid", "query", "view", "nDCG@10"]
    assert "Judged@10" in header
    assert header[-2:] == ["returned", "relevant"]
    assert {len(row) for row in rows} == {len(header)}
    for view in result.views:
        mine = [row for row in rows if row[2] == view.view.name]
        assert [row[0] for row in mine] == list(view.scores.qids)
        for row in view.results:
            column = [float(line[header.index(row.measure)]) for line in mine]
            assert sum(column) / len(column) == pytest.approx(row.all.mean, abs=1e-4)
    assert rows[0][1] == 'lamp 12" [red]'
    assert rows[0][-2:] == ["2", "2"]
    with pytest.raises(EvaluationError, match="cannot be written"):
        write_per_query(result, tmp_path / "no" / "file.tsv")


def test_a_run_that_answers_nothing_scores_zero_everywhere() -> None:
    result = evaluate(Run({}), EVALSET, resamples=50)
    assert [row.all.mean for view in result.views for row in view.results] == [0.0] * 15
    assert result.view().unanswered == ("q1", "q2", "q3", "q5")


def test_unknown_names_are_sentences() -> None:
    with pytest.raises(EvaluationError, match="no view 'other'"):
        report(views=["other"])
    with pytest.raises(EvaluationError, match=r"no view 'human'.*completed"):
        report(views=["completed"]).view("human")
    with pytest.raises(EvaluationError, match="no measure 'MAP'"):
        report().view().result("MAP")


@pytest.mark.icecat
def test_the_ideal_order_of_the_icecat_judgements_reaches_its_known_ceiling() -> None:
    """Four of the 67 queries have no relevant product, so nothing can score above 63/67 (0.940)."""
    if not ICECAT.is_dir():
        pytest.skip(f"the Icecat development data is not at {ICECAT}")
    evalset = load_evalset(ICECAT)
    ideal = {
        qid: tuple(sorted(ratings, key=lambda p, r=ratings: (-r[p], p)))
        for qid, ratings in evalset.view().qrels.items()
    }
    view = evaluate(Run(ideal), evalset, views=["completed"]).view()
    ndcg = view.result("nDCG@10")
    assert ndcg.all.mean == pytest.approx(63 / 67)
    assert ndcg.with_positives is not None
    assert ndcg.with_positives.mean == pytest.approx(1)
    assert ndcg.with_positives.n == 63
    assert view.result("Judged@10").all.mean == 1


def test_what_nobody_rated_leaves_the_mean_open() -> None:
    result = report(views=["human"]).view()
    ndcg = result.result("nDCG@10")
    # q1 returned x, which only the other view rates, above a: 3 / 1.63 of 1 if x is worth nothing, all of it if it is
    assert ndcg.open is not None
    assert ndcg.open[0] == pytest.approx(ndcg.all.mean)
    assert ndcg.open[1] == pytest.approx((1 + 0 + 0 + 1) / 4)
    assert f"nDCG@10 {ndcg.open[0]:.3f} to {ndcg.open[1]:.3f}" in " ".join(text(report(views=["human"])).split())
    assert report(views=["human-condensed"]).view().result("nDCG@10").open is None


def test_the_task_is_said() -> None:
    assert report().to_dict()["task"] == "retrieval"
    ordered = report(task="ranking")
    assert "Only the judged products" in text(ordered)
