"""The steps of a training run: how many, in which order, at which rate, and how one that was killed goes on.

In: a model, the groups it learns from, and a function that adds the gradient of some of them. Out: the model trained,
:class:`Taken`, and what a card says of any run. Knows nothing of what is learned.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.encoder.source import SourceModel
from engine.errors import TrainingError
from engine.train.checkpoint import load_checkpoint, save_checkpoint
from engine.train.groups import Group
from engine.train.world import World

__all__ = ["Pace", "Progress", "Step", "Taken", "run_figures", "run_identity", "take_steps"]

_WARMUP = 0.1
_DECAY = 0.01
_CLIP = 1.0
_PROBED_STEPS = 3
_CHECKPOINT = "checkpoint"
_CHANGE_NO_STEP = ("memory_mb", "checkpoint_every", "minutes")
"""Settings that may be others when a killed run goes on."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to train and how fast: ``steps``, or as many as ``epochs`` over the groups need.

    ``minutes`` ends a run by cutting its steps to what the machine does in that time, measured at the start; the card names
    the ``steps``, which give the same model again.
    """

    epochs: float = 1.0
    steps: int = 0
    minutes: float = 0.0
    batch_size: int = 64
    learning_rate: float = 5e-5
    checkpoint_every: int = 200
    seed: int = 0

    def rate_at(self, number: int, total: int) -> float:
        """Return the learning rate of a step: it rises for a tenth of the steps and falls to 0."""
        rise = max(1, int(_WARMUP * total))
        return self.learning_rate * min((number + 1) / rise, max(0.0, (total - number) / max(1, total - rise)))


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
class Taken:
    """The loss of each step, and examples a second, ``None`` where no step was left to take."""

    losses: tuple[float, ...]
    rate: float | None


Progress = Callable[[Step], None]
Backward = Callable[[Sequence[Group]], float]
"""Adds the gradient of a loss over some groups to the weights and returns the loss."""


def run_identity(kind: str, model: str, examples: str, pace: Pace) -> str:
    """Return what tells a run from another: ``kind`` of model, fingerprints of where it begins and of what it learns, its pace."""
    told = {**asdict(pace), **dict.fromkeys(_CHANGE_NO_STEP, 0)}
    return hashlib.sha256(json.dumps([kind, model, examples, told], sort_keys=True).encode()).hexdigest()


def run_figures(model: SourceModel, examples: str, pace: Pace, taken: Taken, world: World) -> dict[str, Any]:
    """Return what a card says of any run; ``examples`` is their fingerprint."""
    recipe = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(pace).items()}
    return {
        "model": model.name,
        "model_fingerprint": model.fingerprint,
        "examples_fingerprint": examples,
        "recipe": {**recipe, "steps": len(taken.losses), "minutes": 0.0},
        "examples_per_second": taken.rate,
        "devices": world.size,
        "languages": list(model.languages),
    }


def take_steps(
    model: Any,
    backward: Backward,
    groups: Sequence[Group],
    pace: Pace,
    work: Path,
    identity: str,
    *,
    world: World = World(),
    note: Callable[[str], None] = lambda line: None,
    advance: Progress = lambda step: None,
) -> Taken:
    """Train what of ``model`` can be trained. Checkpoints lie in ``work``, the last one too: whatever comes after the steps may
    fail, and is then begun again without them. Who writes the model down removes ``work``.

    ``identity`` tells this run from another whose checkpoint may lie there.

    Raises:
        TrainingError: training diverged, or ``work`` holds another run.
    """
    import torch

    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=pace.learning_rate, weight_decay=_DECAY)
    saved = work / _CHECKPOINT
    if not world.leads:
        world.wait()  # the one that leads may have to put back a checkpoint
    state = load_checkpoint(saved, model, optimiser)
    if world.leads:
        world.wait()
    if state is not None and state["run"] != identity:
        raise TrainingError(f"{saved} is of another run: other examples, model or settings. Delete it, or choose another folder.")
    order = _Order(groups, pace)
    if state:
        total = state["total"]
        note(f"Going on after step {len(state['losses'])} of {total}")
    else:
        total = int(world.same(np.array([_total(backward, order, pace, note)]), model.device)[0])
        optimiser.zero_grad(set_to_none=True)
    losses: list[float] = list(state["losses"]) if state else []
    started, first, done, took = time.monotonic(), len(losses), 0, 0.0
    for number in range(first, total):
        for part in optimiser.param_groups:
            part["lr"] = pace.rate_at(number, total)
        optimiser.zero_grad(set_to_none=True)
        loss = backward(order.batch(number))
        if not np.isfinite(loss):
            raise TrainingError(f"The loss is {loss} at step {number + 1}: training diverged. Use a smaller learning rate.")
        _exchange(learned, world)
        torch.nn.utils.clip_grad_norm_(learned, _CLIP)
        optimiser.step()
        losses.append(loss)
        done += pace.batch_size
        took = time.monotonic() - started
        left = took / (number + 1 - first) * (total - number - 1)
        advance(Step(number + 1, total, loss, pace.rate_at(number, total), done / took, left))
        if world.leads and ((number + 1) % pace.checkpoint_every == 0 or number + 1 == total):
            save_checkpoint(saved, model, optimiser, {"run": identity, "total": total, "losses": losses})
    world.wait()
    return Taken(tuple(losses), round(done / took, 1) if done else None)


def _exchange(learned: Sequence[Any], world: World) -> None:
    """Add up the gradients of all processes; a parameter that none has one of keeps none."""
    if world.size == 1:
        return
    import torch

    had = torch.tensor([float(parameter.grad is not None) for parameter in learned], device=learned[0].device)
    world.add(had)
    for parameter, anywhere in zip(learned, had.tolist(), strict=True):
        if anywhere:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            world.add(parameter.grad)


class _Order:
    """Which groups come when: every pass has its own order, drawn from the seed, and ends where the next begins."""

    def __init__(self, groups: Sequence[Group], pace: Pace) -> None:
        self.groups, self._pace = groups, pace
        self._turn, self._places = -1, list[int]()

    def batch(self, number: int) -> list[Group]:
        """Return the groups of a step."""
        size, count = self._pace.batch_size, len(self.groups)
        return [self.groups[self._pass(p // count)[p % count]] for p in range(number * size, (number + 1) * size)]

    def _pass(self, turn: int) -> list[int]:
        if self._turn != turn:
            every = range(len(self.groups))
            self._turn, self._places = turn, random.Random(f"{self._pace.seed} {turn}").sample(every, len(every))
        return self._places


def _total(backward: Backward, order: _Order, pace: Pace, note: Callable[[str], None]) -> int:
    """Return the number of steps: as many as asked for, or what the epochs give, or what the minutes allow."""
    if pace.steps:
        return pace.steps
    wanted = max(1, round(pace.epochs * len(order.groups) / pace.batch_size))
    if not pace.minutes:
        return wanted
    per_step = _seconds_a_step(backward, order)
    affordable = max(1, int(pace.minutes * 60 / per_step))
    if affordable < wanted:
        note(f"{pace.minutes:g} minutes allow {affordable} of {wanted} steps on this machine ({per_step:.2f} s each).")
    return min(wanted, affordable)


def _seconds_a_step(backward: Backward, order: _Order) -> float:
    backward(order.batch(0))
    started = time.perf_counter()
    for number in range(_PROBED_STEPS):
        backward(order.batch(number))
    return (time.perf_counter() - started) / _PROBED_STEPS
