"""Train a dual encoder: queries near the products that answer them.

In: a model to begin with, an :class:`~engine.train.examples.ExampleSet` and a :class:`Recipe`. Out: a sentence-transformers
model. One straight line: vectors of everything by the model as it was (they guard against false negatives, mine hard ones
and hold the model to what it knew), groups, steps, weights mixed with those it began with. A run that was killed goes on
where its last checkpoint was and ends with the same weights. Imports torch only when called. Knows nothing of snapshots.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.encoder.source import encode_original, find_source, load_original
from engine.errors import TrainingError
from engine.train.checkpoint import load_checkpoint, save_checkpoint
from engine.train.examples import ExampleSet
from engine.train.groups import Group, Known, make_groups, unfair
from engine.train.losses import contrastive, cosent, kept, listwise
from engine.train.teacher import taught
from engine.train.vectors import StepVectors

__all__ = ["Progress", "Recipe", "Step", "Trained", "mixed", "train_encoder"]

_WARMUP = 0.1
_DECAY = 0.01
_CLIP = 1.0
_PROBED_STEPS = 3
_CHECKPOINT = "checkpoint"
_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. What is not named here is derived from the data and the machine.

    ``minutes`` ends a run by cutting its steps to what the machine does in that time, measured at the start; the card names
    the ``steps``, which give the same model again. ``keep`` weighs what the model knew, ``lengths`` are the parts of a vector
    that must be usable alone. ``max_tokens`` of a product are read while training. ``teacher`` is a cross-encoder whose order of
    each query's candidates is learned as well; it pays to give it more ``negatives``.
    """

    epochs: float = 1.0
    steps: int = 0
    minutes: float = 0.0
    batch_size: int = 64
    learning_rate: float = 3e-5
    negatives: int = 1
    graded: float = 0.3
    keep: float = 0.3
    teacher: str = ""
    lengths: tuple[float, ...] = (1.0, 0.5, 0.25)
    max_tokens: int = 64
    memory_mb: int = 4000
    checkpoint_every: int = 200
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step done: ``number`` of ``total``, its loss, learning rate, examples a second so far and seconds left."""

    number: int
    total: int
    loss: float
    learning_rate: float
    rate: float
    left_s: float


@dataclass(frozen=True, slots=True)
class Trained:
    """``model`` is the trained ``SentenceTransformer``, ``before`` and ``after`` its weights by name; ``losses`` are those of
    each step. ``figures`` are plain values for a card."""

    model: Any
    before: dict[str, Any]
    after: dict[str, Any]
    losses: tuple[float, ...]
    figures: dict[str, Any] = field(default_factory=dict)


Progress = Callable[[Step], None]


def train_encoder(
    model_name: str,
    examples: ExampleSet,
    work: Path,
    recipe: Recipe = Recipe(),
    *,
    device: str = "cpu",
    note: Callable[[str], None] = lambda line: None,
    advance: Progress = lambda step: None,
) -> Trained:
    """Return the model trained on ``examples.train``; checkpoints are kept in ``work`` until :func:`Trained` is returned.

    Raises:
        EncoderError: there is no such model.
        TrainingError: the recipe or the examples cannot be used, training diverged, or ``work`` holds another run.
    """
    import torch

    _check(recipe, examples)
    torch.manual_seed(recipe.seed)
    source = find_source(model_name)
    model = load_original(source, max_tokens=_LONGEST, device=device)
    limit = model.max_seq_length
    model.max_seq_length = min(limit, recipe.max_tokens)
    _freeze_words(model)
    note("Encoding queries and products with the model as it is")
    known = _known(model, examples, recipe)
    groups = make_groups(examples.train, known, recipe.negatives, recipe.seed)
    if recipe.teacher:
        note(f"Asking {recipe.teacher} about {sum(len(group.rated) for group in groups)} pairs")
        groups = taught(groups, examples.texts, recipe.teacher, recipe.max_tokens, device)
    run = _Run(model, groups, known, examples, recipe, half=device == "cuda" and torch.cuda.is_bf16_supported())
    before = _weights(model)
    identity = _identity(source.fingerprint, examples, recipe)
    saved = work / _CHECKPOINT
    state = load_checkpoint(saved, model, run.optimiser)
    if state is not None and state["run"] != identity:
        raise TrainingError(f"{saved} is of another run: other examples, model or settings. Delete it, or choose another folder.")
    total = state["total"] if state else _total(run, recipe, len(groups), note)
    losses: list[float] = list(state["losses"]) if state else []
    if state:
        note(f"Going on after step {len(losses)} of {total}")
    started, first, done = time.monotonic(), len(losses), 0
    for number in range(first, total):
        loss = run.step(number, total)
        if not np.isfinite(loss):
            raise TrainingError(f"The loss is {loss} at step {number + 1}: training diverged. Use a smaller learning rate.")
        losses.append(loss)
        done += recipe.batch_size
        took = time.monotonic() - started
        left = took / (number + 1 - first) * (total - number - 1)
        advance(Step(number + 1, total, loss, run.rate_at(number, total), done / took, left))
        if (number + 1) % recipe.checkpoint_every == 0 and number + 1 < total:
            save_checkpoint(saved, model, run.optimiser, {"run": identity, "total": total, "losses": losses})
    figures = {
        "model": source.name,
        "model_fingerprint": source.fingerprint,
        "examples_fingerprint": examples.fingerprint,
        "recipe": {**asdict(recipe), "steps": total, "minutes": 0.0, "lengths": list(recipe.lengths)},
        "groups": len(groups),
        "examples_per_second": round(done / max(1e-9, time.monotonic() - started), 1) if done else None,
        "languages": list(source.languages),
    }
    shutil.rmtree(saved, ignore_errors=True)
    model.max_seq_length = limit
    return Trained(model.eval(), before, _weights(model), tuple(losses), figures)


def mixed(trained: Trained, share: float) -> None:
    """Give the model ``share`` of what it learned: weights between those before and after (Wortsman et al., *Robust
    Fine-Tuning of Zero-Shot Models*, CVPR 2022)."""
    after = trained.after
    trained.model.load_state_dict(
        {n: before + share * (after[n] - before) if before.is_floating_point() else before for n, before in trained.before.items()}
    )


def _weights(model: Any) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _check(recipe: Recipe, examples: ExampleSet) -> None:
    positives = sum(e.grade > 0 for e in examples.train)
    if positives < 2:
        raise TrainingError(f"{positives} examples with an answer are too few to train on. Make more with `daogou examples`.")
    if recipe.batch_size < 2 or recipe.learning_rate <= 0 or not all(0 < length <= 1 for length in recipe.lengths):
        raise TrainingError("A batch needs two queries or more, a learning rate above 0 and lengths between 0 and 1.")


def _freeze_words(model: Any) -> None:
    """Keep the embeddings of words as they are: few examples move few of them, and out of step with the rest."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model[0].auto_model.get_input_embeddings().weight.requires_grad_(False)


