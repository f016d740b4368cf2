"""The values of a catalogue as shoppers say them: which words name a brand, a colour, a size, a material.

Nothing here is a fixed list. A value of a text attribute is taken as one that shoppers say when the products that
have it also say it: of the titles that mention the words, a fair share have the value (``black`` does, ``box`` as a
kind of packaging does not). Values that the lexicon knows as colours, materials, people or qualities need no such
evidence. A value such as ``Black, Silver`` counts for both.

On disk: ``values/values.tsv`` with field, label, spoken part and its share. Knows nothing of queries.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.index.snapshot import Part
from engine.language import Word, fold, stem_of, words
from engine.lexicon import Lexicon, Phrase, Phrases
from engine.schema import Product

__all__ = ["Value", "ValuesBuilder", "ValuesIndex"]

_SPLIT = re.compile(r"\s*(?:[,/、，;；|&+]|\band\b)\s*")
_UNSPOKEN = re.compile(r"https?:|www\.|\d{4}-\d\d-\d\d|[\d\W_]+$")
_LONGEST = 30
_MOST_WORDS = 4
_EVIDENCE = 0.3
_KNOWN_KINDS = frozenset({"color", "material", "quality", "person", "season", "brand"})
_NEVER_KINDS = frozenset({"thing", "accessory"})
_NEVER_FIELDS = frozenset({"condition", "img_high", "img_low", "img_thumb"})
_SIZES = frozenset("xxs xs s m l xl xxl xxxl 2xl 3xl 4xl".split())


@dataclass(frozen=True, slots=True)
class Value:
    """``label`` of ``field`` is said with the phrase it was found under; ``share`` in [0, 1] is how surely."""

    field: str
    label: str
    share: float


class ValuesBuilder:
    """Collects values (:meth:`add`), then how often titles say them (:meth:`hear`); :meth:`save` writes them."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._counts: Counter[tuple[str, str]] = Counter()
        self._parts: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._phrases: Phrases[str] | None = None
        self._mentioned: Counter[str] = Counter()
        self._agreed: Counter[tuple[str, str]] = Counter()

    def add(self, product: Product) -> None:
        """Add the values of the next product."""
        for field, label in _labels(product):
            self._counts[field, label] += 1

    def hear(self, product: Product) -> None:
        """Compare the title of a product with its values; called for every product once all were added."""
        if self._phrases is None:
            self._phrases = self._heard_for()
        said = {p for found in self._phrases.find(product.title, words(product.title)) for p in found.means}
        if not said:
            return
        self._mentioned.update(said)
        own = set(_labels(product))
        for part in said:
            self._agreed.update((part, field) for field in {f for f, label in self._parts[part] if (f, label) in own})

    def _heard_for(self) -> Phrases[str]:
        phrases: Phrases[str] = Phrases()
        for field, label in self._counts:
            for part in {label, *_SPLIT.split(label)}:
                key = _key(part)
                if key and len(key.split()) <= _MOST_WORDS and not _UNSPOKEN.match(part):
                    if key not in self._parts:
                        phrases.add(part, key)
                    self._parts[key].add((field, label))
        return phrases

    def save(self, folder: Path) -> dict[str, int]:
        """Write the values into ``folder`` and return their count."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = sorted(line for part in self._parts for line in self._lines(part))
        (folder / "values.tsv").write_text("\n".join(lines), "utf-8")
        return {"values": len(lines)}

    def _lines(self, part: str) -> Iterator[str]:
        kinds = {entry.kind for entry in self._lexicon.get(part)}
        by_field: Counter[str] = Counter()
        for field, label in self._parts[part]:
            by_field[field] += self._counts[field, label]
        for field, label in self._parts[part]:
            share = self._agreed[part, field] / self._mentioned[part] if self._mentioned[part] else 0.0
            known = bool(kinds & _KNOWN_KINDS) and not kinds & _NEVER_KINDS
            sized = field == "size" and (part in _SIZES or len(part) > 1)
            heard = share >= _EVIDENCE and (by_field[field] > 1 or field == "brand") and not kinds & _NEVER_KINDS
            if field == "brand" or known or heard or sized:
                yield "\t".join((field, label, part, f"{max(share, 0.99 * (field == 'brand')):.3f}"))


def _labels(product: Product) -> Iterator[tuple[str, str]]:
    if product.brand:
        yield "brand", product.brand
    for field, values in product.attributes.items():
        if field not in _NEVER_FIELDS:
            for value in values:
                if isinstance(value, str) and len(label := " ".join(value.split())) <= _LONGEST:
                    yield field, label


def _key(part: str) -> str:
    return " ".join(stem_of(w) for w in words(fold(part)[0]))


class ValuesIndex:
    """The saved values of all parts of a snapshot. Thread-safe: nothing on it changes."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._phrases: Phrases[Value] = Phrases()
        shares: dict[tuple[str, str, str], float] = {}
        for folder in (part.folder / "values" for part in parts):
            lines = (folder / "values.tsv").read_text("utf-8").split("\n")
            for field, label, said, share in (line.split("\t") for line in lines if line):
                shares.setdefault((field, label, said), float(share))
        for (field, label, said), known in sorted(shares.items(), key=lambda s: (-s[1], s[0][0], s[0][1])):
            self._phrases.add(said, Value(field, label, known))

    def find(self, text: str, found: Sequence[Word]) -> list[Phrase[Value]]:
        """Return the values that a text names, left to right, longest first, without overlaps."""
        return self._phrases.find(text, found)

    def get(self, phrases: Iterable[str]) -> list[Value]:
        """Return the values that any of the phrases names."""
        return [value for phrase in phrases for value in self._phrases.get(phrase)]
