"""Train a cross-encoder: query and product read together, one number for how well they fit.

In: an encoder to begin with (its body is taken over, a head is put on it), an
:class:`~engine.train.examples.ExampleSet` with grades, and a :class:`RerankerRecipe`. Out: :class:`TrainedReranker`. The loss of a
query and its candidates is the cross entropy of their grades plus, for every two of them, RankNet's of their order (Burges et al.,
*Learning to Rank using Gradient Descent*, 2005). Runs like :mod:`engine.train.encoder`: it is resumed after a kill, and several
processes may share a step. Imports torch only when called. Knows nothing of snapshots.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.encoder.source import SourceModel, find_source, load_original
from engine.errors import EncoderError, TrainingError
from engine.train.encoder import known_by
from engine.train.examples import ExampleSet
from engine.train.groups import Group, make_lists
from engine.train.steps import Pace, Progress, run_figures, run_identity, take_steps
from engine.train.world import World

__all__ = ["RerankerRecipe", "TrainedReranker", "train_reranker"]

_PART_PAIRS = 32
_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class RerankerRecipe(Pace):
    """How to train. A step has ``batch_size`` queries, each with up to ``candidates`` rated products and ``mined`` ones that look
    like answers; ``max_tokens`` of query and product together are read. ``layers`` keeps so many of the encoder's; 0 is all."""

    epochs: float = 2.0
    batch_size: int = 16
    candidates: int = 8
    mined: int = 2
    max_tokens: int = 64
    layers: int = 0


