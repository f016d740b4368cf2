"""A cross-encoder: what it makes small, that it learns what a search cannot know, is served where it pays and nowhere else."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.encoder.source import find_source, load_original
from engine.engine import Engine
from engine.errors import EncoderError, SettingsError, TrainingError
from engine.reranker import RERANKER, Reranker, blended
from engine.schema import Money, Product, SearchRequest
from engine.settings import load_settings
from engine.train import reranker as training
from engine.train.examples import Example, ExampleSet, query_key, split
from engine.train.groups import Known, make_lists
from engine.train.reranker import RerankerRecipe, TrainedReranker, train_reranker
from engine.train.world import run_together
from evals.reranking import train_and_weigh
from indexer.reindex import reindex
from shop import write_feed
from test_cli import daogou
from test_train_encoder import EXAMPLES, GRADED, TEXTS
from tiny_models import save_model

pytestmark = pytest.mark.slow

THINGS = [f"{a}{b}" for a in ("jac", "lap", "ket", "sca", "lam", "mou") for b in ("ket", "top", "rf", "p")]
WISHES = "warm light good new big small old nice cool fine dry soft hard fast slow real".split()
COLOURS = ("red", "blue", "green", "black", "white", "grey")
PRODUCTS = [
    Product(id=f"{c}-{t}", title=f"{t} {c}", mpn=f"AB-{100 + i * 7 + j}", price=Money(500, "USD")) for i, t in enumerate(THINGS) for j, c in enumerate(COLOURS)
]
RECIPE = RerankerRecipe(steps=6, batch_size=4, learning_rate=1e-3, max_tokens=32, checkpoint_every=2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    return str(save_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    folder = tmp_path_factory.mktemp("store")
    settings = load_settings(store=folder / "store", model="hashing", min_relevance=0.0, tail_relevance=0.0)
    reindex(write_feed(PRODUCTS, folder / "feed.jsonl"), settings)
    return Engine.open(settings)


def judged(grade_of) -> ExampleSet:
    """Return examples of all queries, a thing wished to be something, each rated against all colours of the thing."""
    chance = random.Random(0)
    found = [Example(f"{w} {t}", f"{c}-{t}", grade_of(c, chance), "judgements") for t in THINGS for w in WISHES for c in COLOURS]
    return ExampleSet({p.id: p.title for p in PRODUCTS}, *split(found), {"made_from": {"data": ["judged"]}})


GREEN_IS_BEST = judged(lambda colour, chance: 1.0 if colour == "green" else 0.0)
ANYTHING = judged(lambda colour, chance: float(chance.random() < 0.3))
THOROUGH = RerankerRecipe(steps=100, batch_size=16, learning_rate=3e-3, max_tokens=32, mined=0)


@pytest.fixture(scope="module")
def learned(engine: Engine, tiny: str, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("learned") / "reranker"
    card = train_and_weigh(engine, tiny, GREEN_IS_BEST, out, THOROUGH, budget_ms=10_000)
    assert card.pays, card.verdict
    return out


def test_the_loss_is_that_of_brute_force() -> None:
    import torch

    rng = np.random.default_rng(0)
    grades = [[1.0, 0.0, 0.4], [1.0, 1.0], [0.7, 0.2, 0.2, 0.0]]
    scores = rng.normal(size=9)
    expected, start = 0.0, 0
    for own in grades:
        s = scores[start : start + len(own)]
        start += len(own)
        p = 1 / (1 + np.exp(-s))
        loss = -np.mean([g * np.log(q) + (1 - g) * np.log(1 - q) for g, q in zip(own, p, strict=True)])
        pairs = [(own[i] - own[j], np.log(1 + np.exp(s[j] - s[i]))) for i in range(len(own)) for j in range(len(own)) if own[i] > own[j]]
        if pairs:
            loss += sum(gap * wrong for gap, wrong in pairs) / sum(gap for gap, _ in pairs)
        expected += loss
    assert float(training._loss(torch.from_numpy(scores), grades)) == pytest.approx(expected)


def test_it_begins_with_the_encoder_s_body(tiny: str) -> None:
    encoder = load_original(find_source(tiny), max_tokens=64)
    model, _ = training._cross_encoder(find_source(tiny), encoder, 0)
    theirs = encoder[0].auto_model.state_dict()
    ours = model.base_model.state_dict()
    assert all(np.array_equal(theirs[name], ours[name]) for name in ours if "pooler" not in name)
    half, _ = training._cross_encoder(find_source(tiny), encoder, 1)
    assert half.config.num_hidden_layers == 1
    with pytest.raises(EncoderError, match="2 layers"):
        training._cross_encoder(find_source(tiny), encoder, 3)


def test_lists_hold_the_answer_rated_products_and_some_that_look_like_it() -> None:
    rng = np.random.default_rng(0)

    def unit(n: int) -> np.ndarray:
        rows = rng.normal(size=(n, 4)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    queries = sorted({e.query for e in GRADED})
    known = Known(GRADED, TEXTS, dict(zip(queries, unit(len(queries)), strict=True)), dict(zip(TEXTS, unit(len(TEXTS)), strict=True)))
    lists = make_lists(GRADED, known, 2, 3, seed=0)
    assert sorted(group.query for group in lists) == queries
    assert lists == make_lists(GRADED, known, 2, 3, seed=0)
    for group in lists:
        rated = known.answers[query_key(group.query)]
        own = dict(group.rated)
        assert rated[group.positive] == max(rated.values())
        assert len(own) == len(group.rated)
        assert len(set(own) & set(rated)) == min(2, len(rated))
        for mined in set(own) - set(rated):
            assert own[mined] == 0
            assert known.near(group.query, mined) < 0.95 * known.near(group.query, group.positive)


def test_a_killed_run_ends_as_one_that_was_not_and_processes_as_one(tiny: str, tmp_path: Path) -> None:
    examples = ExampleSet(TEXTS, GRADED)

    def weights(trained: TrainedReranker) -> dict[str, np.ndarray]:
        return {name: value.numpy().copy() for name, value in trained.model.state_dict().items()}

    def kill(step) -> None:
        if step.number == 3:
            raise KeyboardInterrupt

    whole = train_reranker(tiny, examples, tmp_path / "whole", RECIPE)
    with pytest.raises(KeyboardInterrupt):
        train_reranker(tiny, examples, tmp_path / "killed", RECIPE, advance=kill)
    resumed = train_reranker(tiny, examples, tmp_path / "killed", RECIPE)
    assert resumed.losses == whole.losses
    assert all(np.array_equal(value, weights(whole)[name]) for name, value in weights(resumed).items())
    together = run_together(train_reranker, (tiny, examples, tmp_path / "together", RECIPE), 2, "cpu")
    assert np.allclose(together.losses, whole.losses, rtol=1e-3)
    assert all(np.allclose(value, weights(whole)[name], atol=2e-3) for name, value in weights(together).items())


def test_what_cannot_be_learned_from_is_refused(tiny: str, engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="same grade"):
        train_reranker(tiny, ExampleSet(TEXTS, EXAMPLES), tmp_path / "run", RECIPE)
    with pytest.raises(TrainingError, match="two candidates"):
        train_reranker(tiny, ExampleSet(TEXTS, GRADED), tmp_path / "run", replace(RECIPE, candidates=1))
    named = [replace(e, user="someone") for e in GRADED]
    with pytest.raises(TrainingError, match="name users"):
        train_and_weigh(engine, tiny, ExampleSet(TEXTS, named), tmp_path / "out", RECIPE, budget_ms=100)
    with pytest.raises(TrainingError, match="`ranker` is in force"):
        train_and_weigh(engine.tuned(ranker="other"), tiny, GREEN_IS_BEST, tmp_path / "out", RECIPE, budget_ms=100)
    with pytest.raises(TrainingError, match="Too few queries"):
        train_and_weigh(engine, tiny, ExampleSet(TEXTS, GRADED), tmp_path / "out", RECIPE, budget_ms=100)


def test_codes_stay_first_and_ties_as_they_were() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(1, 12))
        fused = np.sort(rng.choice([0.1, 0.5, 0.9], n).astype(np.float32))[::-1]
        code, scores = rng.random(n) < 0.3, rng.choice([0.0, 0.5, 1.0], n).astype(np.float32)
        fused[code] += 2
        order = np.argsort(-blended(fused, code, scores, 4.0), kind="stable")
        keys = [(not code[i], -float(fused[i] + np.float32(4) * scores[i] + 4 * code[i]), i) for i in range(n)]
        assert order.tolist() == [i for _, _, i in sorted(keys)]


def test_it_learns_what_words_and_meaning_do_not_tell_and_is_served(learned: Path, engine: Engine) -> None:
    card = json.loads((learned / RERANKER).read_text())
    assert card["pays"]
    assert card["gain"]["after"] > card["gain"]["before"] + 0.1
    assert card["added_ms"] > 0
    told = json.loads((learned / "training.json").read_text())
    assert told["data"]["made_from"] == {"data": ["judged"]}
    assert (learned / "training.png").read_bytes()[:4] == b"\x89PNG"
    served = Engine.open(engine.settings.model_copy(update={"reranker": str(learned)}))
    first = []
    for thing in THINGS:
        plain = engine.search(SearchRequest(q=f"warm {thing}", per_page=50))
        other = served.search(SearchRequest(q=f"warm {thing}", per_page=50))
        assert other.found == plain.found
        assert {h.document["id"] for h in other.hits} == {h.document["id"] for h in plain.hits}
        first.append((plain.hits[0].document["id"] == f"green-{thing}", other.hits[0].document["id"] == f"green-{thing}"))
        pages = [h.document["id"] for page in (1, 2, 3) for h in served.search(
            SearchRequest(q=f"warm {thing}", per_page=2, page=page)).hits]  # fmt: skip
        assert pages == [h.document["id"] for h in other.hits[: len(pages)]]
    assert np.mean(first, axis=0)[0] < 0.4
    assert np.mean(first, axis=0)[1] > 0.8
    held = served.tuned(near_duplicates=0.01)  # near duplicates are held back in the order learned, not in the old one
    assert held.search(SearchRequest(q=f"warm {THINGS[0]}")).hits[0].document["id"] == f"green-{THINGS[0]}"
    code = PRODUCTS[1].mpn
    assert served.search(SearchRequest(q=f"{code} {THINGS[0]}", per_page=1)).hits[0].document["mpn"] == code
    by_id = [h.document["id"] for h in served.search(SearchRequest(q=THINGS[0], sort_by="price:asc", per_page=50)).hits]
    assert by_id == [h.document["id"] for h in engine.search(SearchRequest(q=THINGS[0], sort_by="price:asc", per_page=50)).hits]


def test_the_exported_graph_says_what_the_trained_model_says(learned: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    reranker = Reranker.open(learned)
    model = AutoModelForSequenceClassification.from_pretrained(learned / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(learned / "model")
    texts = [p.title for p in PRODUCTS[:20]] + ["", "x" * 5000, "\ud800 jacket"]
    clean = [t.encode("utf-8", "replace").decode() for t in texts]
    given = tokenizer(["warm jacket"] * len(texts), clean, padding=True, truncation=True, max_length=32, return_tensors="pt")
    with torch.no_grad():
        expected = torch.sigmoid(model(**given).logits[:, 0]).numpy()
    assert np.allclose(reranker.scores("warm jacket", texts), expected, atol=0.05)
    alone = [float(reranker.scores("warm jacket", [text])[0]) for text in texts]
    assert np.allclose(alone, reranker.scores("warm jacket", texts), atol=1e-5)  # company changes nothing
    assert reranker.scores("", []).shape == (0,)


@pytest.mark.parametrize(("examples", "budget", "says"), [(ANYTHING, 10_000, "nDCG@10|without it"), (GREEN_IS_BEST, 1e-6, "allowed")])
def test_one_that_does_not_pay_is_not_served(engine: Engine, tiny: str, tmp_path: Path, examples, budget, says) -> None:
    out = tmp_path / "reranker"
    card = train_and_weigh(engine, tiny, examples, out, replace(THOROUGH, steps=10), budget_ms=budget)
    assert not card.pays
    with pytest.raises(SettingsError, match=says):
        Engine.open(engine.settings.model_copy(update={"reranker": str(out)}))


def test_a_reranker_that_cannot_be_used_is_said(learned: Path, engine: Engine, tmp_path: Path) -> None:
    import shutil

    def opened(folder: Path, **more: str) -> Engine:
        return Engine.open(engine.settings.model_copy(update={"reranker": str(folder), **more}))

    with pytest.raises(SettingsError, match="holds no reranker"):
        opened(tmp_path / "nothing")
    with pytest.raises(SettingsError, match="both set"):
        opened(learned, ranker="other")
    other = tmp_path / "other"
    shutil.copytree(learned, other)
    card = json.loads((learned / RERANKER).read_text())
    for changes, says in (
        ({"encoder": "f" * 64}, "another encoder"), ({"languages": ["fr"]}, "does not read en"), ({"depth": 0}, "depth"),
        ({"format": 9, "new": 1}, "format 9"),
    ):  # fmt: skip
        (other / RERANKER).write_text(json.dumps(card | changes))
        with pytest.raises(SettingsError, match=says):
            opened(other)
    (other / RERANKER).write_text("{")
    with pytest.raises(SettingsError, match="not JSON"):
        opened(other)
    broken = tmp_path / "broken"
    shutil.copytree(learned, broken)
    (broken / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(SettingsError, match=r"model\.onnx is damaged"):
        opened(broken)


def test_the_command_says_whether_it_pays(engine: Engine, tiny: str, tmp_path: Path) -> None:
    from engine.train.examples import write_examples

    write_examples(tmp_path / "ex", GREEN_IS_BEST)
    done = daogou(
        "train", "reranker", str(tmp_path / "ex"), "--store", str(engine.settings.store), "--out", str(tmp_path / "r"), "--model",
        tiny, "--steps", "60", "--learning-rate", "3e-3", "--max-tokens", "32", "--budget-ms", "9999",
        DAOGOU_MIN_RELEVANCE="0", DAOGOU_TAIL_RELEVANCE="0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "It pays. Set DAOGOU_RERANKER=" in done.stdout
