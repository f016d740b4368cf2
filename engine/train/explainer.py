"""Train the small model that writes explanations with references.

In: a seed corpus, a catalogue, a folder. Out: a voice: the corpus, the model as two ONNX graphs, and a card. The corpus grows
over the catalogue: for a product, its slots and a need, the seeds' sentences that its slots can fill are joined, at references
too, and the best of many such explanations is what the model learns to write. Best says most of what was asked, in few words,
in the words of the department. Imports torch only when called. Knows nothing of snapshots.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import TrainingError
from engine.explain.evidence import Need, gather_evidence
from engine.explain.slots import ASKED, SLOT, SLOTS, Slot, fill_slots, referred
from engine.explain.wording import STOP, Seed, Wording, pieces, verb_of
from engine.explain.writer import BEGIN, CARD, DECODER, ENCODER, UNKNOWN, told
from engine.language import is_stop, language_of, words
from engine.lexicon import Lexicon
from engine.schema import Product, Understood
from engine.train.catalogue import catalogue_examples
from engine.train.steps import Step

__all__ = ["Lesson", "WriterRecipe", "drawn", "grow", "joined", "queries_of", "train_writer"]

_PAD = "<pad>"
_QUERIES = 4
_RARE = 3
_TRIES = 80
_PARTS = 3
_WANTED = 0.8
_OWN = 0.7
_NOISE = 0.3
_MOST = 6
_CROSSED = 0.25
_LIMITED = 0.4
_DROPPED = 0.25
_BORROWED = 0.06
_BORROWED_ASKED = 0.3
_SITUATIONS = 4000
_HELD_BACK = 20
_WARMUP = 0.05


@dataclass(frozen=True, slots=True)
class WriterRecipe:
    """How large the model is and how long it learns: ``lessons`` are explanations grown from the seeds."""

    lessons: int = 40_000
    epochs: float = 4.0
    batch_size: int = 64
    learning_rate: float = 7e-4
    width: int = 192
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the model is told and the pieces it should write."""

    told: tuple[str, ...]
    written: tuple[str, ...]


def drawn(products: Sequence[Product], most: int, seed: int) -> list[Product]:
    """Return up to ``most`` products, drawn by chance."""
    return random.Random(seed).sample(list(products), min(most, len(products)))


def queries_of(products: Sequence[Product], lexicon: Lexicon, seed: int) -> dict[str, list[tuple[str, str]]]:
    """Return queries that products could be asked for by, each with its language, by product id."""
    asked: dict[str, list[tuple[str, str]]] = {}
    for example in catalogue_examples(products, lexicon, _QUERIES, seed):
        asked.setdefault(example.product, []).append((example.query, language_of(example.query) or "en"))
    return asked


def grow(
    wording: Wording, products: Sequence[Product], asked: Mapping[str, Sequence[tuple[str, str]]], most: int, seed: int
) -> Iterator[Lesson]:
    """Yield up to ``most`` lessons; ``asked`` maps product ids to queries with their language.

    What a slot holds is not told to the model, so a product may lose some for a lesson and borrow others it does not have:
    that is how slots which few products of a catalogue have are learned.

    Raises:
        TrainingError: no product has a query.
    """
    chance = random.Random(seed)
    places = list(_situations(products, asked, min(most, _SITUATIONS), chance))
    if not places:
        raise TrainingError("No product of the catalogue has a query, so there is nothing to write about.")
    for _ in range(most):
        need, product, there = chance.choice(places)
        slots = {n: s for n, s in there.items() if s.asked or chance.random() > _DROPPED}
        for name in SLOTS:
            if name not in there and chance.random() < _BORROWED:
                slots[name] = Slot(name, "", (), chance.random() < _BORROWED_ASKED)
        if explanation := joined(wording.seeds[need.language], slots, product, chance):
            yield Lesson(tuple(told(need, product, slots)), tuple(_pieces(explanation)))


def _situations(
    products: Sequence[Product], asked: Mapping[str, Sequence[tuple[str, str]]], most: int, chance: random.Random
) -> Iterator[tuple[Need, Product, dict[str, Slot]]]:
    """Yield needs, products and their slots, each product beside others of its department."""
    usable = [p for p in products if asked.get(p.id)]
    beside: dict[tuple[str, ...], list[Product]] = {}
    for product in usable:
        beside.setdefault(product.category[:1], []).append(product)
    for _ in range(most if usable else 0):
        product = chance.choice(usable)
        query, language = chance.choice(list(asked[product.id]))
        need = Need(query, language, tuple(w.text for w in words(query) if not is_stop(w)), _limit(product, chance))
        near = beside[product.category[:1]]
        shown = list({p.id: p for p in (product, *chance.sample(near, min(3, len(near))))}.values())
        if slots := fill_slots(need, gather_evidence(need, product), shown):
            yield need, product, slots


