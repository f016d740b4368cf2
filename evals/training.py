"""Train an encoder, choose how much of what it learned to keep, measure it, and write it down.

In: examples, a recipe and a folder. Out: a sentence-transformers model in the folder, with ``training.json`` (data, settings,
figures, hardware), ``training.png`` (the curve) and no figure on queries that were trained on. The folder appears complete
or not at all. Knows nothing of snapshots; whether a shop may serve the model is decided by :mod:`evals.encoder_gate`.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.encoder.source import TRAINING, encode_original, find_source, load_original, no_bars
from engine.errors import TrainingError
from engine.train.encoder import Recipe, Trained, mixed, train_encoder
from engine.train.examples import CATALOGUE, Example, ExampleSet, fold_of, query_key
from engine.train.private import Privacy, train_private
from engine.train.steps import Step
from engine.train.world import device_count, run_together
from evals.curve import draw_curve
from evals.encoders import EncoderScores, compare_scores, score_encoder

__all__ = [
    "SHARES",
    "UNSURE",
    "divided",
    "free_place",
    "hardware",
    "put_in_place",
    "refuse_users",
    "score_model",
    "thinned",
    "train_and_measure",
    "train_privately",
    "worth_learning",
]

SHARES = (1.0, 0.75, 0.5, 0.25)
UNSURE = 0.5
"""Kept of what few judgements taught, where nothing tells how much should be: half did better than all of it (evals/LOG.md)."""
_MADE = 10_000
_VALID_FOLDS = 11
_LEAST_VALID = 20
_LONGEST = 8192


def train_and_measure(
    model: str,
    examples: ExampleSet,
    out: Path,
    recipe: Recipe,
    *,
    share: float = -1.0,
    device: str = "auto",
    devices: int = 0,
    note: Callable[[str], None] = lambda line: None,
    advance: Callable[[Step], None] = lambda step: None,
) -> dict[str, Any]:
    """Train, choose, measure and write; return the card.

    Raises:
        EncoderError: there is no such model.
        TrainingError: ``out`` is taken, the examples or the recipe cannot be used, or training diverged.
    """
    if share > 1:
        raise TrainingError(f"A share of {share} of what was learned cannot be kept. Choose one from 0 to 1.")
    refuse_users(examples)
    place = free_place(out, device)
    started = time.monotonic()
    learned, valid = divided(examples.train) if share < 0 else (examples.train, [])
    work = out.with_name(f"{out.name}.training")
    told = {"note": note, "advance": advance}
    given = (model, replace(examples, train=learned), work, recipe)
    trained = run_together(train_encoder, given, device_count(place, devices), place, told)
    tried: dict[str, float] = {}
    if share >= 0:
        chosen = share
    elif valid:
        note("Choosing how much of what was learned to keep")
        chosen, tried = _best_share(trained, valid, examples)
    else:
        chosen = 1.0 if all(e.source == CATALOGUE for e in learned) else UNSURE
    mixed(trained, 0.0)
    test: list[dict[str, Any]] = []
    before = score_model(trained.model, examples.test, examples.texts) if examples.test else None
    mixed(trained, chosen)
    if before is not None:
        note("Measuring on queries kept back")
        test = compare_scores(before, score_model(trained.model, examples.test, examples.texts))
    card = {
        **trained.figures,
        "share": chosen,
        "shares_tried": tried,
        "test": test,
        "data": examples.card,
        "loss": thinned(trained.losses),
        "hardware": hardware(place),
        "seconds": round(time.monotonic() - started, 1),
    }
    _write(trained.model, out, work, card)
    return card


def train_privately(
    model: str,
    examples: ExampleSet,
    out: Path,
    privacy: Privacy,
    *,
    device: str = "auto",
    note: Callable[[str], None] = lambda line: None,
    advance: Callable[[int, int, str], None] = lambda step, steps, told: None,
) -> dict[str, Any]:
    """Train with differential privacy, measure on queries of nobody in particular, and write; return the card.

    The card shows no losses and no score on the users' own queries, which the account of ε does not cover.

    Raises:
        EncoderError: there is no such model.
        MissingExtraError: the accountants are not installed.
        TrainingError: ``out`` is taken, or an ε would not be true.
    """
    place = free_place(out, device)
    if any(e.user for e in examples.test):
        raise TrainingError("The test has queries of users, whose scores no ε covers. Measure on judged queries.")
    started = time.monotonic()
    source = find_source(model)
    loaded = load_original(source, max_tokens=_LONGEST, device=place)
    before = score_model(loaded, examples.test, examples.texts) if examples.test else None
    note("Working out the noise")
    account = train_private(loaded, examples.train, examples.texts, privacy, advance=advance)
    loaded.eval()
    test = compare_scores(before, score_model(loaded, examples.test, examples.texts)) if before is not None else []
    card = {
        "model": source.name,
        "model_fingerprint": source.fingerprint,
        "languages": list(source.languages),
        "privacy": account,
        "share": 1.0,
        "test": test,
        "data": examples.card,
        "hardware": hardware(place),
        "seconds": round(time.monotonic() - started, 1),
    }
    _write(loaded, out, out.with_name(f"{out.name}.training"), card)
    return card


def worth_learning(examples: ExampleSet, seed: int = 0) -> ExampleSet:
    """Return what one pass does well over: everything, but of queries that a catalogue alone gave ten thousand, drawn by chance.
    What is learned of these first helps whole searches, and what is learned later takes it away again (evals/LOG.md)."""
    answered = [e for e in examples.train if e.grade > 0]
    if len(answered) <= _MADE or any(e.source != CATALOGUE for e in answered):
        return examples
    return replace(examples, train=random.Random(seed).sample(examples.train, _MADE))


def refuse_users(examples: ExampleSet) -> None:
    """Refuse to train without privacy on what single users chose.

    Raises:
        TrainingError: an example names one.
    """
    if any(e.user for e in (*examples.train, *examples.test)):
        raise TrainingError("These examples name users. Train on them with --dp-epsilon, or make others without --per-user.")


def free_place(out: Path, device: str) -> str:
    """Return where to train, once it is sure that there is such a place and that ``out`` is free."""
    import torch

    if out.exists() and any(out.iterdir()):
        raise TrainingError(f"{out} is not empty. Choose another folder for the model.")
    place = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    if device == "cuda" and place == "cpu":
        raise TrainingError("No CUDA device was found. Set --device to auto or cpu.")
    return place


def divided(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return what is trained on and what chooses the share: every eleventh query that was not made of a
    product's own words, where that is enough."""
    valid = [e for e in examples if e.source != CATALOGUE and fold_of(e.query, _VALID_FOLDS) == 0]
    if len({e.query for e in valid if e.grade > 0}) < _LEAST_VALID:
        return list(examples), []
    kept = {query_key(e.query) for e in valid}
    return [e for e in examples if query_key(e.query) not in kept], valid


