"""Turns read by a large model: it proposes steps, and only steps that hold against the catalogue and the shopper's words are taken.

In: a shopper's words, the state, what was shown, what the shop may be asked for. Out: a :class:`~engine.guide.editing.Turn`, or
``None`` where nothing that holds was proposed, and then the rules read. A step holds if the words it rests on were said, its field
and values are the catalogue's, and its number is in those words: so neither an invention of the model nor an order in a product's
title becomes a limit that nobody set. Knows nothing of HTTP.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from pydantic import ValidationError

import engine.guide.cues as cues
from engine.breaker import Breaker
from engine.errors import FilterError, GeneratorError
from engine.explain.things import own_lexicon
from engine.facets import quote_field
from engine.guide.editing import Editing, Turn, next_page, stems
from engine.guide.prompt import STEPS, Step, messages, steps_of
from engine.guide.state import GuideState, Piece
from engine.guide.turn import plain_number, spoken_in
from engine.index.filters import parse_filter, quote
from engine.numerals import fold
from engine.query import ParsedQuery
from engine.schema import Capabilities, Facet, Product
from engine.units import convert

__all__ = ["Chat", "ProposedTurns"]

_LONGEST_FILTER = 400
_MOST_WORDS = 8
_NEAR = 0.25
_LOG = logging.getLogger(__name__)

Parse = Callable[[str], ParsedQuery]


class Chat(Protocol):
    """A large model."""

    def texts(self, prompt: list[dict[str, str]], schema: Mapping[str, object] | None = None) -> Iterator[str]:
        """Yield the pieces of an answer."""
        ...


class Catalogue(Protocol):
    """What the proposals are checked against."""

    def capabilities(self) -> Capabilities:
        """Return what may be asked for."""
        ...

    def parsed(self, q: str) -> ParsedQuery:
        """Take words apart."""
        ...


class ProposedTurns:
    """Reads turns with a large model. Thread-safe where the model is."""

    def __init__(self, chat: Chat, catalogue: Catalogue, breaker: Breaker | None = None) -> None:
        self._chat, self._catalogue, self._breaker = chat, catalogue, breaker or Breaker()

    def read(self, text: str, state: GuideState, shown: Sequence[Product]) -> Turn | None:
        """Return what a shopper's words do to a conversation, ``None`` where the model fails or proposes nothing that holds."""
        able = self._catalogue.capabilities()
        try:
            self._breaker.ask()
        except GeneratorError:
            return None
        try:
            answer = "".join(self._chat.texts(messages(text, state, shown, able), STEPS))
        except GeneratorError as error:
            self._breaker.failed()
            _LOG.warning("The rules read a turn instead of the model: %s", error)
            return None
        self._breaker.answered()
        state = spoken_in(text, self._catalogue.parsed, state)
        turn = _Checking(text, state, shown, able, self._catalogue.parsed).turn(steps_of(answer))
        try:
            if turn is not None:
                parse_filter(GuideState.model_validate(turn.state.model_dump()).filter_by)
        except (ValidationError, FilterError):
            return None
        return turn


