"""What the catalogue and the lexicon know, for whoever takes a query apart. Nothing on it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.index.codes import CodeIndex
from engine.index.lexical import LexicalIndex
from engine.index.values import ValuesIndex
from engine.index.vocabulary import VocabularyIndex
from engine.language import Word
from engine.lexicon import Lexicon

__all__ = ["Knowledge"]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """``currencies`` are those of the catalogue; ``semantic_languages`` those the encoder reads."""

    codes: CodeIndex
    lexical: LexicalIndex
    values: ValuesIndex
    vocabulary: VocabularyIndex
    lexicon: Lexicon
    currencies: Sequence[str]
    semantic_languages: Sequence[str] = ("en",)

    def has(self, word: Word) -> bool:
        """Return whether any product has a word."""
        return self.lexical.has(word)
