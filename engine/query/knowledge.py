"""What the catalogue and the lexicon know, for whoever takes a query apart. Nothing on it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.index.codes import CodeIndex
from engine.index.lexical import LexicalIndex
from engine.index.values import ValuesIndex
from engine.index.vocabulary import VocabularyIndex
from engine.language import Word
from engine.lexicon import Lexicon

__all__ = ["Knowledge"]

_SHORTEST_BASE = 4
_MISTAKES = 2
"""Products that may have a word by mistake, or by the chance that a stem is another word's too."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """``currencies`` are those of the catalogue; ``semantic_languages`` those the encoder reads,
    ``english`` the words it knows."""

    codes: CodeIndex
    lexical: LexicalIndex
    values: ValuesIndex
    vocabulary: VocabularyIndex
    lexicon: Lexicon
    currencies: Sequence[str]
    semantic_languages: Sequence[str] = ("en",)
    english: frozenset[str] = frozenset()

    def has(self, word: Word) -> bool:
        """Return whether a word is one: known to the encoder, or written so in the catalogue, or by its stem in more
        products than mistakes are."""
        if any(form in self.english for form in _base_forms(word.text)):
            return True
        spread = self.lexical.spread(word)
        return spread > _MISTAKES or (spread > 0 and (word.han or self.vocabulary.has(word.text) or not word.text.isalpha()))


def _base_forms(word: str) -> Iterator[str]:
    """Yield a word and what it may be an inflection of."""
    yield word
    for ending in ("s", "es", "ed", "d", "er", "ers", "ing"):
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_BASE:
            yield word[: -len(ending)]