def _limit(product: Product, chance: random.Random) -> tuple[Understood, ...]:
    """Return a price limit that the product keeps, or none."""
    price = product.current_price
    if price is None or chance.random() > _LIMITED:
        return ()
    limit = math.ceil(price.major * chance.choice((1.05, 1.2, 1.5)))
    return (Understood(kind="price", text=str(limit), start=0, end=0, filter=f"price:<={limit} && currency:={price.currency}"),)


def _pieces(explanation: Sequence[str]) -> Iterator[str]:
    for sentence in explanation:
        yield from pieces(sentence)
        yield STOP
    yield STOP


def joined(seeds: Sequence[Seed], slots: Mapping[str, Slot], product: Product, chance: random.Random) -> tuple[str, ...]:
    """Return the best of many explanations that the slots can fill, none where none can be.

    Each begins as a seed begins, often with what was asked for, and goes on with that seed's other sentences or with others.
    """
    usable = [(s, i, seed) for seed in seeds for i, s in enumerate(seed.sentences) if _can(s, slots)]
    firsts = [(s, seed) for s, i, seed in usable if i == 0]
    if not firsts:
        return ()
    asked = _asked(slots)
    wanted = [(s, seed) for s, seed in firsts if asked & set(_names(s))] or firsts
    own = {part.lower() for part in product.category}
    best: tuple[str, ...] = ()
    most = -math.inf
    for _ in range(_TRIES):
        first, seed = chance.choice(wanted if chance.random() < _WANTED else firsts)
        if chance.random() < _CROSSED:
            first = _crossed(first, chance.choice(usable)[0])
        parts, names = [first], _names(first)
        more = [s for s in seed.sentences[1:] if chance.random() < _OWN] + [chance.choice(usable)[0] for _ in range(2)]
        for other in more[: chance.choice((1, 1, 2, 3))]:
            parts.append(other)
            names += _names(other)
        if len(set(names)) < len(names) or len(parts) > _PARTS or not all(_can(part, slots) for part in parts):
            continue
        score = _worth(parts, set(names), slots) + (0.4 if seed.department.lower() in own else 0.0) + chance.gauss(0, _NOISE)
        if score > most:
            best, most = tuple(parts), score
    return best


def _asked(slots: Mapping[str, Slot]) -> set[str]:
    return {name for name, slot in slots.items() if slot.asked and name != "quote"}


def _names(sentence: str) -> list[str]:
    return [name.removesuffix(ASKED) for name in SLOT.findall(sentence)]


def _can(sentence: str, slots: Mapping[str, Slot]) -> bool:
    return all(referred(name, slots) is not None for name in SLOT.findall(sentence))


def _crossed(one: str, other: str) -> str:
    """Return the beginning of one sentence and the end of the other, joined at a reference that both have, before the verb in both
    or after it."""
    for match in SLOT.finditer(one):
        at = other.find(match.group())
        if at >= 0 and verb_of(one[: match.start()]) == verb_of(other[:at]):
            return one[: match.start()] + other[at:]
    return one


def _worth(parts: Sequence[str], names: set[str], slots: Mapping[str, Slot]) -> float:
    """Return how much an explanation says of what was asked, less what it costs to read."""
    asked = _asked(slots)
    opens = _names(parts[0])[0]
    return (
        3.0 * len(names & asked) / max(1, len(asked))
        + 0.5 * min(len(names), 5)
        - 0.6 * max(0, len(names) - _MOST)
        - 0.15 * len(parts)
        + 0.5 * (opens == "thing" or opens in asked)
        + 0.5 * bool(names & {"rank_price", "rank_weight", "former"})
        - 0.7 * ("kind" in names and "thing" in slots)
    )


