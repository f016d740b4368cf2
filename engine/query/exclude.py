"""Exclusions: ``without lid``, ``not leather``, ``不要塑料的``, ``不含酒精``.

In: the query. Out: spans and the words to leave out. First rules only: the words after the negation, up to a
preposition, a comma or three words. Compounds such as ``non-slip`` name a quality and are left alone. Knows nothing
of the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.language import Word, is_stop, words

__all__ = ["Exclusion", "find_exclusions"]

_EN = re.compile(
    r"(?<![\w-])(?:without(?:\s+(?:a|an|any|the))?|but not|not(?:\s+(?:a|an|any|the|made of|in))?"
    r"|no(?!\.)|except|excluding)\s+(?P<what>[a-z][\w'-]*(?:\s+[a-z][\w'-]*){0,2})",
    re.IGNORECASE,
)
_ZH = re.compile(r"(?:不要带|不要|不含|不带|不想要|不是|别要|除了|排除)(?P<what>[^\s,，。;；、]{1,8})")
_EN_END = re.compile(
    r"\s+(?:for|with|and|or|in|on|under|over|below|above|from|to|that|which|but|at|between|about|around"
    r"|without|not|no|except)\b.*",
    re.IGNORECASE,
)
_EN_NEVER = frozenset({"more", "less", "only", "just", "too", "very", "sure", "need", "than"})
_ZH_END = re.compile(r"(?:的话|的|款|材质|牌子|和).*$")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Characters ``start`` to ``end`` ask to leave out products that have all of ``words``."""

    start: int
    end: int
    words: tuple[Word, ...]


def find_exclusions(text: str) -> Iterator[Exclusion]:
    """Yield the exclusions of a query, left to right. ``text`` is as typed; spans and words index it."""
    for match in _EN.finditer(text):
        what = _EN_END.sub("", " " + match.group("what"))[1:]
        if what.split(" ")[0].lower() not in _EN_NEVER:
            yield from _exclusion(text, match.start(), match.start("what"), what, match.start("what") + len(what))
    for match in _ZH.finditer(text):
        what = _ZH_END.sub("", match.group("what"))
        tail = re.compile(r"(?:材质)?的?").match(text, match.start("what") + len(what))
        end = tail.end() if tail else match.end()
        yield from _exclusion(text, match.start(), match.start("what"), what, end)


def _exclusion(text: str, start: int, at: int, what: str, end: int) -> Iterator[Exclusion]:
    shift = [Word(w.text, w.start + at, w.end + at, w.han) for w in words(what)]
    kept = tuple(w for w in shift if not is_stop(w))
    if kept:
        yield Exclusion(start, end, kept)
