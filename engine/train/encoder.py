"""Train a dual encoder: queries near the products that answer them.

In: a model to begin with, an :class:`~engine.train.examples.ExampleSet` and a :class:`Recipe`. Out: a sentence-transformers
model. One straight line: vectors of everything by the model as it was (they guard against false negatives, mine hard ones
and hold the model to what it knew), groups, steps, weights mixed with those it began with. A run that was killed goes on
where its last checkpoint was and ends with the same weights. Imports torch only when called. Knows nothing of snapshots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.encoder.source import encode_original, find_source, load_original
from engine.errors import TrainingError
from engine.train.examples import ExampleSet
from engine.train.groups import Group, Known, make_groups, unfair
from engine.train.losses import contrastive, cosent, kept, listwise
from engine.train.steps import Pace, Progress, run_figures, run_identity, take_steps
from engine.train.teacher import taught
from engine.train.vectors import StepVectors
from engine.train.world import World

__all__ = ["Recipe", "Trained", "known_by", "mixed", "train_encoder"]

_LONGEST = 8192
_BY_WORDS = 0.4
"""What is added to a cosine where a product has all the words of a query that was made of some product's own. 0.4 did better than
0.15, and that better than nothing, in whole searches and by vectors alone (evals/LOG.md)."""


@dataclass(frozen=True, slots=True)
class Recipe(Pace):
    """How to train. What is not named here is derived from the data and the machine.

    ``keep`` weighs what the model knew, ``lengths`` are the parts of a vector that must be usable alone. ``max_tokens`` of a
    product are read while training. ``teacher`` is a cross-encoder whose order of each query's candidates is learned as well; it
    pays to give it more ``negatives``.
    """

    negatives: int = 1
    graded: float = 0.3
    keep: float = 0.3
    teacher: str = ""
    lengths: tuple[float, ...] = (1.0, 0.5, 0.25)
    max_tokens: int = 64
    memory_mb: int = 4000


@dataclass(frozen=True, slots=True)
class Trained:
    """``model`` is the trained ``SentenceTransformer``, ``before`` and ``after`` its weights by name; ``losses`` are those of
    each step. ``figures`` are plain values for a card."""

    model: Any
    before: dict[str, Any]
    after: dict[str, Any]
    losses: tuple[float, ...]
    figures: dict[str, Any] = field(default_factory=dict)


def train_encoder(
    model_name: str,
    examples: ExampleSet,
    work: Path,
    recipe: Recipe = Recipe(),
    *,
    device: str = "cpu",
    world: World = World(),
    note: Callable[[str], None] = lambda line: None,
    advance: Progress = lambda step: None,
) -> Trained:
    """Return the model trained on ``examples.train``; checkpoints lie in ``work``, which is the caller's to remove.

    In a ``world`` of several processes each calls this with the same values and ends with the same model.

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
    known = known_by(model, examples, world)
    groups = make_groups(examples.train, known, recipe.negatives, recipe.seed, judged=bool(recipe.teacher))
    if recipe.teacher:
        note(f"Asking {recipe.teacher} about {sum(len(group.rated) for group in groups)} pairs")
        groups = taught(groups, examples.texts, recipe.teacher, recipe.max_tokens, device, world)
    half = device.startswith("cuda") and torch.cuda.is_bf16_supported()
    learning = _Learning(model, known, examples.texts, recipe, StepVectors(model, recipe.max_tokens, recipe.memory_mb, half, world))
    before = _weights(model)
    identity = run_identity("encoder", source.fingerprint, examples.fingerprint, recipe)
    taken = take_steps(model, learning.backward, groups, recipe, work, identity, world=world, note=note, advance=advance)
    figures = {**run_figures(source, examples.fingerprint, recipe, taken, world), "groups": len(groups)}
    model.max_seq_length = limit
    return Trained(model.eval(), before, _weights(model), taken.losses, figures)


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


def known_by(model: Any, examples: ExampleSet, world: World = World()) -> Known:
    """Return what is known before training of the queries and products that are trained on, by this model."""
    queries = list(dict.fromkeys(e.query for e in examples.train))
    ids = list(dict.fromkeys(e.product for e in examples.train))
    size = 64
    query_vectors = encode_original(model, _prompt(model, "query"), queries, size)
    product_vectors = encode_original(model, _prompt(model, "document"), [examples.texts[i] for i in ids], size)
    return Known(
        examples.train,
        {i: examples.texts[i] for i in ids},
        dict(zip(queries, world.same(query_vectors, model.device), strict=True)),
        dict(zip(ids, world.same(product_vectors, model.device), strict=True)),
    )


def _prompt(model: Any, name: str) -> str:
    return str(model.prompts.get(name) or "")


class _Learning:
    """What a step makes small: the groups' losses over their vectors."""

    def __init__(self, model: Any, known: Known, texts: Mapping[str, str], recipe: Recipe, vectors: StepVectors) -> None:
        self._model, self._known, self._texts, self._recipe, self._vectors = model, known, texts, recipe, vectors
        width = model.get_embedding_dimension()
        self._lengths = sorted({max(1, round(width * part)) for part in recipe.lengths}, reverse=True)
        self._prompts = _prompt(model, "query"), _prompt(model, "document")

    def _taught(self, batch: Sequence[Group], place: Mapping[str, int]) -> tuple[Any, Any]:
        """Return each group's candidates as places, and the teacher's scores of them, filled up to the longest."""
        import torch

        size = max(len(group.rated) for group in batch)
        places = [[place[p] for p, _ in group.rated] + [-1] * (size - len(group.rated)) for group in batch]
        scores = [[*group.teacher, *[0.0] * (size - len(group.teacher))] for group in batch]
        return torch.tensor(places, device=self._model.device), torch.tensor(scores, device=self._model.device)

    def backward(self, batch: Sequence[Group]) -> float:
        """Add the gradient of these groups' loss and return it."""
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
        # a grade nobody gave is not compared with those that people gave
        pairs = [(i, place[p], g) for i, group in enumerate(batch) if not self._known.made(group.query) for p, g in group.rated]
        left, right = (torch.tensor([pair[k] for pair in pairs], dtype=torch.int64, device=device) for k in (0, 1))
        grades = torch.tensor([grade for _, _, grade in pairs], device=device)
        places, teacher = self._taught(batch, place) if self._recipe.teacher else (None, None)
        before = np.stack([*(self._known.queries[q] for q in queries), *(self._known.products[c] for c in candidates)])
        target = torch.from_numpy(before).to(device)
        by_words = _BY_WORDS * torch.tensor([self._known.by_words(query, candidates) for query in queries], device=device)
        recipe, lengths, n = self._recipe, self._lengths, len(batch)

        def loss_of(vectors: Any) -> Any:
            asked, found = vectors[:n], vectors[n:]
            loss = contrastive(asked, found, answers, ruled_out, lengths, by_words)
            if recipe.graded:
                loss = loss + recipe.graded * cosent(asked[left], found[right], grades, lengths)
            if teacher is not None:
                loss = loss + listwise(asked, found, places, teacher, lengths)
            return loss + recipe.keep * kept(vectors, target) if recipe.keep else loss

        query_prompt, product_prompt = self._prompts
        texts = [query_prompt + q for q in queries] + [product_prompt + self._texts[c] for c in candidates]
        return self._vectors.backward(texts, loss_of)[0]
