"""Is every content word of a sentence in the record, with the same polarity and about the same thing?

In: the clauses of a sentence and the product's facts. Out: citations, or a refusal (``Refused``).
English words are compared by stem. Chinese runs must be covered by pieces of two or more characters that fields have,
and by particles. Two neighbouring words must stand together in one field, or both describe the product as a whole: so
a steel box with a silicone seal does not become a silicone box. Knows nothing of numbers or prices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from engine.explain.check_numbers import Refused, Supported
from engine.explain.facts import Fact
from engine.explain.reading import Clause, Token
from engine.explain.vocabulary import COLOURS, EN_NEUTRAL, MATERIALS, ZH_NEUTRAL, stem

__all__ = ["Words"]

_NEUTRAL = frozenset(stem(w) for w in EN_NEUTRAL)
_MADE_OF = re.compile(r"\b(?:made|material|fabric|is|are)\b|制成|材质|面料|材料|采用|是", re.IGNORECASE)
_JOIN = re.compile(r"\b(?:and|with|plus|has|have)\b|,")
_ACCESSORY = frozenset("壳膜套袋架垫")
_DENYING = frozenset("不没无未免非")
_LONGEST = 12


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a field has a word: which fact and clause, at which offset, with which polarity."""

    fact: int
    clause: int
    at: int
    negative: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """A supported piece of a sentence and everywhere it is supported."""

    start: int
    end: int
    places: tuple[_Place, ...]


