"""Training a dual encoder: what it compares, what it makes small, and that a killed run ends as one that was not."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.encoder.source import find_source, load_original
from engine.errors import TrainingError
from engine.train import encoder as training
from engine.train import steps
from engine.train.checkpoint import load_checkpoint
from engine.train.encoder import Recipe, mixed, train_encoder
from engine.train.examples import Example, ExampleSet, query_key
from engine.train.groups import Known, make_groups, unfair
from engine.train.losses import contrastive, cosent, listwise
from engine.train.vectors import StepVectors
from engine.train.world import World, device_count, run_together
from tiny_models import save_model

pytestmark = pytest.mark.slow

COLOURS, THINGS = ("red", "green", "blue", "black"), ("jacket", "laptop", "lamp", "mouse", "scarf", "kettle")
TEXTS = {f"{c}-{t}": f"{t} {c} with hood" for c in COLOURS for t in THINGS}
EXAMPLES = [Example(f"{c} {t}", f"{c}-{t}", 1.0, "catalogue", "thing") for c in COLOURS for t in THINGS]
GRADED = [Example(f"{c} {t}", f"{d}-{t}", 1.0 if c == d else 0.3, "judgements") for c in COLOURS for d in COLOURS[:2] for t in THINGS]
SET = ExampleSet(TEXTS, EXAMPLES)
RECIPE = Recipe(steps=8, batch_size=6, learning_rate=1e-3, max_tokens=32, checkpoint_every=3, lengths=(1.0, 0.5))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    return str(save_model(tmp_path_factory.mktemp("models") / "tiny"))


def weights(trained) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in trained.model.state_dict().items()}


def same(one, other) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def unit(rng: np.random.Generator, *shape: int):
    import torch

    return torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=shape).astype(np.float32)), dim=-1)


def test_what_words_find_counts_in_training_on_the_catalogue_alone(tiny, tmp_path, monkeypatch) -> None:
    judged = ExampleSet(TEXTS, GRADED)
    recipe = replace(RECIPE, steps=2)
    losses = [train_encoder(tiny, given, tmp_path / str(n), recipe).losses for n, given in enumerate((SET, judged))]
    monkeypatch.setattr(training, "_BY_WORDS", 0.0)
    plain = [train_encoder(tiny, given, tmp_path / f"plain{n}", recipe).losses for n, given in enumerate((SET, judged))]
    assert losses[0][0] < plain[0][0]
    assert losses[1] == plain[1]


def test_no_negative_is_mined_for_a_query_made_of_a_product() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(2, len(TEXTS), 8)).astype(np.float32)
    asked = [replace(e, source="judgements") for e in EXAMPLES]
    vectors = {e.query: rows[0, i] for i, e in enumerate(asked)}, dict(zip(TEXTS, rows[1], strict=True))
    assert any(group.negatives for group in make_groups(asked, Known(asked, TEXTS, *vectors), 2, 0))
    assert not any(group.negatives for group in make_groups(EXAMPLES, Known(EXAMPLES, TEXTS, *vectors), 2, 0))
    assert any(group.negatives for group in make_groups(EXAMPLES, Known(EXAMPLES, TEXTS, *vectors), 2, 0, judged=True))


def test_the_contrastive_loss_is_that_of_sentence_transformers() -> None:
    import torch
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    rng = np.random.default_rng(0)
    queries, products, negatives = (unit(rng, 7, 16) for _ in range(3))
    theirs = MultipleNegativesRankingLoss(None, scale=20.0).compute_loss_from_embeddings([queries, products, negatives], None)
    fair = torch.zeros(7, 14, dtype=torch.bool)
    ours = contrastive(queries, torch.cat([products, negatives]), torch.arange(7), fair, [16])
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    # what is ruled out cannot matter
    fair[:, 9] = True
    changed = torch.cat([products, negatives])
    first = contrastive(queries, changed, torch.arange(7), fair, [16, 8])
    changed[9] = unit(rng, 16)
    assert float(contrastive(queries, changed, torch.arange(7), fair, [16, 8])) == float(first)


def test_what_words_find_need_not_be_learned() -> None:
    import torch

    known = Known(EXAMPLES + GRADED[:1], {**TEXTS, "x": "shoe red"}, {}, {})
    rarity = {word: np.log(1 + (25 - n + 0.5) / (n + 0.5)) for word, n in (("red", 7), ("lamp", 4))}
    share = rarity["red"] / sum(rarity.values())
    assert known.by_words("red lamp", ["red-lamp", "red-mouse", "x", "blue-mouse"]) == pytest.approx([1.0, share, share, 0.0])
    asked = Known(GRADED, TEXTS, {}, {})
    assert asked.by_words("red lamp", ["red-lamp", "red-mouse"]) == [0.0, 0.0]  # people chose these words, not we
    both = Known([*EXAMPLES, Example("Lamp, red", "red-lamp", 1.0, "clicks")], TEXTS, {}, {})
    assert both.by_words("red lamp", ["red-lamp"]) == [0.0]
    assert both.by_words("red mouse", ["red-mouse"]) == [1.0]

    rng = np.random.default_rng(1)
    queries, products, answers = unit(rng, 3, 16), unit(rng, 5, 16), torch.arange(3)
    found = torch.from_numpy(rng.random((3, 5)).astype(np.float32))
    fair = torch.zeros(3, 5, dtype=torch.bool)
    both = torch.nn.functional.cross_entropy(20 * (queries @ products.T + found), answers)
    assert float(contrastive(queries, products, answers, fair, [16], found)) == pytest.approx(float(both), rel=1e-5)
    # where words find the answer and nothing else, nothing is left to learn
    sure = 5.0 * torch.eye(3, 5)
    free = queries.clone().requires_grad_()
    contrastive(free, products, answers, fair, [16], sure).backward()
    assert float(free.grad.abs().max()) < 1e-6


def test_the_graded_loss_is_that_of_sentence_transformers() -> None:
    import torch
    from sentence_transformers.sentence_transformer.losses import CoSENTLoss

    class Nothing(torch.nn.Module):
        def forward(self, features):
            return features

    rng = np.random.default_rng(1)
    left, right = unit(rng, 9, 16), unit(rng, 9, 16)
    grades = torch.tensor([0.0, 0.3, 1.0, 0.3, 0.0, 1.0, 0.6, 0.6, 0.0])
    theirs = CoSENTLoss(Nothing(), scale=20.0).compute_loss_from_embeddings([left, right], grades)
    assert float(cosent(left, right, grades, [16])) == pytest.approx(float(theirs), rel=1e-5)
    assert float(cosent(left, right, torch.ones(9), [16])) == 0


def test_any_memory_gives_the_same_gradient(tiny, monkeypatch) -> None:
    import torch

    from engine.train import vectors

    monkeypatch.setattr(vectors, "_PART_TOKENS", 24)
    texts = [*TEXTS.values(), "a", "a much longer text about a red jacket with a hood and more words than others have"]
    gradients = []
    for memory_mb in (4000, 0):
        model = load_original(find_source(tiny), max_tokens=32)
        step = StepVectors(model, 32, memory_mb)
        if memory_mb == 0:
            monkeypatch.setattr(step, "_most_tokens", 0)
        loss, tokens = step.backward(texts, lambda v: (v @ v[:4].T).square().sum())
        assert tokens > 0
        gradients.append((loss, [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-6)
    assert len(gradients[0][1]) == len(gradients[1][1]) > 10
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(gradients[0][1], gradients[1][1], strict=True))
    whole = load_original(find_source(tiny), max_tokens=32).encode(texts, normalize_embeddings=True)
    seen = []
    StepVectors(load_original(find_source(tiny), max_tokens=32), 32, 4000).backward(texts, lambda v: seen.append(v.detach()) or v.sum())
    assert np.allclose(seen[0].numpy(), whole, atol=1e-5)


@given(seed=st.integers(0, 1000), negatives=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_negatives_are_neither_answers_nor_likely_ones(seed: int, negatives: int) -> None:
    rng = np.random.default_rng(seed)
    examples = random.Random(seed).sample(GRADED, 30)
    rows = rng.normal(size=(len(TEXTS) + len(GRADED), 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries = {e.query: rows[i] for i, e in enumerate(examples)}
    products = {p: rows[-i - 1] for i, p in enumerate(TEXTS)}
    known = Known(examples, TEXTS, queries, products)
    rated = {(query_key(e.query), e.product): e.grade for e in examples}
    best = {e.query: max(f.grade for f in examples if f.query == e.query) for e in examples}
    answers = {(e.query, e.product) for e in examples if e.grade >= min(0.5, best[e.query])}
    assert {(g.query, g.positive) for g in make_groups(examples, known, negatives, seed)} == answers
    for group in make_groups(examples, known, negatives, seed):
        assert len(group.negatives) <= negatives
        for product, grade in group.negatives:
            said = rated.get((query_key(group.query), product))
            assert grade < group.grade
            assert grade == (said or 0.0)
            if said is None:
                assert queries[group.query] @ products[product] < 0.95 * (queries[group.query] @ products[group.positive])
                assert not set(query_key(group.query).split()) <= set(query_key(TEXTS[product]).split())
    some = examples[:6]
    asked, positives, candidates = [e.query for e in some], [e.product for e in some], list(TEXTS)
    mask = unfair(asked, positives, candidates, known)
    for i, query in enumerate(asked):
        for j, product in enumerate(candidates):
            said = rated.get((query_key(query), product))
            says_all = set(query_key(query).split()) <= set(query_key(TEXTS[product]).split())
            near = queries[query] @ products[product] >= queries[query] @ products[positives[i]]
            if said is not None:
                assert mask[i, j] == (said > 0)
            elif says_all:
                assert mask[i, j]
            elif abs(queries[query] @ (products[product] - products[positives[i]])) > 1e-5:
                assert mask[i, j] == near


def test_it_learns_and_one_seed_gives_one_model(tiny, tmp_path) -> None:
    longer = replace(RECIPE, steps=40, keep=0.0)
    first, again, other = (
        train_encoder(tiny, SET, tmp_path / str(i), recipe) for i, recipe in enumerate((longer, longer, replace(longer, seed=3)))
    )
    assert np.mean(first.losses[-5:]) < 0.7 * np.mean(first.losses[:5])
    assert first.losses == again.losses
    assert same(weights(first), weights(again))
    assert not same(weights(first), weights(other))
    before = {name: value.numpy() for name, value in first.before.items()}
    words = [name for name in before if "word_embeddings" in name]
    assert words
    assert all(np.array_equal(before[name], weights(first)[name]) for name in words)
    after = weights(first)
    mixed(first, 0.25)
    for name, value in weights(first).items():
        assert np.allclose(value, before[name] + 0.25 * (after[name] - before[name]), atol=1e-6)


@pytest.mark.parametrize("killed_at", [1, 3, 4, 7])
def test_a_killed_run_ends_with_the_same_model(tiny, tmp_path, killed_at: int) -> None:
    whole = train_encoder(tiny, ExampleSet(TEXTS, GRADED), tmp_path / "whole", RECIPE)

    class Killed(Exception):
        pass

    def kill(step) -> None:
        if step.number == killed_at:
            raise Killed

    notes: list[str] = []
    with pytest.raises(Killed):
        train_encoder(tiny, ExampleSet(TEXTS, GRADED), tmp_path / "killed", RECIPE, advance=kill)
    resumed = train_encoder(tiny, ExampleSet(TEXTS, GRADED), tmp_path / "killed", RECIPE, note=notes.append)
    assert any("Going on after step" in note for note in notes) == (killed_at > RECIPE.checkpoint_every)
    assert resumed.losses == whole.losses
    assert same(weights(resumed), weights(whole))
    again = train_encoder(tiny, ExampleSet(TEXTS, GRADED), tmp_path / "killed", RECIPE)  # nothing is left to do
    assert same(weights(again), weights(whole))


def test_a_kill_while_a_checkpoint_is_written_leaves_one_that_loads(tiny, tmp_path, monkeypatch) -> None:
    import pathlib

    whole = train_encoder(tiny, SET, tmp_path / "whole", RECIPE)
    real, renames = pathlib.Path.rename, []

    def rename(self, target):
        renames.append(target)
        if len(renames) == 3:  # the second checkpoint: the old one is aside, the new one not yet in place
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(pathlib.Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        train_encoder(tiny, SET, tmp_path / "killed", RECIPE)
    monkeypatch.setattr(pathlib.Path, "rename", real)
    resumed = train_encoder(tiny, SET, tmp_path / "killed", RECIPE)
    assert same(weights(resumed), weights(whole))


def test_another_run_s_checkpoint_is_not_gone_on_with(tiny, tmp_path, monkeypatch) -> None:
    def stop(step) -> None:
        if step.number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_encoder(tiny, SET, tmp_path / "run", RECIPE, advance=stop)
    with pytest.raises(TrainingError, match="another run"):
        train_encoder(tiny, SET, tmp_path / "run", replace(RECIPE, seed=9))
    (tmp_path / "run" / "checkpoint" / "tensors.safetensors").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="cannot be read"):
        train_encoder(tiny, SET, tmp_path / "run", RECIPE)
    model = load_original(find_source(tiny), max_tokens=32)
    assert load_checkpoint(tmp_path / "none", model, None) is None


def test_a_killed_run_may_go_on_with_more_memory_but_as_no_other() -> None:
    def identity(**changes: object) -> str:
        return steps.run_identity("encoder", "model", "examples", replace(RECIPE, **changes))

    assert identity(memory_mb=1, checkpoint_every=7, minutes=3.0) == identity()
    others = [identity(keep=0.7), identity(lengths=(1.0,)), identity(seed=1), identity(steps=9)]
    assert len({identity(), *others, steps.run_identity("reranker", "model", "examples", RECIPE)}) == 6


def test_minutes_cut_the_steps_and_the_card_names_them(tiny, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(steps, "_seconds_a_step", lambda backward, order: 10.0)
    notes: list[str] = []
    short = train_encoder(tiny, SET, tmp_path / "a", replace(RECIPE, steps=0, epochs=50, minutes=1), note=notes.append)
    assert short.figures["recipe"]["steps"] == len(short.losses) == 6
    assert any("allow 6 of 200 steps" in note for note in notes)
    same_again = train_encoder(tiny, SET, tmp_path / "b", replace(RECIPE, steps=6))
    assert same(weights(short), weights(same_again))


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"batch_size": 1}, "two queries"), ({"learning_rate": 0.0}, "learning rate"), ({"lengths": (1.5,)}, "lengths")],
)
def test_a_recipe_that_cannot_work_is_refused(tiny, tmp_path, changes, says) -> None:
    with pytest.raises(TrainingError, match=says):
        train_encoder(tiny, SET, tmp_path / "run", replace(RECIPE, **changes))
    with pytest.raises(TrainingError, match="too few"):
        train_encoder(tiny, ExampleSet(TEXTS, [replace(EXAMPLES[0], grade=0.0)]), tmp_path / "run", RECIPE)


def test_training_that_diverges_says_so(tiny, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(training._Learning, "backward", lambda self, batch: float("nan"))
    with pytest.raises(TrainingError, match="diverged"):
        train_encoder(tiny, SET, tmp_path / "run", RECIPE)


def test_the_teacher_s_loss_is_the_divergence_and_vanishes_where_they_agree() -> None:
    import torch

    rng = np.random.default_rng(2)
    queries, candidates = unit(rng, 3, 8), unit(rng, 6, 8)
    places = torch.tensor([[0, 1, 2], [3, 4, -1], [5, -1, -1]])
    teacher = torch.from_numpy(rng.normal(size=(3, 3)).astype(np.float32))
    expected = 0.0
    for i, row in enumerate(places.tolist()):
        own = [c for c in row if c >= 0]
        p = torch.softmax(teacher[i, : len(own)], 0)
        q = torch.log_softmax(20 * queries[i] @ candidates[own].T, 0)
        expected += float(torch.nn.functional.kl_div(q, p, reduction="sum")) / 3
    assert float(listwise(queries, candidates, places, teacher, [8])) == pytest.approx(expected, rel=1e-4)
    agreed = torch.stack([20 * (queries[i] @ candidates[places[i].clamp(min=0)].T) for i in range(3)])
    assert float(listwise(queries, candidates, places, agreed, [8])) == pytest.approx(0, abs=1e-5)


def test_a_teacher_s_order_is_learned(tiny, tmp_path) -> None:
    from sentence_transformers import CrossEncoder

    folder = tmp_path / "teacher"
    save_model(tmp_path / "body", plain=True, seed=4)
    CrossEncoder(str(tmp_path / "body"), num_labels=1, local_files_only=True).save_pretrained(str(folder))
    recipe = replace(RECIPE, steps=30, negatives=3, teacher=str(folder), graded=0.0, keep=0.0)
    learned = train_encoder(tiny, SET, tmp_path / "with", recipe)
    assert np.mean(learned.losses[-5:]) < np.mean(learned.losses[:5])
    assert not same(weights(learned), weights(train_encoder(tiny, SET, tmp_path / "without", replace(recipe, teacher=""))))
    with pytest.raises(TrainingError, match="cannot be loaded"):
        train_encoder(tiny, SET, tmp_path / "none", replace(recipe, teacher=str(tmp_path / "nothing" / "here")))
    CrossEncoder(str(tmp_path / "body"), num_labels=2, local_files_only=True).save_pretrained(str(tmp_path / "two"))
    with pytest.raises(TrainingError, match="gives 2 scores"):
        train_encoder(tiny, SET, tmp_path / "two-run", replace(recipe, teacher=str(tmp_path / "two")))


def test_processes_that_train_together_end_where_one_does(tiny, tmp_path) -> None:
    size = 2
    examples = ExampleSet(TEXTS, GRADED)
    alone = train_encoder(tiny, examples, tmp_path / "alone", RECIPE)
    seen: list[int] = []
    told = {"advance": lambda step: seen.append(step.number)}
    together = run_together(train_encoder, (tiny, examples, tmp_path / "together", RECIPE), size, "cpu", told)
    assert seen == list(range(1, 9))
    assert together.figures["devices"] == size
    assert np.allclose(together.losses, alone.losses, rtol=1e-4)
    one, other = weights(alone), weights(together)
    assert all(np.allclose(one[name], other[name], atol=2e-4) for name in one)
    assert not all(np.allclose(before, one[name], atol=2e-4) for name, before in alone.before.items())
    again = run_together(train_encoder, (tiny, examples, tmp_path / "again", RECIPE), size, "cpu")
    assert same(weights(again), other)


def fails_elsewhere(world: World, device: str) -> None:
    if not world.leads:
        raise RuntimeError("no memory")
    world.wait()


def test_a_process_that_fails_ends_them_all(capfd) -> None:
    with pytest.raises(TrainingError, match="1 of 2 training processes failed"):
        run_together(fails_elsewhere, (), 2, "cpu")
    assert "no memory" in capfd.readouterr().err


def test_what_all_of_them_refuse_is_said_once(tiny, tmp_path, capfd) -> None:
    with pytest.raises(TrainingError, match="too few"):
        run_together(train_encoder, (tiny, ExampleSet(TEXTS, []), tmp_path / "run", RECIPE), 2, "cpu")
    assert "Traceback" not in capfd.readouterr().err


def test_only_devices_that_are_here_are_used() -> None:
    assert device_count("cpu") == 1
    assert device_count("cpu", 3) == 3
    with pytest.raises(TrainingError, match="99 CUDA devices were asked for"):
        device_count("cuda", 99)
