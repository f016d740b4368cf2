"""Words no product has, and what was probably meant by them.

In: the words of a query and what the catalogue knows. Out: :class:`Correction`, each with its characters. Only unknown
words are corrected, and the word as typed stays in the search. Knows nothing of scores.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from engine.index.vocabulary import VocabularyIndex
from engine.language import Word, is_stop
from engine.lexicon import Lexicon

__all__ = ["Correction", "find_corrections"]

_LONGEST_HOMOPHONE = 4
_TRIED = 12
_MOST_UNKNOWN = 8


@dataclass(frozen=True, slots=True)
class Correction:
    """The words ``first`` up to ``last`` (not included) were probably meant to be ``text``."""

    first: int
    last: int
    text: str


def find_corrections(
    found: Sequence[Word],
    knows: Callable[[Word], bool],
    vocabulary: VocabularyIndex,
    lexicon: Lexicon,
    skip: frozenset[int] = frozenset(),
) -> Iterator[Correction]:
    """Yield the corrections of a query, left to right. ``knows`` says whether a product has a word; ``skip`` are words
    understood otherwise, such as codes."""
    unknown = [i not in skip and not is_stop(w) and not knows(w) and not _spelt(w, lexicon) for i, w in enumerate(found)]
    if sum(unknown) > _MOST_UNKNOWN:  # no slip of the keyboard, but another language or no language
        return
    index = 0
    while index < len(found):
        word = found[index]
        if word.han:
            last = index + 1
            if (fixed := _homophone(found, unknown, index, vocabulary, lexicon)) is not None:
                last = fixed.last
                yield fixed
            index = last
            continue
        if unknown[index]:
            last = index + 1
            while last < len(found) and unknown[last] and not found[last].han:
                last += 1
            sounds = "".join(w.text for w in found[index:last])
            if last - index > 1 and sounds.isalpha() and (said := vocabulary.spoken(sounds)):
                yield Correction(index, last, said)
                index = last
                continue
            if fixed_word := _likeliest(found, index, vocabulary, lexicon):
                yield Correction(index, index + 1, fixed_word)
        index += 1


def _spelt(word: Word, lexicon: Lexicon) -> bool:
    return bool(lexicon.get(word.text)) or (not word.han and lexicon.has_word(word.text))


def _likeliest(found: Sequence[Word], index: int, vocabulary: VocabularyIndex, lexicon: Lexicon) -> str:
    """Return what a word was probably meant to be: what makes a phrase with its neighbours first, then what is common."""
    word = found[index].text
    options = vocabulary.candidates(word)
    before = f"{found[index - 1].text} " if index else ""
    after = f" {found[index + 1].text}" if index + 1 < len(found) else ""
    for option in options[:_TRIED]:
        joined = (f"{before}{option}{after}", f"{before}{option}", f"{option}{after}")
        if any(lexicon.get(phrase) for phrase in joined if phrase != option):
            return option
    return options[0] if options else vocabulary.spoken(word) if word.isalpha() else ""


def _homophone(
    found: Sequence[Word], unknown: Sequence[bool], first: int, vocabulary: VocabularyIndex, lexicon: Lexicon
) -> Correction | None:
    """Return the known word that the Chinese words from ``first`` sound like, where one of them is odd."""
    for last in range(min(len(found), first + 3), first, -1):
        group = found[first:last]
        text = "".join(w.text for w in group)
        joined = all(w.han for w in group) and all(a.end == b.start for a, b in itertools.pairwise(group))
        odd = any(unknown[i] or (len(found[i].text) == 1 and not is_stop(found[i])) for i in range(first, last))
        if not joined or not odd or not 2 <= len(text) <= _LONGEST_HOMOPHONE:
            continue
        if vocabulary.has_chinese(text) or lexicon.get(text):
            continue
        if said := vocabulary.homophone(text):
            return Correction(first, last, said)
    return None
