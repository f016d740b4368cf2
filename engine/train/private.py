"""Train an encoder so that nobody can tell from it whether one user's clicks were there: user-level differential privacy.

In: examples that name their users by hashes, a model, ε. Out: the model and a true account of what it cost. In each step every
user takes part with the same probability, on their own; the gradient of all of a user's examples together is cut to one length;
noise is added to the sum. A user's loss compares a query with the product they chose and with products drawn from the catalogue,
which is public, never with other users' choices: with in-batch negatives, as Opacus lets them be, one user changes the
gradient of all and the claimed ε is false. :func:`probe` measures that before a step is taken and refuses a loss that couples.

What is not covered, and therefore not shown or used: losses, scores on the users' own queries, a share of what was learned
chosen on them. The noise comes from the system's random numbers and no seed gives it again. Trained are the biases and norms
alone (Bu et al., *Differentially Private Bias-Term Fine-Tuning of Foundation Models*, 2022): noise grows with the weights.
Imports torch only when called. Knows nothing of files.
"""

from __future__ import annotations

import os
import random
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import TrainingError
from engine.train.accounting import Cost, cost, noise_for
from engine.train.examples import CATALOGUE, Example
from engine.train.losses import contrastive
from engine.train.vectors import StepVectors

__all__ = ["Privacy", "coupled_loss", "probe", "train_private", "user_loss"]

_AGGREGATED = frozenset({"clicks", "orders", "judgements"})
_FEWEST = 100
_SLACK = 1e-4

UserLoss = Callable[[Sequence[Sequence[Example]]], list[Any]]
"""The loss of each of some users, each given by their examples, as torch scalars."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """``epsilon`` is what all steps may cost; ``delta`` 0 is a tenth of one over the number of users. ``clip`` bounds a user's
    share of a step, ``users`` take part in a step on average, ``most`` examples of a user are used."""

    epsilon: float
    delta: float = 0.0
    clip: float = 1.0
    users: int = 64
    steps: int = 200
    most: int = 4
    negatives: int = 7
    learning_rate: float = 1e-3


def train_private(
    model: Any,
    examples: Sequence[Example],
    texts: Mapping[str, str],
    privacy: Privacy,
    max_tokens: int = 64,
    advance: Callable[[int, int, str], None] = lambda step, steps, told: None,
) -> dict[str, Any]:
    """Train ``model`` in place and return the account, as plain values.

    Raises:
        MissingExtraError: the accountants are not installed.
        TrainingError: ε would not be true: examples without a user, or graded across users, too few users, a δ as large as the
            chance to be picked, or a loss in which one user changes another's share.
    """
    import torch

    users = _by_user(examples, privacy)
    rate = min(1.0, privacy.users / len(users))
    delta = privacy.delta or 0.1 / len(users)
    if delta >= 1 / len(users):
        raise TrainingError(f"δ {delta:g} lets one of {len(users)} users be given away whole. Choose one below {1 / len(users):g}.")
    if not privacy.epsilon > 0:
        raise TrainingError(f"ε {privacy.epsilon:g} cannot be kept: it must be above 0.")
    noise = noise_for(privacy.epsilon, rate, privacy.steps, delta)
    account = cost(noise, rate, privacy.steps, delta)
    learned = _biases_and_norms(model)
    loss = user_loss(model, texts, privacy, max_tokens)
    names = sorted(users)
    probe(learned, loss, [users[name] for name in names[: min(6, len(names))]], privacy.clip)
    optimiser = torch.optim.Adam(learned, lr=privacy.learning_rate)
    generator = torch.Generator().manual_seed(int.from_bytes(os.urandom(8), "big") >> 1)
    chance = secrets.SystemRandom()
    for step in range(privacy.steps):
        picked = [users[name] for name in names if chance.random() < rate]
        total = [torch.zeros_like(weight) for weight in learned]
        for own in picked:  # each alone: no more than one user's activations are held, and nobody can meet anybody
            for whole, part in zip(total, clipped_sum(learned, loss, [own], privacy.clip), strict=True):
                whole += part
        for weight, part in zip(learned, total, strict=True):
            drawn = torch.normal(0.0, noise * privacy.clip, part.shape, generator=generator)
            weight.grad = ((part.cpu() + drawn) / privacy.users).to(weight.device)
        optimiser.step()
        advance(step + 1, privacy.steps, f"ε {account.epsilon:.2f} when done")
    return _told(account, noise, rate, len(users), privacy)


def user_loss(model: Any, texts: Mapping[str, str], privacy: Privacy, max_tokens: int) -> UserLoss:
    """Return the loss of a user: how well each query finds its product among products drawn from the catalogue."""
    import torch

    catalogue = sorted(texts)
    vectors = StepVectors(model, max_tokens, 0)

    def one(own: Sequence[Example]) -> Any:
        drawn = [product for e in own for product in _drawn(e, catalogue, privacy.negatives)]
        found = vectors.encode([*(e.query for e in own), *(texts[e.product] for e in own), *(texts[p] for p in drawn)])
        queries, answers, others = found.split([len(own), len(own), len(drawn)])
        others = others.view(len(own), privacy.negatives, -1)
        losses = [
            contrastive(
                queries[i : i + 1],
                torch.cat([answers[i : i + 1], others[i]]),
                torch.zeros(1, dtype=torch.long, device=queries.device),
                torch.zeros(1, 1 + privacy.negatives, dtype=torch.bool, device=queries.device),
                [queries.shape[1]],
            )
            for i in range(len(own))
        ]
        return torch.stack(losses).mean()

    return lambda users: [one(own) for own in users]


def coupled_loss(model: Any, texts: Mapping[str, str], max_tokens: int = 64) -> UserLoss:
    """Return a loss as it may not be: with the other users' products as negatives. It is here for the probe to refuse."""
    import torch

    vectors = StepVectors(model, max_tokens, 0)

    def every(users: Sequence[Sequence[Example]]) -> list[Any]:
        first = [own[0] for own in users]
        found = vectors.encode([*(e.query for e in first), *(texts[e.product] for e in first)])
        queries, answers = found.split([len(first), len(first)])
        likeness = 20 * queries @ answers.T
        return list(torch.nn.functional.cross_entropy(likeness, torch.arange(len(first)), reduction="none"))

    return every