def train_writer(
    wording: Wording,
    seeds_from: Path,
    lessons: Sequence[Lesson],
    out: Path,
    recipe: WriterRecipe = WriterRecipe(),
    *,
    note: Callable[[str], None] = lambda line: None,
    advance: Callable[[Step], None] = lambda step: None,
) -> dict[str, Any]:
    """Train on ``lessons``, write the voice into ``out`` and return its card.

    Raises:
        TrainingError: ``out`` is taken, or there are too few lessons.
    """
    import torch

    from engine.train.writer_model import Writer, export_writer

    if out.exists() and any(out.iterdir()):
        raise TrainingError(f"{out} is not empty. Choose another folder for the voice.")
    if len(lessons) < 2 * _HELD_BACK:
        raise TrainingError(f"{len(lessons)} explanations could be grown, which is too few. Give a larger catalogue.")
    torch.manual_seed(recipe.seed)
    counted = Counter(t for lesson in lessons for t in lesson.told)
    reads = [_PAD, UNKNOWN, *sorted(t for t, n in counted.items() if n >= _RARE or t.startswith(("{", "<", "|")))]
    writes = [_PAD, BEGIN, *wording.vocabulary()]
    model = Writer(len(reads), len(writes), recipe.width, recipe.layers, recipe.heads, recipe.dropout)
    rows = [_row(lesson, {t: i for i, t in enumerate(reads)}, {p: i for i, p in enumerate(writes)}) for lesson in lessons]
    held, learned = rows[:: len(rows) // _HELD_BACK], [r for i, r in enumerate(rows) if i % (len(rows) // _HELD_BACK)]
    started = time.monotonic()
    losses = _steps(model, learned, recipe, advance)
    model.eval()
    with torch.no_grad():
        held_loss = float(np.mean([float(_loss(model, [row])) for row in held]))
    note("Exporting")
    unfinished = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for language in ("en", "zh"):
        shutil.copyfile(seeds_from / f"{language}.tsv", unfinished / f"{language}.tsv")
    export_writer(model, unfinished / ENCODER, unfinished / DECODER)
    card = {
        "recipe": asdict(recipe),
        "seeds": {language: len(seeds) for language, seeds in wording.seeds.items()},
        "lessons": len(lessons),
        "parameters": sum(p.numel() for p in model.parameters()),
        "loss": round(float(np.mean(losses[-50:])), 4),
        "held_back_loss": round(held_loss, 4),
        "seconds": round(time.monotonic() - started, 1),
    }
    whole = {**card, "reads": reads, "writes": writes}
    (unfinished / CARD).write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", "utf-8")
    if out.exists():
        out.rmdir()
    unfinished.rename(out)
    return card


Row = tuple[list[int], list[int]]


def _row(lesson: Lesson, reads: Mapping[str, int], writes: Mapping[str, int]) -> Row:
    return [reads.get(t, reads[UNKNOWN]) for t in lesson.told], [writes[BEGIN], *(writes[p] for p in lesson.written)]


def _padded(rows: Sequence[Sequence[int]]) -> Any:
    import torch

    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])


def _loss(model: Any, batch: Sequence[Row]) -> Any:
    import torch

    read, written = _padded([r for r, _ in batch]), _padded([w for _, w in batch])
    logits = model(read, written[:, :-1])
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), written[:, 1:].flatten(), ignore_index=0)


def _steps(model: Any, rows: list[Row], recipe: WriterRecipe, advance: Callable[[Step], None]) -> list[float]:
    """Train and return the loss of each step; rows of like length share a step, so that little is padded."""
    import torch

    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate)
    total = max(1, round(recipe.epochs * len(rows) / recipe.batch_size))
    chance, order = random.Random(recipe.seed), list[list[Row]]()
    losses: list[float] = []
    started = time.monotonic()
    model.train()
    for number in range(total):
        if not order:
            mixed = sorted(chance.sample(rows, len(rows)), key=lambda row: len(row[1]))
            order = [mixed[i : i + recipe.batch_size] for i in range(0, len(mixed), recipe.batch_size)]
            chance.shuffle(order)
        warm = max(1, int(_WARMUP * total))
        rate = recipe.learning_rate * min((number + 1) / warm, max(0.0, (total - number) / max(1, total - warm)))
        for part in optimiser.param_groups:
            part["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        loss = _loss(model, order.pop())
        if not bool(torch.isfinite(loss)):
            raise TrainingError(f"The loss is {float(loss)} at step {number + 1}: training diverged. Use a smaller learning rate.")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        took = time.monotonic() - started
        done = (number + 1) * recipe.batch_size
        advance(Step(number + 1, total, losses[-1], rate, done / took, took / (number + 1) * (total - number - 1)))
    return losses
