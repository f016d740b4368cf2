"""From a shop's data to a model that serves, or is refused: the commands in real processes, and the gate over engines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.engine import Engine
from engine.errors import GateError, TrainingError
from engine.train.encoder import Recipe
from engine.train.examples import Example, ExampleSet
from evals.encoder_gate import GuardedSlice, check_slices, compare_engines, opened_guards
from evals.encoders import compare_scores, score_encoder
from evals.evalsets import write_qrels, write_queries
from evals.measures import score_queries
from evals.stats import Estimate
from evals.training import train_and_measure
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed
from test_cli import daogou
from test_train_encoder import EXAMPLES, TEXTS
from tiny_models import save_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    return str(save_model(tmp_path_factory.mktemp("models") / "tiny"))


def test_scores_of_an_encoder_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    texts = {f"p{i}": f"text {i}" for i in range(40)}
    rows = {text: v / np.linalg.norm(v) for text in (*texts.values(), "one", "two", "three") for v in (rng.normal(size=6),)}

    def encode(asked):
        return np.array([rows[t] for t in asked], np.float32)

    examples = [
        Example("one", "p1", 1.0, "judgements", "head"), Example("one", "p2", 0.3, "judgements", "head"),
        Example("one", "p3", 0.0, "judgements", "head"), Example("two", "p4", 0.05, "judgements", "tail"),
        Example("three", "p9", 0.0, "judgements"),
    ]  # fmt: skip
    found = score_encoder(encode, encode, examples, texts)
    assert found.queries == ("one", "two")  # the third has no answer
    qrels = {"one": {"p1": 3, "p2": 1, "p3": 0}, "two": {"p4": 1}}
    for task in ("ranking", "retrieval"):
        rankings = {
            q: sorted(qrels[q] if task == "ranking" else texts, key=lambda p: (-float(rows[q] @ rows[texts[p]]), p)) for q in qrels
        }
        expected = score_queries({q: r[:100] for q, r in rankings.items()}, qrels, 1)
        assert np.allclose(found.values[task], expected.column("nDCG@10"))
    compared = compare_scores(found, found)
    assert [(row["task"], row["kind"]) for row in compared] == [(t, k) for t in ("ranking", "retrieval") for k in ("all", "head", "tail")]
    assert all(row["gain"]["mean"] == 0 and row["p"] == 1 for row in compared)


def test_training_writes_a_model_with_its_card_or_nothing(tiny: str, tmp_path: Path, monkeypatch) -> None:
    kept_back = [e for e in EXAMPLES if e.product.startswith("red")]
    examples = ExampleSet(TEXTS, [e for e in EXAMPLES if e not in kept_back], kept_back, {"made_from": {"catalogue": 1}})
    out = tmp_path / "model"
    card = train_and_measure(tiny, examples, out, Recipe(steps=4, batch_size=4, learning_rate=1e-3, max_tokens=32))
    assert card == json.loads((out / "training.json").read_text())
    assert card["share"] == 1.0  # nobody asked anything, so nobody can say how much is too much
    assert card["recipe"]["steps"] == 4
    assert card["languages"] == ["en"]
    assert {row["task"] for row in card["test"]} == {"retrieval"}  # each query has one answer and nothing else rated
    assert card["data"]["made_from"] == {"catalogue": 1}
    assert "threads" in card["hardware"]
    assert (out / "training.png").read_bytes()[:4] == b"\x89PNG"
    assert not list(tmp_path.glob("*.training")) + list(tmp_path.glob("*.unfinished"))
    with pytest.raises(TrainingError, match="not empty"):
        train_and_measure(tiny, examples, out, Recipe(steps=4))
    with pytest.raises(TrainingError, match="share of 2"):
        train_and_measure(tiny, examples, tmp_path / "other", Recipe(steps=4), share=2.0)
    with pytest.raises(TrainingError, match="No CUDA"):
        train_and_measure(tiny, examples, tmp_path / "other", Recipe(steps=4), device="cuda")
    same = train_and_measure(
        tiny, examples, tmp_path / "again", Recipe(steps=4, batch_size=4, learning_rate=1e-3, max_tokens=32)
    )
    assert same["loss"] == card["loss"]
    assert (tmp_path / "again/model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()


def test_the_share_kept_is_the_best_on_queries_not_trained_on(tiny: str, tmp_path: Path, monkeypatch) -> None:
    import evals.training as module

    many = [Example(f"{e.query} {i}", e.product, 1.0, "judgements") for e in EXAMPLES for i in range(12)]
    learned, valid = module.divided(many)
    assert {e.query for e in learned}.isdisjoint(e.query for e in valid)
    assert len({e.query for e in valid}) >= 20
    # queries made of the catalogue choose nothing, and none of them tells what is to be found out
    made = [Example(e.query, e.product, 1.0, "catalogue") for e in many]
    assert module.divided(made) == (made, [])
    assert module.worth_learning(ExampleSet(train=made)).train == made
    drawn = module.worth_learning(ExampleSet(train=400 * made), 7).train
    assert len(drawn) == 10_000
    assert drawn == module.worth_learning(ExampleSet(train=400 * made), 7).train != drawn[::-1]
    assert module.worth_learning(ExampleSet(train=[*many, *400 * made])).train == [*many, *400 * made]
    assert module.divided([*made, *many]) == ([e for e in [*made, *many] if e.query not in {v.query for v in valid}], valid)
    best = iter([0.5, 0.9, 0.7, 0.7])  # shares 1, 0.75, 0.5 and 0.25
    real = module.score_model

    def scores(model, examples, texts):
        found = real(model, examples, texts)
        if examples == valid:
            level = next(best)
            return type(found)(found.queries, found.kinds, {task: np.full(len(found.queries), level) for task in found.values})
        return found

    monkeypatch.setattr(module, "score_model", scores)
    card = train_and_measure(tiny, ExampleSet(TEXTS, many, []), tmp_path / "m", Recipe(steps=2, batch_size=4, max_tokens=32))
    assert card["share"] == 0.75
    assert card["shares_tried"] == {"1": 0.5, "0.75": 0.9, "0.5": 0.7, "0.25": 0.7}
    assert card["test"] == []


def test_from_a_catalogue_to_a_served_model(tiny: str, tmp_path: Path) -> None:
    feed = write_feed(random_products(80), tmp_path / "feed.jsonl")
    store = str(tmp_path / "store")
    assert daogou("index", str(feed), "--store", store, "--model", tiny).returncode == 0
    made = daogou("examples", str(tmp_path / "examples"), "--store", store, "--catalogue", "2")
    assert made.returncode == 0, made.stderr
    assert "train: " in made.stdout
    trained = daogou("train", "encoder", str(tmp_path / "examples"), "--model", tiny, "--out", str(tmp_path / "model"), "--steps", "3",
                     "--batch-size", "8")  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert "nDCG@10 on queries kept back" in trained.stdout
    assert "3 steps, 100%" in trained.stdout
    served = daogou("index", str(feed), "--store", store, "--model", str(tmp_path / "model"), "--accept-worse", "--quiet")
    assert served.returncode == 0, served.stderr
    assert "needs" in served.stdout
    assert "model numbers" in served.stdout
    gate = json.loads((tmp_path / "model" / "gate.json").read_text())
    assert {"needs", "typos", "model numbers"} == {row["slice"] for row in gate["slices"]}
    unchanged = daogou("index", str(feed), "--store", store, "--model", str(tmp_path / "model"), "--quiet")
    assert "0 embedded" in unchanged.stdout  # what is known of a model is no part of it
    again = daogou("train", "encoder", str(tmp_path / "examples"), "--model", tiny, "--out", str(tmp_path / "model"))
    assert again.returncode == 9
    assert again.stderr.startswith("Training: ")
    assert "Training: 1 of 3, loss" in trained.stderr
    missing = daogou("train", "encoder", str(tmp_path / "nothing"), "--out", str(tmp_path / "m2"))
    assert missing.returncode == 9
    assert "daogou examples" in missing.stderr


@pytest.fixture(scope="module")
def engines(tmp_path_factory) -> tuple[Engine, Engine]:
    """The toy with many places, and the same with two, which cannot tell products apart."""
    folder = tmp_path_factory.mktemp("gate")
    feed = write_feed(random_products(300), folder / "feed.jsonl")
    out = []
    for size in (256, 2):
        settings = toy_settings(folder / f"store{size}").model_copy(update={"model": f"hashing:{size}", "alpha": 1.0})
        reindex(feed, settings)
        out.append(Engine.open(settings))
    return out[0], out[1]


def test_a_worse_encoder_is_refused_and_the_same_one_is_not(engines: tuple[Engine, Engine], tmp_path: Path) -> None:
    good, bad = engines
    slices = {s.name: s for s in compare_engines(good, bad)}
    assert set(slices) == {"needs", "typos", "model numbers"}
    assert slices["needs"].worse
    with pytest.raises(GateError, match=r"worse than the one that serves.*needs"):
        check_slices(list(slices.values()), "bad")
    check_slices(compare_engines(good, good), "good")
    check_slices(compare_engines(bad, good), "better")
    other = tmp_path / "other"
    other.mkdir()
    products = random_products(80, seed=9)
    write_feed(products, other / "feed.jsonl")
    write_queries(other / "queries.tsv", {f"q{i}": p.title for i, p in enumerate(products[:40])})
    write_qrels(other / "qrels.txt", {f"q{i}": {p.id: 3, products[-i - 1].id: 0} for i, p in enumerate(products[:40])})
    (other / "slices.tsv").write_text("".join(f"q{i}\t{'head' if i < 20 else 'tail'}\n" for i in range(40)))
    with opened_guards([other], good, bad) as guards:
        found = {s.name: s for s in compare_engines(good, bad, guards)}
    assert set(found) - set(slices) == {"other: all", "other: head", "other: tail"}
    assert found["other: all"].before > found["other: all"].after


def test_what_chance_explains_is_not_refused() -> None:
    check_slices([GuardedSlice("a", 0.5, 0.49, Estimate(-0.01, -0.03, 0.01, 40), 0.4)], "m")
    check_slices([GuardedSlice("a", 0.5, 0.6, Estimate(0.1, 0.05, 0.15, 40), 0.001)], "m")
    with pytest.raises(GateError, match=r"0\.500 → 0\.450"):
        check_slices([GuardedSlice("a", 0.5, 0.45, Estimate(-0.05, -0.08, -0.02, 40), 0.003)], "m")


def test_a_refused_encoder_leaves_the_old_one_serving(tmp_path: Path) -> None:
    feed = write_feed(random_products(60), tmp_path / "feed.jsonl")
    settings = toy_settings(tmp_path / "store")
    reindex(feed, settings)
    serving = Engine.open(settings).snapshot_id
    asked = []

    def refuse(before: Engine, after: Engine) -> list[dict[str, object]]:
        asked.append((before.model_name, after.model_name))
        raise GateError("no")

    with pytest.raises(GateError):
        reindex(feed, settings.model_copy(update={"model": "hashing:64"}), judge=refuse)
    assert Engine.open(settings).snapshot_id == serving
    assert len(asked) == 1
    reindex(write_feed(random_products(61), feed), settings, judge=refuse)  # the same encoder is not compared
    assert len(asked) == 1