def _known(model: Any, examples: ExampleSet, recipe: Recipe) -> Known:
    queries = list(dict.fromkeys(e.query for e in examples.train))
    ids = list(dict.fromkeys(e.product for e in examples.train))
    size = 64
    query_vectors = encode_original(model, _prompt(model, "query"), queries, size)
    product_vectors = encode_original(model, _prompt(model, "document"), [examples.texts[i] for i in ids], size)
    return Known(
        examples.train,
        {i: examples.texts[i] for i in ids},
        dict(zip(queries, query_vectors, strict=True)),
        dict(zip(ids, product_vectors, strict=True)),
    )


def _prompt(model: Any, name: str) -> str:
    return str(model.prompts.get(name) or "")


def _identity(model: str, examples: ExampleSet, recipe: Recipe) -> str:
    told = {**asdict(recipe), "memory_mb": 0, "checkpoint_every": 0, "minutes": 0}
    return hashlib.sha256(json.dumps([model, examples.fingerprint, told], sort_keys=True).encode()).hexdigest()


def _total(run: _Run, recipe: Recipe, groups: int, note: Callable[[str], None]) -> int:
    """Return the number of steps: as many as asked for, or what the epochs give, or what the minutes allow."""
    if recipe.steps:
        return recipe.steps
    wanted = max(1, round(recipe.epochs * groups / recipe.batch_size))
    if not recipe.minutes:
        return wanted
    per_step = run.time_step(_PROBED_STEPS)
    affordable = max(1, int(recipe.minutes * 60 / per_step))
    if affordable < wanted:
        note(f"{recipe.minutes:g} minutes allow {affordable} of {wanted} steps on this machine ({per_step:.2f} s each).")
    return min(wanted, affordable)


