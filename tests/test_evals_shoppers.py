"""Simulated shoppers do what is said of them: they look less at later places and click what answers."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from engine.errors import EvaluationError
from evals.shoppers import simulated_log
from indexer.logs import read_log

QUERIES = {"q1": "lamp", "q2": "mouse", "q3": "nothing"}
QRELS = {"q1": {"a": 3, "b": 0, "c": 3}, "q2": {"b": 1}}
SHOWN = {"q1": [["b", "a", "c"]], "q2": [["b", "a"]], "q3": []}


def test_clicks_follow_place_and_answer(tmp_path) -> None:
    records = list(simulated_log(QUERIES, QRELS, SHOWN, shoppers=2000, searches=5, mistakes=0.02))
    assert records == list(simulated_log(QUERIES, QRELS, SHOWN, shoppers=2000, searches=5, mistakes=0.02))
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    log = read_log(path)
    assert not log.skipped
    assert len(log.queries) == 10_000
    texts = {q.query_id: q.text for q in log.queries}
    asked = Counter(q.text for q in log.queries)
    assert set(asked) == {"lamp", "mouse"}
    clicked = Counter((texts[a.query_id], a.product) for a in log.actions)
    rate = {key: n / asked[key[0]] for key, n in clicked.items()}
    gain = 7 / 8
    assert rate["lamp", "b"] == pytest.approx(0.02, abs=0.01)  # seen by all, clicked by mistake
    assert rate["lamp", "a"] == pytest.approx((0.02 + 0.98 * gain) / 2, abs=0.03)
    assert rate["lamp", "c"] == pytest.approx((0.02 + 0.98 * gain) / 3, abs=0.03)
    assert rate["mouse", "b"] == pytest.approx(0.02 + 0.98 / 8, abs=0.03)
    bought = Counter(texts[a.query_id] for a in log.actions if a.kind == "purchase")
    assert bought["lamp"] > bought["mouse"]
    times = [q.time_s for q in log.queries]
    assert times == sorted(times)


def test_lists_are_shown_in_turn() -> None:
    records = simulated_log({"q1": "lamp"}, QRELS, {"q1": [["a", "b"], ["b", "a"]]}, shoppers=3, searches=3)
    shown = [r["query_response_object_ids"] for r in records if "user_query" in r]
    assert shown == [["a", "b"]] * 3 + [["b", "a"]] * 3 + [["a", "b"]] * 3


def test_without_anything_shown_nobody_clicks() -> None:
    with pytest.raises(EvaluationError, match="nobody can click"):
        list(simulated_log(QUERIES, QRELS, {}))
