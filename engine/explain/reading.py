"""Cut a text into clauses and each clause into numbers, words, Chinese runs, codes and roles, with their polarity.

In: any text, a field's or a generator's; both are read by the same rules, so a rule that reads one wrongly reads
the other wrongly in the same way. Out: :class:`Clause` records. Knows nothing of products.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from engine.explain.quantities import Number, read_numbers
from engine.explain.vocabulary import NEGATIONS, NEGATIVE_CLAUSE, ROLES, ZH_NOT_NEGATION, stem
from engine.numerals import fold

__all__ = ["Clause", "Role", "Token", "read_clauses", "sentences"]

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SPLIT = re.compile(
    r"[;!?。、()\[\]\n]|(?<!\d),|,(?!\d{3}(?!\d))|\.(?=\s|$)|:(?!\d)|\s-\s|\s\|\s"
    r"|\s(?=(?:but|while|yet|though|although|whereas)\s)|(?=但|不过|却(?!步)|而且|同时)"
)
_SENTENCE = re.compile(r"[^。！？!?\n.]+(?:\.(?!\s|$)[^。！？!?\n.]*)*[。！？!?.]*")
_FREE = re.compile(
    r"\b([A-Za-z]+(?:-[A-Za-z]+)?)-free\b|\b([A-Z]{2,}|sugar|lactose|gluten|lead|perfume|fragrance|alcohol"
    r"|nickel|latex) free\b"
)
_NOT_ONLY = re.compile(r"\bnot only\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-zÀ-ɏ]+(?:['-][A-Za-zÀ-ɏ]+)*")
_CODE = re.compile(r"[A-Za-z0-9]+(?:[-./+][A-Za-z0-9]+)*")
_RUN = re.compile(f"[{_HAN}]+")
_MASK = re.compile("|".join(sorted(map(re.escape, ZH_NOT_NEGATION), key=len, reverse=True)))
_OWN_CUES = frozenset({"non", "anti", "un", "no", "semi", "faux", "pre"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a Chinese run or a code. ``key`` is what is compared; ``parts`` are the keys of a compound's parts."""

    text: str
    key: str
    start: int
    end: int
    negative: bool
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Role:
    """A word that says what a number measures (``weighs``, ``宽``)."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause, folded. ``doubtful`` when it negates twice, so that nothing can be read from it.

    ``negative_from`` is the offset from which everything is negated, the length of the text when nothing is.
    """

    text: str
    numbers: tuple[Number, ...]
    words: tuple[Token, ...]
    runs: tuple[Token, ...]
    codes: tuple[Token, ...]
    roles: tuple[Role, ...]
    negative_from: int
    doubtful: bool = False


@lru_cache(maxsize=1)
def _role_patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((n, re.compile(rf"\b(?:{en})\b|(?:{zh})", re.IGNORECASE)) for n, (en, zh) in ROLES.items())


def sentences(text: str) -> list[str]:
    """Return the sentences of a text as they stand in it, ends included."""
    return [s.strip() for s in _SENTENCE.findall(text) if s.strip()]


def _negation(text: str) -> tuple[int, int, bool]:
    """Return the span of the word that negates what follows it, and whether another one follows."""
    masked = _MASK.sub(lambda m: "□" * len(m.group()), text)
    cues = list(NEGATIONS.finditer(masked))
    if NEGATIVE_CLAUSE.search(masked):
        return 0, 0, False
    if not cues:
        return len(text), len(text), False
    return cues[0].start(), cues[0].end(), len(cues) > 1


def _words(text: str, taken: list[tuple[int, int]], negative_from: int) -> Iterator[Token]:
    for match, touched in _touched(_WORD.finditer(text), taken):
        if touched:
            continue
        word = match.group()
        pieces = word.split("-")
        parts = tuple(stem(p) for p in pieces) if len(pieces) > 1 and pieces[0].lower() not in _OWN_CUES else ()
        yield Token(word, stem(word.replace("-", "")), *match.span(), match.start() >= negative_from, parts)


def _clause(text: str) -> Clause:
    cue, negative_from, doubtful = _negation(text)
    numbers = tuple(read_numbers(text))
    taken = [(n.start, n.end) for n in numbers]
    codes = []
    for match, touched in _touched(_CODE.finditer(text), taken):
        for start, end in _outside(*match.span(), touched):  # of "SE/8/6s/6" the rest counts where "6s" was read as seconds
            code = text[start:end]
            if any(c.isdigit() for c in code):
                key = re.sub(r"(?<!\d)\.|\.(?!\d)|[^a-z0-9+.]", "", code.lower())  # 2.4G is not 24G
                codes.append(Token(code, key, start, end, start >= negative_from))
    covered = taken + [(c.start, c.end) for c in codes]
    runs = [
        Token(m.group(), m.group(), a, b, a >= negative_from)
        for m, a, b in _runs(text, [*covered, (cue, negative_from)])
    ]
    roles = [Role(n, *m.span()) for n, p in _role_patterns() for m in p.finditer(text)]
    words = tuple(_words(text, covered, negative_from))
    return Clause(text, numbers, words, tuple(runs), tuple(codes), tuple(roles), negative_from, doubtful)


def _touched(
    matches: Iterable[re.Match[str]], taken: Iterable[tuple[int, int]]
) -> Iterator[tuple[re.Match[str], list[tuple[int, int]]]]:
    """Yield matches in their order, each with the spans that it shares characters with, in one pass over both."""
    waiting, open_spans = deque(sorted(taken)), list[tuple[int, int]]()
    for match in matches:
        while waiting and waiting[0][0] < match.end():
            open_spans.append(waiting.popleft())
        open_spans = [(a, b) for a, b in open_spans if match.start() < b]
        yield match, [(a, b) for a, b in open_spans if a < match.end()]


def _outside(start: int, end: int, taken: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the parts of a span that nothing has taken; ``taken`` is sorted."""
    for a, b in taken:
        if start < a:
            yield start, a
        start = max(start, b)
    if start < end:
        yield start, end


def _runs(text: str, cuts: list[tuple[int, int]]) -> Iterator[tuple[re.Match[str], int, int]]:
    """Yield the Chinese runs between the cuts."""
    edges = sorted({0, len(text), *(e for cut in cuts for e in cut)})
    inside, at, taken_to = sorted(c for c in cuts if c[0] < c[1]), 0, 0
    for start, end in pairwise(edges):
        while at < len(inside) and inside[at][0] <= start:
            taken_to, at = max(taken_to, inside[at][1]), at + 1
        if start < taken_to:
            continue
        for match in _RUN.finditer(text, start, end):
            yield match, match.start(), match.end()


@lru_cache(maxsize=4096)
def read_clauses(text: str) -> tuple[Clause, ...]:
    """Return the clauses of a text, empty ones left out.

    >>> [(c.text, c.negative_from) for c in read_clauses("PP lid, not for ovens")]
    [('PP lid', 6), ('not for ovens', 3)]
    """
    folded = _NOT_ONLY.sub("", fold(text))
    folded = _FREE.sub(lambda m: f"; no {m[1] or m[2]} ;", folded)
    return tuple(_clause(part) for piece in _SPLIT.split(folded) if (part := piece.strip()))