class _Run:
    """The model in training: which groups come when, and one step."""

    def __init__(
        self, model: Any, groups: Sequence[Group], known: Known, examples: ExampleSet, recipe: Recipe, half: bool
    ) -> None:
        import torch

        self._model, self._groups, self._known, self._texts, self._recipe = model, groups, known, examples.texts, recipe
        self._vectors = StepVectors(model, recipe.max_tokens, recipe.memory_mb, half)
        self._learned = [p for p in model.parameters() if p.requires_grad]
        width = model.get_embedding_dimension()
        self._turn, self._places = -1, list[int]()
        self._lengths = sorted({max(1, round(width * part)) for part in recipe.lengths}, reverse=True)
        self._prompts = _prompt(model, "query"), _prompt(model, "document")
        self.optimiser = torch.optim.AdamW(self._learned, lr=recipe.learning_rate, weight_decay=_DECAY)

    def rate_at(self, number: int, total: int) -> float:
        """Return the learning rate of a step: it rises for a tenth of the steps and falls to 0."""
        rise = max(1, int(_WARMUP * total))
        return self._recipe.learning_rate * min((number + 1) / rise, max(0.0, (total - number) / max(1, total - rise)))

    def step(self, number: int, total: int) -> float:
        """Take one step and return its loss."""
        import torch

        for group in self.optimiser.param_groups:
            group["lr"] = self.rate_at(number, total)
        self.optimiser.zero_grad(set_to_none=True)
        loss = self._backward(self._batch(number))
        torch.nn.utils.clip_grad_norm_(self._learned, _CLIP)
        self.optimiser.step()
        return loss

    def time_step(self, steps: int) -> float:
        """Return the seconds a step takes, without taking it."""
        self._backward(self._batch(0))
        started = time.perf_counter()
        for number in range(steps):
            self._backward(self._batch(number))
        self.optimiser.zero_grad(set_to_none=True)
        return (time.perf_counter() - started) / steps

    def _batch(self, number: int) -> list[Group]:
        """Return the groups of a step: every pass has its own order, drawn from the seed, and ends where the next begins."""
        size, count = self._recipe.batch_size, len(self._groups)
        out: list[Group] = []
        for place in range(number * size, (number + 1) * size):
            out.append(self._groups[self._order(place // count)[place % count]])
        return out

    def _order(self, turn: int) -> list[int]:
        if self._turn != turn:
            every = range(len(self._groups))
            self._turn, self._places = turn, random.Random(f"{self._recipe.seed} {turn}").sample(every, len(every))
        return self._places

    def _taught(self, batch: Sequence[Group], place: Mapping[str, int]) -> tuple[Any, Any]:
        """Return each group's candidates as places, and the teacher's scores of them, filled up to the longest."""
        import torch

        size = max(len(group.rated) for group in batch)
        places = [[place[p] for p, _ in group.rated] + [-1] * (size - len(group.rated)) for group in batch]
        scores = [[*group.teacher, *[0.0] * (size - len(group.teacher))] for group in batch]
        return torch.tensor(places, device=self._model.device), torch.tensor(scores, device=self._model.device)

    def _backward(self, batch: Sequence[Group]) -> float:
        import torch

        device = self._model.device
        queries = [group.query for group in batch]
        positives = [group.positive for group in batch]
        candidates = list(dict.fromkeys([*positives, *(p for group in batch for p, _ in group.negatives)]))
        place = {product: i for i, product in enumerate(candidates)}
        answers = torch.tensor([place[p] for p in positives], device=device)
        mask = unfair(queries, positives, candidates, self._known)
        mask[np.arange(len(batch)), [place[p] for p in positives]] = False
        ruled_out = torch.from_numpy(mask).to(device)
        pairs = [(i, place[p], grade) for i, group in enumerate(batch) for p, grade in group.rated]
        left, right, grades = (torch.tensor(column, device=device) for column in zip(*pairs, strict=True))
        places, teacher = self._taught(batch, place) if self._recipe.teacher else (None, None)
        before = np.stack([*(self._known.queries[q] for q in queries), *(self._known.products[c] for c in candidates)])
        target = torch.from_numpy(before).to(device)
        recipe, lengths, n = self._recipe, self._lengths, len(batch)

        def loss_of(vectors: Any) -> Any:
            asked, found = vectors[:n], vectors[n:]
            loss = contrastive(asked, found, answers, ruled_out, lengths)
            if recipe.graded:
                loss = loss + recipe.graded * cosent(asked[left], found[right], grades, lengths)
            if teacher is not None:
                loss = loss + listwise(asked, found, places, teacher, lengths)
            return loss + recipe.keep * kept(vectors, target) if recipe.keep else loss

        query_prompt, product_prompt = self._prompts
        texts = [query_prompt + q for q in queries] + [product_prompt + self._texts[c] for c in candidates]
        return self._vectors.backward(texts, loss_of)[0]
