import io
import json

import numpy as np
import pytest
from rich.console import Console

from evals.compare import Comparison, compare, render
from evals.evalsets import EvalSet
from evals.evaluate import evaluate
from evals.run import Run

QIDS = [f"q{number:02d}" for number in range(30)]
EVALSET = EvalSet(
    "shop",
    {qid: f"need {qid}" for qid in QIDS},
    {"judged": {qid: {"good": 3, "bad": 0, **{f"r{number}": 0 for number in range(9)}} for qid in QIDS}},
)
GOOD = ("good", "bad", *(f"r{number}" for number in range(8)))
POOR = ("bad", "r0", "good", *(f"r{number}" for number in range(1, 8)))
UNRATED = ("good", *(f"u{number}" for number in range(9)))


def text(comparison: Comparison) -> str:
    console = Console(file=io.StringIO(), width=160)
    render(comparison, console)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_planted_effect_is_found_and_counted() -> None:
    poor = Run(dict.fromkeys(QIDS, POOR), "old")
    better = Run(dict.fromkeys(QIDS[:20], GOOD) | dict.fromkeys(QIDS[20:], POOR), "new")
    comparison = compare(poor, better, EVALSET)
    first = comparison.measures[0]
    assert first.measure == "nDCG@10"
    assert (first.wins, first.losses, first.ties) == (20, 0, 10)
    assert first.difference.mean == pytest.approx(20 / 30 * (1 - 1 / np.log2(4)))
    assert first.difference.low > 0
    assert first.p < 0.001
    assert comparison.warnings == ()
    assert {change.qid for change in comparison.changes} <= set(QIDS[:20])
    assert "old" in text(comparison)
    assert "need q00" in text(comparison)


def test_tables_fit_a_terminal_of_80_columns() -> None:
    console = Console(file=io.StringIO(), width=80)
    render(compare(Run(dict.fromkeys(QIDS, POOR)), Run(dict.fromkeys(QIDS, GOOD)), EVALSET), console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "…" not in shown
    assert "RR(rel=2)@10" in shown


def test_means_are_those_of_evaluate_and_swapping_swaps() -> None:
    a = Run(dict.fromkeys(QIDS[:17], GOOD), "a")
    b = Run(dict.fromkeys(QIDS[3:], POOR), "b")
    there, back = compare(a, b, EVALSET), compare(b, a, EVALSET)
    means = {row.measure: row.all.mean for row in evaluate(a, EVALSET).view().results}
    for row, other in zip(there.measures, back.measures, strict=True):
        assert row.mean_a == pytest.approx(means[row.measure])
        assert row.difference.mean == pytest.approx(-other.difference.mean)
        assert (row.wins, row.losses, row.ties) == (other.losses, other.wins, other.ties)
        assert row.wins + row.losses + row.ties == len(QIDS)


def test_a_run_against_itself_differs_in_nothing() -> None:
    run = Run(dict.fromkeys(QIDS, POOR), "same")
    comparison = compare(run, run, EVALSET)
    assert [(row.difference.mean, row.p, row.ties) for row in comparison.measures] == [(0.0, 1.0, 30)] * 5
    assert comparison.changes == ()


def test_runs_judged_to_different_degrees_are_called_not_comparable() -> None:
    rated, unrated = Run(dict.fromkeys(QIDS, GOOD), "lexical"), Run(dict.fromkeys(QIDS, UNRATED), "dense")
    (warning,) = compare(rated, unrated, EVALSET).warnings
    assert "not comparable" in warning
    assert "1.00 for A and 0.10 for B" in warning
    assert "not comparable" in text(compare(rated, unrated, EVALSET))
    assert compare(rated, unrated, EVALSET, "judged-condensed").warnings == ()


def test_answering_nothing_is_warned_of_but_is_not_a_lack_of_judgements() -> None:
    full, part = Run(dict.fromkeys(QIDS, GOOD), "full"), Run(dict.fromkeys(QIDS[:20], GOOD), "part")
    (warning,) = compare(full, part, EVALSET).warnings
    assert warning == "Run B returned nothing for 10 of 30 queries, which score 0."


def test_unjudged_queries_are_listed_and_values_are_plain() -> None:
    a, b = Run(dict.fromkeys(QIDS, GOOD), "a"), Run({**dict.fromkeys(QIDS, POOR), "extra": ("x",)}, "b")
    values = json.loads(json.dumps(compare(a, b, EVALSET, most_changes=3).to_dict(), allow_nan=False))
    assert values["unjudged"] == ["extra"]
    assert [change["qid"] for change in values["changes"]] == ["q00", "q01", "q02"]
    assert values["measures"][0]["losses"] == 30
    assert values["measures"][0]["difference"]["high"] < 0