def clipped_sum(learned: Sequence[Any], loss: UserLoss, users: Sequence[Sequence[Example]], clip: float) -> list[Any]:
    """Return the sum of the users' gradients, each cut to length ``clip``."""
    import torch

    total = [torch.zeros_like(weight) for weight in learned]
    losses = loss(users) if users else []
    for i, own in enumerate(losses):
        gradient = torch.autograd.grad(own, learned, retain_graph=i + 1 < len(losses), allow_unused=True)
        parts = [torch.zeros_like(w) if g is None else g for w, g in zip(learned, gradient, strict=True)]
        length = float(torch.sqrt(sum((part.square().sum() for part in parts), torch.zeros(()))))
        scale = min(1.0, clip / length) if length > 0 else 0.0
        for whole, part in zip(total, parts, strict=True):
            whole += scale * part
    return total


def probe(learned: Sequence[Any], loss: UserLoss, users: Sequence[Sequence[Example]], clip: float) -> float:
    """Return by how much leaving out one of ``users`` changes the clipped sum, at most; the noise is made for ``clip``.

    Raises:
        TrainingError: it changes by more: the loss of a user depends on who else is there.
    """
    import torch

    whole = clipped_sum(learned, loss, users, clip)
    most = 0.0
    for left_out in range(len(users)):
        rest = clipped_sum(learned, loss, [own for i, own in enumerate(users) if i != left_out], clip)
        change = sum(((a - b).square().sum() for a, b in zip(whole, rest, strict=True)), torch.zeros(()))
        most = max(most, float(change.sqrt()))
    if most > clip * (1 + _SLACK) + _SLACK:
        raise TrainingError(
            f"Leaving out one user changes a step by {most:.3f}, more than the {clip:g} the noise is made for: the loss compares "
            "users with each other, so its ε would be false. Use negatives that do not come from other users."
        )
    return most


def _drawn(example: Example, catalogue: Sequence[str], count: int) -> list[str]:
    """Return products of the catalogue other than the answer, drawn by the example alone, so that nobody else matters."""
    chance = random.Random(f"{example.query} {example.product}")
    out: list[str] = []
    while len(out) < count:
        product = catalogue[chance.randrange(len(catalogue))]
        if product != example.product or len(catalogue) == 1:
            out.append(product)
    return out


def _by_user(examples: Sequence[Example], privacy: Privacy) -> dict[str, list[Example]]:
    used = [e for e in examples if e.grade > 0 and e.source != CATALOGUE]
    if graded := next((e.source for e in used if e.source in _AGGREGATED), ""):
        raise TrainingError(
            f"Examples from {graded} are put together over users, so one user changes those of others and no ε would be true. "
            "Make them with `daogou examples --per-user`."
        )
    if nobody := sum(not e.user for e in used):
        raise TrainingError(f"{nobody} examples name no user, so what they give away cannot be accounted for. Leave them out.")
    users: defaultdict[str, list[Example]] = defaultdict(list)
    for e in sorted(used, key=lambda e: (e.user, e.query, e.product)):
        if len(users[e.user]) < privacy.most:
            users[e.user].append(e)
    if len(users) < _FEWEST:
        raise TrainingError(f"{len(users)} users are too few to hide one among; at least {_FEWEST} are needed.")
    return dict(users)


def _biases_and_norms(model: Any) -> list[Any]:
    for name, weight in model.named_parameters():
        weight.requires_grad_(name.endswith(".bias") or "norm" in name.lower())
    return [weight for weight in model.parameters() if weight.requires_grad]


def _told(account: Cost, noise: float, rate: float, users: int, privacy: Privacy) -> dict[str, Any]:
    return {
        "unit": "user",
        "epsilon": round(account.epsilon, 4),
        "epsilon_by_pld": round(account.by_pld, 4),
        "epsilon_by_prv": round(account.by_prv, 4),
        "delta": account.delta,
        "noise": round(noise, 4),
        "rate": rate,
        "steps": privacy.steps,
        "clip": privacy.clip,
        "users": users,
        "covers": "the weights; not the counts on the card, and not the number of users",
    }