@dataclass(frozen=True, slots=True)
class TrainedReranker:
    """A ``transformers`` model with one output and its ``tokenizer``; ``losses`` are those of each step, ``figures`` plain values
    for a card."""

    model: Any
    tokenizer: Any
    max_tokens: int
    losses: tuple[float, ...]
    figures: dict[str, Any] = field(default_factory=dict)

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probability that each text answers the query, float32 ``(n,)``."""
        import torch

        with torch.no_grad():
            parts = [_scored(self.model, self.tokenizer, p, self.max_tokens) for p in _parts([(query, text) for text in texts])]
        return np.asarray(torch.sigmoid(torch.cat([torch.zeros(0), *parts])).cpu().numpy(), np.float32)


def train_reranker(
    model_name: str,
    examples: ExampleSet,
    work: Path,
    recipe: RerankerRecipe = RerankerRecipe(),
    *,
    device: str = "cpu",
    world: World = World(),
    note: Callable[[str], None] = lambda line: None,
    advance: Progress = lambda step: None,
) -> TrainedReranker:
    """Return a cross-encoder trained on ``examples.train``; checkpoints lie in ``work``, which is the caller's to remove.

    Raises:
        EncoderError: there is no such model, or it cannot be a cross-encoder.
        TrainingError: the recipe or the examples cannot be used, training diverged, or ``work`` holds another run.
    """
    import torch

    if recipe.batch_size < 1 or recipe.learning_rate <= 0 or recipe.candidates < 2:
        raise TrainingError("A step needs a query or more, with two candidates or more, and a learning rate above 0.")
    if len({e.grade for e in examples.train}) < 2:
        message = "Every example has the same grade. A reranker learns from judgements or clicks, not from answers alone."
        raise TrainingError(message)
    torch.manual_seed(recipe.seed)
    source = find_source(model_name)
    note("Looking for products that look like answers")
    encoder = load_original(source, max_tokens=_LONGEST, device=device)
    known = known_by(encoder, examples, world)
    lists = make_lists(examples.train, known, recipe.candidates, recipe.mined, recipe.seed)
    model, tokenizer = _cross_encoder(source, encoder, recipe.layers)
    model.to(device)
    del encoder
    identity = run_identity("reranker", source.fingerprint, examples.fingerprint, recipe)

    def backward(batch: Sequence[Group]) -> float:
        whole = 0.0
        for part in _lists_of_a_part(batch[world.rank :: world.size]):
            texts = [(group.query, examples.texts[p]) for group in part for p, _ in group.rated]
            scores = _scored(model, tokenizer, texts, recipe.max_tokens)
            loss = _loss(scores, [[grade for _, grade in group.rated] for group in part]) / len(batch)
            loss.backward()
            whole += float(loss.detach())
        if world.size > 1:
            shared = torch.tensor([whole], device=device)
            world.add(shared)
            whole = float(shared[0])
        return whole

    taken = take_steps(model, backward, lists, recipe, work, identity, world=world, note=note, advance=advance)
    pairs = sum(len(group.rated) for group in lists)
    figures = {**run_figures(source, examples.fingerprint, recipe, taken, world), "lists": len(lists), "pairs": pairs}
    return TrainedReranker(model, tokenizer, recipe.max_tokens, taken.losses, figures)


def _cross_encoder(source: SourceModel, encoder: Any, layers: int) -> tuple[Any, Any]:
    """Return the encoder's body with a head that gives one number, without dropout, and the tokenizer.

    Raises:
        EncoderError: there is no such form of the model.
    """
    from transformers import AutoModelForSequenceClassification

    body = encoder[0].auto_model
    config = copy.deepcopy(body.config)
    config.num_labels, config.vocab_size = 1, int(body.get_input_embeddings().weight.shape[0])
    most = int(config.num_hidden_layers)
    if layers > most:
        raise EncoderError(f"{source.name!r} has {most} layers; {layers} cannot be kept.")
    config.num_hidden_layers = layers or most
    try:
        made = AutoModelForSequenceClassification.from_config(config)
        inner = getattr(made, made.base_model_prefix)
        taken = inner.load_state_dict(body.state_dict(), strict=False)
    except (ValueError, RuntimeError, AttributeError) as error:
        raise EncoderError(f"{source.name!r} cannot be made a cross-encoder: {error}") from error
    if [name for name in taken.missing_keys if "pooler" not in name]:
        raise EncoderError(f"{source.name!r} cannot be made a cross-encoder: it has no {taken.missing_keys[0]}.")
    made.get_input_embeddings().weight.requires_grad_(False)  # few examples move few of them, and out of step with the rest
    return made.float().eval(), encoder.tokenizer


def _parts(pairs: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    return (pairs[start : start + _PART_PAIRS] for start in range(0, len(pairs), _PART_PAIRS))


def _lists_of_a_part(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Yield as many lists together as have some tens of pairs."""
    part: list[Group] = []
    for group in groups:
        if part and sum(len(g.rated) for g in (*part, group)) > _PART_PAIRS:
            yield part
            part = []
        part.append(group)
    if part:
        yield part


def _scored(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], max_tokens: int) -> Any:
    """Return one number for each pair, ``(n,)``, of which a gradient can be taken."""
    queries, texts = ([pair[side] for pair in pairs] for side in (0, 1))
    given = tokenizer(queries, texts, padding=True, truncation=True, max_length=max_tokens, return_tensors="pt").to(model.device)
    return model(**given).logits[:, 0].float()


def _loss(scores: Any, grades: Sequence[Sequence[float]]) -> Any:
    """Return the sum over lists of cross entropy and pairwise loss, each a mean within its list; ``scores`` ``(n,)`` are in the
    order of the grades."""
    import torch

    losses, start = [], 0
    for own in grades:
        wanted = torch.tensor(list(own), dtype=scores.dtype, device=scores.device)
        given = scores[start : start + len(own)]
        start += len(own)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(given, wanted)
        gap = wanted[:, None] - wanted[None, :]
        if bool((gap > 0).any()):
            wrong = torch.nn.functional.softplus(given[None, :] - given[:, None])
            loss = loss + (wrong * gap.clamp(min=0)).sum() / gap.clamp(min=0).sum()
        losses.append(loss)
    return torch.stack(losses).sum()
