"""Phrases that mean the same in English and Chinese: from tables of terms, put together anew, and inside real titles.

In: :class:`~engine.lexicon.Entry` and product texts. Out: :class:`Pair`. Terms alone teach words; ``red hiking jacket``
and a title half in Chinese teach how words stand together (code-switching as in Krishnan et al., *Multilingual
Code-Switching for Zero-Shot Cross-Lingual Intent Prediction*, 2021). Knows nothing of models.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from engine.language import folded_line, language_of, replaced, words
from engine.lexicon import Entry, Lexicon, other_forms

__all__ = ["Pair", "composed", "switched", "terms_of"]

_THINGS = frozenset({"thing", "accessory"})
_BEFORE = frozenset({"color", "material", "quality", "person", "season", "brand", "value"})
_LONGEST_VALUE = 4
_TITLE_WORDS = 12


@dataclass(frozen=True, slots=True)
class Pair:
    """The same in English and in simplified Chinese; ``zh`` may hold words of other scripts too."""

    en: str
    zh: str


def terms_of(entries: Iterable[Entry]) -> list[Pair]:
    """Return every way to say every entry, each once, traditional characters folded to simplified ones."""
    ways = ((en, folded_line(zh)) for entry in entries for en in entry.en for zh in entry.zh)
    return [Pair(en, zh) for en, zh in dict.fromkeys(ways) if language_of(zh) == "zh"]


def composed(entries: Sequence[Entry], count: int, seed: int) -> list[Pair]:
    """Return ``count`` things with one or two words before them: ``black leather wallet``, ``黑色皮革钱包``."""
    chance = random.Random(seed)
    things = [e for e in entries if e.kind in _THINGS and _short(e)]
    before = [e for e in entries if e.kind in _BEFORE and _short(e)]
    if not things or not before:
        return []
    return [_phrase(chance, things, before) for _ in range(count)]


def _short(entry: Entry) -> bool:
    return len(entry.en[0].split()) <= _LONGEST_VALUE and bool(entry.zh)


def _phrase(chance: random.Random, things: Sequence[Entry], before: Sequence[Entry]) -> Pair:
    thing = chance.choice(things)
    chosen = chance.sample(before, min(len(before), chance.choice((1, 1, 2))))
    en = " ".join(chance.choice(e.en) for e in (*chosen, thing))
    joint = chance.choice(("", "", "的", " "))
    zh = "".join(chance.choice(e.zh) for e in chosen) + joint + chance.choice(thing.zh)
    return Pair(en.lower(), folded_line(zh))


def switched(texts: Sequence[str], lexicon: Lexicon, count: int, seed: int) -> list[Pair]:
    """Return ``count`` pieces of English ``texts`` beside the same with what the lexicon knows put into Chinese."""
    chance = random.Random(seed)
    found = _switched(chance, [t for t in texts if language_of(t) == "en"], lexicon)
    return [pair for pair, _ in zip(found, range(count), strict=False)]


def _switched(chance: random.Random, texts: Sequence[str], lexicon: Lexicon) -> Iterator[Pair]:
    for text in chance.sample(texts, len(texts)):
        piece = _piece(chance, text)
        phrases = lexicon.find(piece, words(piece))
        chosen = [p for p in phrases if chance.random() < 0.8 and other_forms(p, han=False)]
        if not chosen:
            continue
        changes = [(p.start, p.end, chance.choice(other_forms(p, han=False))) for p in chosen]
        yield Pair(piece, folded_line(replaced(piece, changes)))


def _piece(chance: random.Random, text: str) -> str:
    """Return some neighbouring words of a text."""
    found = text.split()
    size = chance.randint(2, _TITLE_WORDS)
    first = chance.randint(0, max(0, len(found) - size))
    return " ".join(found[first : first + size])
