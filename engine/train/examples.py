"""What an encoder learns from: queries with products and how well these answer them, on disk as plain lines.

    FOLDER/
      products.jsonl     {"id", "text"}: the text each product is embedded from
      train.jsonl        {"query", "product", "grade", "source", "kind"}
      test.jsonl         the same, kept back: no query of it, nor any that differs only in form, is in train.jsonl
      card.json          where it came from, counts, what was left out and why; written last

In: :class:`Example` values. Out: :class:`ExampleSet`. A grade runs from 0 (does not answer) to 1 (answers best). Knows
nothing of models.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from engine.errors import TrainingError
from engine.language import stem_of, words

__all__ = ["CATALOGUE", "Example", "ExampleSet", "fold_of", "leaks", "query_key", "read_examples", "split", "write_examples"]

CATALOGUE = "catalogue"
"""The source of examples that were made of a product's own words."""
_FILES = ("products.jsonl", "train.jsonl", "test.jsonl")


@dataclass(frozen=True, slots=True)
class Example:
    """A query, the id of a product and how well it answers. ``source`` says where it was learned, ``kind`` what sort of
    query it is (``head``, ``tail``, ``code``, …). ``user`` is a hash of whose it is, kept only where privacy asks for it."""

    query: str
    product: str
    grade: float
    source: str
    kind: str = ""
    user: str = ""


@dataclass(slots=True)
class ExampleSet:
    """Everything a training run reads. ``texts`` are product texts by id; ``card`` is what is known of how it was made."""

    texts: dict[str, str] = field(default_factory=dict)
    train: list[Example] = field(default_factory=list)
    test: list[Example] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of all that is learned from or measured on."""
        digest = hashlib.sha256()
        for line in (*_product_lines(self.texts), *_lines(self.train), b"\n", *_lines(self.test)):
            digest.update(line)
        return digest.hexdigest()


@lru_cache(maxsize=262_144)
def query_key(query: str) -> str:
    """Return what two queries share that differ only in form: ``laptop`` and ``Laptops`` are one."""
    return " ".join(sorted({stem_of(w) for w in words(query)}))


def fold_of(query: str, folds: int) -> int:
    """Return the fold of a query: queries of the same stems fall together."""
    return int.from_bytes(hashlib.sha256(query_key(query).encode()).digest()[:8], "big") % folds


def split(examples: Iterable[Example], folds: int = 5, kept_back: int = 0) -> tuple[list[Example], list[Example]]:
    """Deal examples into those to train on and those kept back, which is one fold of ``folds``, by their queries."""
    train: list[Example] = []
    test: list[Example] = []
    for example in examples:
        (test if fold_of(example.query, folds) == kept_back else train).append(example)
    return train, test


def leaks(train: Sequence[Example], test: Sequence[Example]) -> dict[str, int]:
    """Return how much of the test could have been learned by heart: queries of the same stems, which must be 0, pairs, and
    products that are an answer on both sides, which a catalogue cannot avoid."""
    known = {query_key(e.query) for e in train}
    pairs = {(query_key(e.query), e.product) for e in train}
    answers = {e.product for e in train if e.grade > 0}
    return {
        "queries": len({e.query for e in test if query_key(e.query) in known}),
        "pairs": sum((query_key(e.query), e.product) in pairs for e in test),
        "products": len({e.product for e in test if e.grade > 0} & answers),
    }


def counts(examples: Sequence[Example]) -> dict[str, Any]:
    """Return how many examples, queries and products there are, by source, kind and grade."""
    return {
        "examples": len(examples),
        "queries": len({e.query for e in examples}),
        "products": len({e.product for e in examples}),
        "by_source": dict(sorted(Counter(e.source for e in examples).items())),
        "by_kind": dict(sorted(Counter(e.kind for e in examples).items())),
        "by_grade": {f"{grade:g}": n for grade, n in sorted(Counter(e.grade for e in examples).items())},
    }


def write_examples(folder: Path, found: ExampleSet) -> dict[str, Any]:
    """Write a set into a folder and return its card, completed by counts and leaks.

    Raises:
        TrainingError: nothing is left to train on, the test repeats a training query, or the folder cannot be written.
    """
    if not any(e.grade > 0 for e in found.train):
        raise TrainingError("No example names a product that answers a query, so nothing can be learned. Give more data.")
    shared = leaks(found.train, found.test)
    if shared["queries"]:
        raise TrainingError(f"{shared['queries']} queries of the test are among those to train on. Split by query.")
    card = {**found.card, "train": counts(found.train), "test": counts(found.test), "shared_with_test": shared}
    card |= {"products": len(found.texts), "fingerprint": found.fingerprint}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.json").unlink(missing_ok=True)
        for name, lines in zip(_FILES, (_product_lines(found.texts), _lines(found.train), _lines(found.test)), strict=True):
            with (folder / name).open("wb") as stream:
                stream.writelines(lines)
        (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise TrainingError(f"The examples cannot be written to {folder}: {error.strerror or error}.") from error
    return card


def read_examples(folder: Path) -> ExampleSet:
    """Return the set of a folder.

    Raises:
        TrainingError: it is missing, incomplete or changed since it was written.
    """
    try:
        card = json.loads((folder / "card.json").read_bytes())
        products = {row["id"]: row["text"] for row in _rows(folder / "products.jsonl")}
        train, test = ([Example(**row) for row in _rows(folder / name)] for name in _FILES[1:])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TrainingError(f"{folder} holds no examples that can be read ({reason}). Make them with `daogou examples`.") from error
    found = ExampleSet(products, train, test, card)
    if found.fingerprint != card.get("fingerprint"):
        raise TrainingError(f"The examples in {folder} have changed since they were made. Make them again.")
    if missing := next((e.product for e in (*train, *test) if e.product not in products), None):
        raise TrainingError(f"{folder} has an example of the product {missing!r}, but not its text. Make the examples again.")
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as stream:
        yield from map(orjson.loads, stream)


def _product_lines(texts: Mapping[str, str]) -> list[bytes]:
    return [orjson.dumps({"id": i, "text": text}) + b"\n" for i, text in texts.items()]


def _lines(examples: Sequence[Example]) -> list[bytes]:
    fields = ("query", "product", "grade", "source", "kind", "user")
    return [orjson.dumps({n: v for n in fields if (v := getattr(e, n)) != ""}) + b"\n" for e in examples]