class _Checking:
    """The steps of one turn, taken one by one where they hold."""

    def __init__(
        self, text: str, state: GuideState, shown: Sequence[Product], able: Capabilities, parse: Parse
    ) -> None:
        self._text, self._state, self._shown, self._able, self._parse = _folded(text), state, shown, able, parse
        self._editing = Editing(state)
        self._fields = {f.field.lower(): f for f in able.fields}

    def turn(self, steps: Sequence[Step]) -> Turn | None:
        """Return the turn that the steps which hold make: what is begun anew first, then what changes, then where it points."""
        pointed = next((turn for step in steps if step.do in ("compare", "pick", "more") and (turn := self._points(step))), None)
        if any(s.do == "begin" and self._said(s) for s in steps) and (_wants_thing(steps) or cues.RESET.search(self._text)):
            self._editing.take(list(self._state.pieces))
        for step in steps:
            said = self._said(step)
            if not said or step.do in ("begin", "compare", "pick", "more"):
                continue
            if step.do == "forget":
                pieces = self._state.pieces
                self._editing.take([pieces[i - 1] for i in step.items if 0 < i <= len(pieces)])
            elif (piece := self._piece(step, said)) is not None:
                self._editing.put(piece)
        changed = bool(self._editing.changes) or self._editing.pieces != list(self._state.pieces)
        if not changed:
            return pointed
        edited = self._editing.turn("endpoint")
        if pointed and pointed.act != "more":
            return replace(pointed, state=edited.state, changes=edited.changes)
        return edited

    def _said(self, step: Step) -> str:
        """Return the words that a step rests on, empty where they were not said: whole words of the message."""
        said = step.said.strip(cues.MARKS)
        folded = re.escape(_folded(said))
        whole = rf"(?<![a-z0-9]){folded}(?![a-z0-9])"
        return said if said and (len(said) > 1 or said.isdigit()) and re.search(whole, self._text) else ""

    def _points(self, step: Step) -> Turn | None:
        ids = tuple(self._shown[i - 1].id for i in dict.fromkeys(step.items) if 0 < i <= len(self._shown))
        if step.do == "more" and self._state.pieces:
            return Turn(next_page(self._state), act="more", reader="endpoint")
        if step.do == "pick" and len(ids) == 1:
            return Turn(self._state, act="pick", ids=ids, reader="endpoint")
        if step.do == "compare" and len(ids) > 1:
            return Turn(self._state, act="compare", ids=ids, reader="endpoint")
        return None

    def _piece(self, step: Step, said: str) -> Piece | None:
        """Return the piece that a step adds; ``None`` where it does not hold. Of a limit or choice that does not, the shopper's own
        words are read as the rules read them."""
        if step.do == "exclude":
            return self._excluded(step, said)
        if step.do == "want":
            return self._wanted(step.text or said, step.kind or "quality")
        held = self._limited(step, said) if step.do == "limit" else self._chosen(step, said)
        return held or self._as_said(said)

    def _as_said(self, said: str) -> Piece | None:
        if any(u.kind == "price" and u.filter for u in self._parse(said).understood):
            return Piece(kind="limit", text=said[:120], field="price")
        return self._wanted(said, "quality")

    def _wanted(self, text: str, kind: Literal["thing", "quality", "for"]) -> Piece | None:
        """Return a wish; words that would act as a limit or an exclusion are none."""
        text = " ".join(text.split())[:120]
        read = self._parse(text)
        if len(read.words) > _MOST_WORDS or self._names_brand(text):
            return None
        if not read.words or any(u.kind == "exclude" or (u.kind == "price" and u.filter) for u in read.understood):
            return None
        field = next((u.field for u in read.understood if u.field and u.kind in ("attribute", "measure")), "")
        return Piece(kind=kind, text=text, field=field[:120] if kind == "quality" else "")

    def _names_brand(self, text: str) -> bool:
        """Return whether a wish names a brand that the shopper did not."""
        brands = [c.value.lower() for f in self._able.fields if f.field == "brand" for c in f.counts]
        return any(b in text.lower() and b not in self._text for b in brands)

    def _limited(self, step: Step, said: str) -> Piece | None:
        field = self._fields.get(step.field.lower())
        numbers, bounds = _numbers(said), [b for b in (step.least, step.most) if b is not None]
        if field is None or not bounds or (field.field == "price" and not cues.MONEY.search(said)):
            return None
        if cues.RELATIVE.search(said):  # fifty more than what was said before
            before = [n for p in self._state.pieces if p.field == field.field for n in _numbers(f"{p.text} {p.filter}")]
            numbers += [b + sign * n for b in before for n in numbers for sign in (1, -1)]
        slack = _NEAR if cues.ROUGHLY.search(said) else 1e-6
        said_so = all(b > 0 and any(abs(b - n) <= slack * n for n in numbers if n > 0) for b in bounds)
        wrong_way = (step.most is None and cues.BELOW.search(said)) or (step.least is None and cues.ABOVE.search(said))
        if not said_so or wrong_way or (len(bounds) > 1 and bounds[0] > bounds[1]):
            return None
        low, high = (None if b is None else self._amount(field, b, step.unit) for b in (step.least, step.most))
        if (step.least is not None and low is None) or (step.most is not None and high is None):
            return None
        name = quote_field(field.field)
        filters = [f"{name}:{sign}{amount}" for sign, amount in ((">=", low), ("<=", high)) if amount]
        return Piece(kind="limit", text=said[:120], field=field.field[:120], filter=" && ".join(filters))

    def _amount(self, field: Facet, value: float, unit: str) -> str | None:
        """Return an amount as filters take it, in the unit of the field; ``None`` where the field is not measured in anything like
        the unit."""
        if field.field == "price":
            currency = unit.upper() or (self._able.currencies[0] if len(self._able.currencies) == 1 else "")
            return f"{plain_number(value)}{currency}" if currency in self._able.currencies else None
        units = [s.unit for s in field.stats]
        own = unit or (units[0] if len(units) == 1 else "")
        quantity = convert(value, own) if own else None
        if quantity is not None and quantity.unit in units:
            return f"{plain_number(quantity.value)}{quantity.unit}"
        return plain_number(value) if not unit and units == [""] else None

    def _chosen(self, step: Step, said: str) -> Piece | None:
        found = self._values(step)
        if found is None:
            return None
        name, values = found
        one_of = quote(values[0]) if len(values) == 1 else "[" + ",".join(map(quote, values)) + "]"
        filter_by = f"{quote_field(name)}:={one_of}"
        if len(filter_by) > _LONGEST_FILTER or not all(_names(said, v) for v in values):
            return None
        return Piece(kind="quality", text=said[:120], field=name[:120], filter=filter_by)

    def _excluded(self, step: Step, said: str) -> Piece | None:
        if found := self._values(step):
            name, values = found
            filters = " && ".join(f"{quote_field(name)}:!={quote(v)}" for v in values)
            if len(filters) <= _LONGEST_FILTER and all(_names(said, v) for v in values):
                return Piece(kind="exclude", text=said[:120], filter=filters)
        for text in (said, f"not {step.text}", f"不要{step.text}"):
            named = text == said or (step.text and _names(said, step.text))
            if named and any(u.kind == "exclude" for u in self._parse(text).understood):
                return Piece(kind="exclude", text=text[:120])
        return None

    def _values(self, step: Step) -> tuple[str, list[str]] | None:
        """Return a field and values of it as the catalogue spells them; ``None`` where it has no such field, or not all of them."""
        field = self._fields.get(step.field.lower())
        spelt = {c.value.lower(): c.value for c in field.counts} if field else {}
        values = [spelt.get(v.strip().lower(), "") for v in dict.fromkeys(step.values)]
        return (field.field, values) if field and values and all(values) else None


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def _wants_thing(steps: Sequence[Step]) -> bool:
    return any(step.do == "want" and step.kind == "thing" for step in steps)


def _names(said: str, value: str) -> bool:
    """Return whether words name a value, as it is spelt or as the lexicon says it otherwise."""
    lexicon, value = own_lexicon(), value.lower()
    forms = {value, *(form.lower() for entry in lexicon.get(value) for form in (*entry.en, *entry.zh))}
    return any(form in said.lower() for form in forms) or (bool(stems(value)) and stems(value) <= stems(said))


def _numbers(text: str) -> list[float]:
    """Return the numbers that words name, ``1.5k`` and ``两百`` too; the ``k`` of ``5 kg`` is none."""
    found = re.findall(r"(\d[\d,]*(?:\.\d+)?)\s*(k(?![a-z])|[千万百])?", fold(text).lower())
    scale = {"k": 1e3, "千": 1e3, "万": 1e4, "百": 1e2}
    return [float(n.replace(",", "")) * scale.get(mark, 1.0) for n, mark in found]
