"""The words of a catalogue as they are written, for correcting those of a query that no product has.

English words are compared by restricted Damerau-Levenshtein distance (rapidfuzz), Chinese ones by their
pronunciation (pypinyin, without tones): ``lanya erji`` and the homophone ``蓝呀`` both mean ``蓝牙``.

On disk: ``vocabulary/words.tsv`` with word, number of products and, for Chinese, its pinyin. Knows nothing of queries.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.distance import OSA

from engine.index.snapshot import Part
from engine.language import words
from engine.lexicon import Lexicon
from engine.schema import Product

__all__ = ["VocabularyBuilder", "VocabularyIndex", "pinyin"]

_LATIN = re.compile(r"[^\W\d_]{3,24}")
_TOLD = 5
"""Products whose descriptions must have a word: descriptions hold more mistakes than titles."""
_READ = 500
_MOST = 200_000
_SPLIT_SEEN = 5
_MOST_SYLLABLES = 8
_SHORTEST = 3


def pinyin(text: str) -> str:
    """Return how a Chinese text is pronounced, without tones, in one piece: ``蓝牙`` is ``lanya``."""
    from pypinyin import lazy_pinyin  # slow to import, and most queries need none

    return "".join(lazy_pinyin(text))


def _likely(typed: str, meant: str) -> float:
    """Return how likely a slip is: letters are rather swapped or left out than added or replaced, and seldom the first."""
    swapped = len(typed) == len(meant) and sorted(typed) == sorted(meant)
    left_out = len(typed) < len(meant)
    return (5.0 if swapped else 2.0 if left_out else 1.0) * (3.0 if typed[0] == meant[0] else 1.0)


class VocabularyBuilder:
    """Collects products one at a time; :meth:`save` writes the words."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._counts: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._han: Counter[str] = Counter()

    def add(self, product: Product) -> None:
        """Add the words of the next product's title, brand and category."""
        found = words(" ".join((product.title, product.brand, *product.category)))
        self._counts.update({w.text for w in found if not w.han and _LATIN.fullmatch(w.text)})
        told = words(product.description[:_READ])
        self._told.update({w.text for w in told if not w.han and _LATIN.fullmatch(w.text)})
        self._han.update({w.text for w in found if w.han and len(w.text) > 1})

    def save(self, folder: Path) -> dict[str, int]:
        """Write the words into ``folder`` and return their count."""
        folder.mkdir(parents=True, exist_ok=True)
        for entry in self._lexicon.entries:
            self._han.update({p for p in entry.zh if 2 <= len(p) <= 6 and not p.isascii()})
        counts = {w: n for w, n in self._told.items() if n >= _TOLD}
        counts |= {w: max(n, counts.get(w, 0)) for w, n in self._counts.items()}
        for word in {w.text for e in self._lexicon.entries for p in e.en for w in words(p) if _LATIN.fullmatch(w.text)}:
            counts.setdefault(word, 1)
        lines = [f"{w}\t{n}\t" for w, n in Counter(counts).most_common(_MOST)]
        lines += [f"{w}\t{n}\t{pinyin(w)}" for w, n in self._han.most_common(_MOST)]
        (folder / "words.tsv").write_text("\n".join(sorted(lines)), "utf-8")
        return {"vocabulary": len(lines)}


class VocabularyIndex:
    """The saved words of all parts of a snapshot. Thread-safe: nothing on it changes."""

    def __init__(self, parts: Sequence[Part]) -> None:
        counts: Counter[tuple[str, str]] = Counter()
        for folder in (part.folder / "vocabulary" for part in parts):
            lines = (folder / "words.tsv").read_text("utf-8").split("\n")
            counts.update({(word, sound): int(n) for word, n, sound in (line.split("\t") for line in lines if line)})
        self._counts = {word: n for (word, sound), n in counts.items() if not sound}
        self._words = list(self._counts)
        self._said: dict[str, str] = {}
        self._written = {word for word, sound in counts if sound}
        for word, sound in sorted((w for w in counts if w[1]), key=lambda w: (-counts[w], w[0])):
            self._said.setdefault(sound, word)
        self._longest = max(map(len, self._said), default=0)

    def has_chinese(self, word: str) -> bool:
        """Return whether a Chinese word is known."""
        return word in self._written

    def has(self, word: str) -> bool:
        """Return whether an English word is written so in the catalogue or the lexicon."""
        return word in self._counts

    def candidates(self, word: str) -> list[str]:
        """Return what was probably meant by an unknown word, the likeliest first: two words for two written as one too."""
        if not _LATIN.fullmatch(word) or len(word) < 4:
            return []
        most = 1 if len(word) < 7 else 2
        found = process.extract(word, self._words, scorer=OSA.distance, score_cutoff=most, limit=200)
        found = [f for f in found if len(f[0]) > _SHORTEST]
        near = sorted(found, key=lambda f: (f[1], -self._counts[f[0]] * _likely(word, f[0]), f[0]))
        joined = self._split(word)
        first = [f[0] for f in near if f[1] == 1]
        return [*first, *([joined] if joined else []), *(f[0] for f in near if f[1] > 1)]

    def _split(self, word: str) -> str:
        pairs = [(word[:i], word[i:]) for i in range(3, len(word) - 2)]
        known = [(a, b) for a, b in pairs if min(self._counts.get(a, 0), self._counts.get(b, 0)) >= _SPLIT_SEEN]
        best = max(known, key=lambda p: min(self._counts[p[0]], self._counts[p[1]]), default=None)
        return " ".join(best) if best else ""

    def spoken(self, sound: str) -> str:
        """Return the Chinese words that are pronounced so, from as few pieces as possible, or ``""``."""
        best: list[tuple[str, ...] | None] = [(), *[None] * len(sound)]
        for end in range(1, len(sound) + 1):
            for start in range(max(0, end - self._longest), end):
                head, word = best[start], self._said.get(sound[start:end])
                if head is not None and word and len(head) < _MOST_SYLLABLES:
                    here = best[end]
                    if here is None or len(head) + 1 < len(here):
                        best[end] = (*head, word)
        return "".join(best[-1] or ()) if sound else ""

    def homophone(self, text: str) -> str:
        """Return the known Chinese word pronounced like an unknown one, or ``""``."""
        word = self._said.get(pinyin(text), "")
        return word if word != text and len(word) == len(text) else ""