def _best_share(trained: Trained, valid: Sequence[Example], examples: ExampleSet) -> tuple[float, dict[str, float]]:
    tried: dict[str, float] = {}
    for share in SHARES:
        mixed(trained, share)
        scores = score_model(trained.model, valid, examples.texts)
        tried[f"{share:g}"] = round(float(np.mean([values.mean() for values in scores.values.values()])), 4)
    return max(SHARES, key=lambda share: (tried[f"{share:g}"], share)), tried


def score_model(model: Any, examples: Sequence[Example], texts: Mapping[str, str]) -> EncoderScores:
    """Score a loaded ``SentenceTransformer`` on ``examples`` with the texts of their products and of others to look among."""

    def encode(name: str) -> Callable[[Sequence[str]], Any]:
        return lambda given: encode_original(model, str(model.prompts.get(name) or ""), given, 64)

    return score_encoder(encode("query"), encode("document"), examples, texts)


def thinned(losses: Sequence[float]) -> list[float]:
    """Return the losses as at most fifty, each the mean of as many steps."""
    parts = np.array_split(np.array(losses), min(50, len(losses))) if losses else []
    return [round(float(part.mean()), 4) for part in parts]


def hardware(place: str) -> str:
    """Return in words what it was trained on; what that costs the climate is not guessed at."""
    import torch

    if place == "cuda":
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}"
    return f"{torch.get_num_threads()} threads of {platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _write(model: Any, out: Path, work: Path, card: dict[str, Any]) -> None:
    """Save the model beside ``out`` and put it in place."""
    unfinished = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with no_bars():
        model.to("cpu").save(str(unfinished), create_model_card=False)
    put_in_place(unfinished, out, work, card)


def put_in_place(unfinished: Path, out: Path, work: Path, card: dict[str, Any]) -> None:
    """Add curve and card to a finished folder, let ``out`` be it, and remove the checkpoints in ``work``."""
    if "loss" in card:
        draw_curve(card["loss"], card["recipe"]["steps"], unfinished / "training.png")
    (unfinished / TRAINING).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if out.exists():
        out.rmdir()
    unfinished.rename(out)
    shutil.rmtree(work, ignore_errors=True)
