"""Weights are kept where they help on queries they have not seen, and refused where they do not."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.schema import Applied, Hit, Scores, SearchRequest, SearchResponse
from engine.train.examples import fold_of
from evals.tune import toml_of, tune
from shop import random_products, toy_engine

PRODUCTS = random_products(200, seed=4)
QUERIES = {
    f"q{i:02d}": " ".join(random.Random(i).sample("waterproof light hiking jacket tent kettle steel plastic red blue".split(), 2))
    for i in range(30)
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return toy_engine(tmp_path_factory.mktemp("shop"), PRODUCTS)


def test_noise_is_refused(engine: Engine) -> None:
    rng = random.Random(0)
    qrels = {qid: {p.id: rng.choice([0, 0, 3]) for p in rng.sample(PRODUCTS, 30)} for qid in QUERIES}
    found = tune(engine, QUERIES, qrels)
    assert not found.kept
    assert found.gain.n == 30


def test_a_gain_is_kept_only_with_its_p_value(engine: Engine) -> None:
    poor = engine.tuned(alpha=0.9, feedback=0.4)
    qrels = {
        qid: {p.id: 3 for p in PRODUCTS if set(text.split()) <= set(p.title.split())} | {PRODUCTS[0].id: 0}
        for qid, text in QUERIES.items()
    }
    found = tune(poor, QUERIES, qrels)
    assert found.after >= found.before
    assert found.kept == (found.p < 0.05 and found.gain.mean > 0)
    assert found.settings["alpha"] < 0.9 or not found.kept


class Shop:
    """Puts the one right product first where words weigh enough, and second elsewhere."""

    def __init__(self, alpha: float) -> None:
        self.settings = SimpleNamespace(alpha=alpha, feedback=0.0)

    def tuned(self, alpha: float, feedback: float) -> Shop:
        return Shop(alpha)

    def search(self, request: SearchRequest) -> SearchResponse:
        order = ["right", "wrong"] if self.settings.alpha <= 0.5 else ["wrong", "right"]
        hits = [Hit(document={"id": i}, scores=Scores(fused=0, lexical=0)) for i in order]
        return SearchResponse(
            query_id="q", snapshot="s", model="m", found=2, found_relation="eq", page=1, per_page=10, hits=hits,
            facet_counts=[], applied=Applied(q="", language="en", alpha=0.0), search_time_ms=0.0,
        )  # fmt: skip


def test_what_helps_every_query_is_kept() -> None:
    found = tune(Shop(0.9), QUERIES, {qid: {"right": 3, "wrong": 0} for qid in QUERIES})  # type: ignore[arg-type]
    assert found.kept
    assert found.settings["alpha"] <= 0.5
    assert (found.before, found.after) == (pytest.approx(0.6309, abs=1e-4), 1.0)


def test_queries_of_the_same_stems_fall_together() -> None:
    assert fold_of("laptops", 5) == fold_of("Laptop", 5)
    assert fold_of("red bag", 7) == fold_of("bags red", 7)
    assert len({fold_of(f"query {i}", 5) for i in range(50)}) == 5


def test_too_few_queries_are_refused(engine: Engine) -> None:
    with pytest.raises(EvaluationError, match="Judge more"):
        tune(engine, {"a": "tent"}, {"a": {PRODUCTS[0].id: 3}})


def test_settings_are_written_as_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.settings import load_settings

    (tmp_path / "daogou.toml").write_text(toml_of({"alpha": 0.6, "calibration": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}))
    monkeypatch.chdir(tmp_path)
    assert load_settings().alpha == 0.6
    assert load_settings().calibration == [1, 2, 3, 4, 5, 6]
