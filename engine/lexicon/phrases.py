"""Phrases found in a text, longest first: Chinese character by character, other scripts by stems.

In: phrases with whatever they stand for. Out: :class:`Phrase` with its place in the text. Matching Chinese by
characters meets a phrase however the text is cut into words; stems let ``batteries`` meet ``battery``. Knows nothing
of what phrases mean.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from engine.language import Word, fold, stem, words

__all__ = ["Phrase", "Phrases"]

_MOST_WORDS = 5
_MOST_CHARS = 12
_HAN_FROM = "\u2fff"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Phrase(Generic[T]):
    """The words ``first`` up to ``last`` (not included) of a text say ``text``, characters ``start`` to ``end``.

    ``means`` is everything that was added under it, in that order.
    """

    first: int
    last: int
    start: int
    end: int
    text: str
    means: tuple[T, ...]


@lru_cache(maxsize=65_536)
def _stems(phrase: str) -> tuple[str, ...]:
    return tuple(stem(w.text) for w in words(phrase))


class Phrases(Generic[T]):
    """Phrases of any script. Fill it first, then search from as many threads as you like."""

    def __init__(self) -> None:
        self._latin: dict[tuple[str, ...], list[T]] = {}
        self._han: dict[str, list[T]] = {}
        self._starts: set[str] = set()
        self._words: set[str] = set()

    def add(self, phrase: str, means: T) -> None:
        """Add a phrase; those too long to be typed are left out."""
        folded = fold(phrase)[0].strip()
        if any(c > _HAN_FROM for c in folded):
            if len(folded) <= _MOST_CHARS:
                self._han.setdefault(folded, []).append(means)
        elif 0 < len(key := _stems(phrase)) <= _MOST_WORDS:
            self._latin.setdefault(key, []).append(means)
            self._starts.add(key[0])
            self._words.update(key)

    def get(self, phrase: str) -> Sequence[T]:
        """Return what one phrase stands for."""
        folded = fold(phrase)[0].strip()
        return self._han.get(folded) or self._latin.get(_stems(phrase)) or ()

    def has_word(self, word: str) -> bool:
        """Return whether a word that is not Chinese is in any phrase."""
        return stem(word) in self._words

    def find(self, text: str, found: Sequence[Word]) -> list[Phrase[T]]:
        """Return the phrases of ``text``, left to right and without overlaps; ``found`` are its words.

        Several may lie within one word, where a language is written without spaces.
        """
        folded, places = fold(text)
        matches: list[Phrase[T]] = []
        for first, last in _runs(found) if self._han else ():
            matches.extend(self._in_run(first, last, found, folded, places))
        stems = [None if w.han else stem(w.text) for w in found]
        first = 0
        while first < len(found):
            match = self._at(found, stems, first)
            if match is not None:
                matches.append(match)
            first = first + 1 if match is None else match.last
        kept: list[Phrase[T]] = []
        for match in sorted(matches, key=lambda m: (m.start, -m.end)):
            if not kept or match.start >= kept[-1].end:
                kept.append(match)
        return kept

    def _at(self, found: Sequence[Word], stems: Sequence[str | None], first: int) -> Phrase[T] | None:
        if stems[first] not in self._starts:
            return None
        for last in range(min(len(found), first + _MOST_WORDS), first, -1):
            if means := self._latin.get(tuple(s or "" for s in stems[first:last])):
                phrase = " ".join(w.text for w in found[first:last])
                return Phrase(first, last, found[first].start, found[last - 1].end, phrase, tuple(means))
        return None

    def _in_run(
        self, first: int, last: int, found: Sequence[Word], folded: str, places: Sequence[int]
    ) -> Iterator[Phrase[T]]:
        words_ = found[first:last]
        latin = {_position(places, w.start) for w in words_ if not w.han}
        at, end = _position(places, words_[0].start), _position(places, words_[-1].end)
        while at < end:
            size = next((n for n in range(min(_MOST_CHARS, end - at), 0, -1) if folded[at : at + n] in self._han), 0)
            piece = folded[at : at + size]
            alone = size != 1 or any(w.start == places[at] and w.text == piece for w in words_)
            if not size or not alone or (folded[at] <= _HAN_FROM and at not in latin):
                at += 1
                continue
            start, stop = places[at], places[at + size - 1] + 1
            inside = [i for i in range(first, last) if _mostly(found[i], start, stop)]
            if inside:
                yield Phrase(inside[0], inside[-1] + 1, start, stop, piece, tuple(self._han[piece]))
            at += size


def _runs(found: Sequence[Word]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of neighbouring words with nothing between them of which some are Chinese."""
    first = 0
    while first < len(found):
        last = first + 1
        while last < len(found) and found[last].start == found[last - 1].end:
            last += 1
        if any(w.han for w in found[first:last]):
            yield first, last
        first = last


def _position(places: Sequence[int], offset: int) -> int:
    """Return where in the folded text the original ``offset`` is."""
    return offset if isinstance(places, range) else bisect_left(places, offset)


def _mostly(word: Word, start: int, end: int) -> bool:
    return 2 * (min(word.end, end) - max(word.start, start)) >= word.end - word.start