class Words:
    """The words of one product's facts, and the question whether they support a clause."""

    def __init__(self, facts: list[Fact]) -> None:
        self._facts = facts
        self._latin: dict[str, list[_Place]] = {}
        self._runs: list[tuple[str, _Place]] = []
        self._codes: dict[str, list[_Place]] = {}
        self._names: dict[str, int] = {}
        self._kind: set[str] = set()
        for index, fact in enumerate(facts):
            for number, clause in enumerate(fact.clauses):
                if not clause.doubtful:
                    self._add(index, number, clause)
            for clause in fact.names:
                for token in (*clause.words, *clause.runs):
                    self._names.setdefault(token.key, index)
            if fact.field == "category":
                self._kind |= {t[-1].key for c in fact.clauses for t in (c.words, c.runs) if t}

    def _add(self, fact: int, number: int, clause: Clause) -> None:
        previous: Token | None = None
        for token in clause.words:
            place = _Place(fact, number, token.start, token.negative)
            for key in {token.key, *token.parts}:
                self._latin.setdefault(key, []).append(place)
            if previous is not None and token.start - previous.end == 1:
                self._latin.setdefault(stem(previous.text + token.text), []).append(place)
            previous = token
        for token in clause.codes:
            self._codes.setdefault(token.key, []).append(_Place(fact, number, token.start, token.negative))
        for token in clause.runs:
            self._runs.append((token.text, _Place(fact, number, token.start, token.negative)))

    def check(self, index: int, clause: Clause, language: str, out: Supported) -> None:
        """Accept a clause whose every content word is supported; note the fields that support it.

        Raises:
            Refused: a word is unknown (``word``), negated elsewhere (``contradiction``) or joined wrongly (``pair``).
        """
        spans = out.spans.get(index, [])
        pieces = [
            *self._check_codes(clause),
            *self._check_latin(clause, language, spans),
            *self._check_runs(clause, spans),
        ]
        pieces.sort(key=lambda p: p.start)
        for left, right in pairwise(pieces):
            between = clause.text[left.end : right.start]
            apart = any(c.isdigit() for c in between) or _JOIN.search(between)
            if not apart and not self._together(left, right, between):
                raise Refused("pair")
        self._check_restricted(clause)
        for piece in pieces:
            best = min(piece.places, key=lambda p: p.fact)
            out.cite(self._facts[best.fact].field, self._facts[best.fact].shown)

    def _settled(self, places: list[_Place], negative: bool, kind: bool) -> tuple[_Place, ...]:
        """Return the places of the same polarity; a word that the record both affirms and denies is no support."""
        same = tuple(p for p in places if p.negative == negative)
        if not same:
            raise Refused("contradiction" if places else "word")
        if not kind and len(same) < len(places):
            raise Refused("contradiction")
        return same

    def _check_codes(self, clause: Clause) -> Iterator[_Piece]:
        for token in clause.codes:
            places = self._settled(self._codes.get(token.key, []), token.negative, False)
            yield _Piece(token.start, token.end, places)

    def _check_latin(self, clause: Clause, language: str, spans: list[tuple[int, int]]) -> Iterator[_Piece]:
        for token in clause.words:
            if any(a <= token.start and token.end <= b for a, b in spans):
                continue
            neutral = token.key in _NEUTRAL and language != "zh"
            if neutral or (token.key in self._names and token.key not in self._latin):
                continue
            kind = token.key in self._kind
            if token.key in self._latin or not token.parts:
                places = self._settled(self._latin.get(token.key, []), token.negative, kind)
                yield _Piece(token.start, token.end, places)
                continue
            for part in token.parts:
                if part not in _NEUTRAL:
                    yield _Piece(token.start, token.end, self._settled(self._latin.get(part, []), token.negative, kind))

    def _find(self, piece: str) -> list[_Place]:
        found = []
        for run, place in self._runs:
            at = run.find(piece)
            while at >= 0:
                denied = at > 0 and run[at - 1] in _DENYING
                if not denied and run[at + len(piece) : at + len(piece) + 1] not in _ACCESSORY:
                    found.append(_Place(place.fact, place.clause, place.at + at, place.negative))
                at = run.find(piece, at + 1)
        return found

    def _check_runs(self, clause: Clause, spans: list[tuple[int, int]]) -> Iterator[_Piece]:
        for run in clause.runs:
            yield from self._cover(run, spans)

    def _cover(self, run: Token, spans: list[tuple[int, int]]) -> Iterator[_Piece]:
        """Cover a run with supported pieces and particles, as few characters by particles as can be."""
        text, size = run.text, len(run.text)
        best: list[tuple[int, list[tuple[int, int, list[_Place]]]] | None] = [None] * (size + 1)
        best[0] = (0, [])
        for at in range(size):
            here = best[at]
            if here is None:
                continue
            for length in range(2, min(_LONGEST, size - at) + 1):
                places = self._find(text[at : at + length])
                if not places:
                    break
                _keep(best, at + length, (here[0] + 1, [*here[1], (at, at + length, places)]))
            if size == 1 and (alone := [p for r, p in self._runs if r == text and p.negative == run.negative]):
                _keep(best, 1, (1, [(0, 1, alone)]))
            for step in _free(text, at, run.start, spans):
                _keep(best, at + step, (here[0] + 2 + step, here[1]))
            if (name := next((n for n in self._names if text.startswith(n, at)), "")) != "":
                _keep(best, at + len(name), (here[0] + 2, here[1]))
        if (whole := best[size]) is None:
            raise Refused("word")
        for start, end, places in whole[1]:
            kind = any(k.endswith(text[start:end]) for k in self._kind)
            yield _Piece(run.start + start, run.start + end, self._settled(places, run.negative, kind))

    def _together(self, left: _Piece, right: _Piece, between: str) -> bool:
        whole = [any(self._facts[p.fact].whole for p in piece.places) for piece in (left, right)]
        if all(whole):
            return True
        adjacent = between.strip(" -") == "" and left.start != right.start
        for a in left.places:
            for b in right.places:
                near = (a.fact, a.clause) == (b.fact, b.clause)
                if near and (not adjacent or 0 <= b.at - a.at <= 30 or "一" <= between[:1] <= "鿿"):
                    return True
        return False

    def _check_restricted(self, clause: Clause) -> None:
        """Colours, and materials after ``made of``, count only where the record states them of the whole product."""
        wanted = [("colour", COLOURS, ("color", "colour", "颜色", "title"))]
        if _MADE_OF.search(clause.text):
            wanted.append(("material", MATERIALS, ("material", "材质", "面料", "title")))
        for reason, pattern, fields in wanted:
            stated = [f for f in self._facts if f.field in fields]
            if not any(f.field != "title" for f in stated):
                continue
            own = " ".join(c.text for f in stated for c in f.clauses).lower()
            for match in pattern.finditer(clause.text):
                if match.group().lower() not in own:
                    raise Refused(reason)


def _keep(
    best: list[tuple[int, list[tuple[int, int, list[_Place]]]] | None],
    at: int,
    new: tuple[int, list[tuple[int, int, list[_Place]]]],
) -> None:
    old = best[at]
    if old is None or new[0] < old[0]:
        best[at] = new


def _free(text: str, at: int, offset: int, spans: list[tuple[int, int]]) -> Iterator[int]:
    """Yield how many characters from ``at`` need no support: a particle, or a span a number brought along."""
    for word in ZH_NEUTRAL:
        if text.startswith(word, at):
            yield len(word)
    for start, end in spans:
        if start <= offset + at < end:
            yield min(end - offset - at, len(text) - at)
