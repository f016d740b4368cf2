"""The ``filter_by`` language, Typesense's with units: text in, a small tree out.

    price:<100 && brand:=[HP,Dell] && !(color:red || weight:>2kg) && size:[40..42]

``field:value`` matches a text that contains the words, ``field:=value`` one that is the value, ``:!=`` neither.
Numbers compare with ``< <= > >=`` or a range ``[a..b]``, and may name a unit or currency. A value with special
characters stands in backquotes, a backquote inside is doubled. Knows nothing of columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from engine.errors import FilterError

__all__ = ["And", "Condition", "Filter", "Not", "Or", "join_filters", "parse_filter", "quote"]

_FIELD = re.compile(r"\s*(?:`((?:[^`]|``)+)`|([^\W\d][\w.-]*))\s*:")
_OPERATOR = re.compile(r"\s*(!=|<=|>=|=|<|>)?\s*")
_BARE = re.compile(r"(?:(?!&&|\|\||\.\.)[^\[\](),`])+")
_PLAIN = re.compile(r"[\w%+./° -]*\w")
_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a field. ``operator`` is ``: = != < <= > >=`` or ``..`` (two values, either may be empty)."""

    field: str
    operator: str
    values: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True)
class And:
    """All of ``parts``."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of ``parts``."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not ``part``."""

    part: Filter


Filter = Condition | And | Or | Not


def quote(value: str) -> str:
    """Return ``value`` as it must be written in a filter."""
    plain = _PLAIN.fullmatch(value) and ".." not in value and value == value.strip()
    return value if plain else "`" + value.replace("`", "``") + "`"


def join_filters(*filters: str) -> str:
    """Return one expression that asks for all of the non-empty ``filters``."""
    kept = [f for f in filters if f.strip()]
    return kept[0] if len(kept) == 1 else " && ".join(f"({f})" if "||" in f else f for f in kept)


def parse_filter(text: str) -> Filter | None:
    """Return the tree of an expression, or ``None`` when it is empty.

    Raises:
        FilterError: with the position of the mistake and what was expected there.
    """
    if not text.strip():
        return None
    parser = _Parser(text)
    tree = parser.either(0)
    parser.space()
    if parser.at < len(text):
        parser.fail("`&&`, `||` or the end")
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def fail(self, expected: str) -> NoReturn:
        found = self.text[self.at : self.at + 20] or "the end"
        raise FilterError(f"The filter is wrong at character {self.at}: expected {expected}, found {found!r}.", self.at)

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def take(self, token: str) -> bool:
        self.space()
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def either(self, depth: int) -> Filter:
        parts = [self.both(depth)]
        while self.take("||"):
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def both(self, depth: int) -> Filter:
        parts = [self.one(depth)]
        while self.take("&&"):
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def one(self, depth: int) -> Filter:
        if depth > _DEEPEST:
            self.fail(f"at most {_DEEPEST} nested parentheses")
        if self.take("!"):
            return Not(self.one(depth + 1))
        if self.take("("):
            tree = self.either(depth + 1)
            if not self.take(")"):
                self.fail("`)`")
            return tree
        return self.condition()

    def condition(self) -> Condition:
        self.space()
        start = self.at
        match = _FIELD.match(self.text, self.at)
        if match is None:
            self.fail("a field name and `:`")
        self.at = match.end()
        name = match.group(2) or match.group(1).replace("``", "`")
        operator = _OPERATOR.match(self.text, self.at)
        assert operator is not None  # every part of the pattern is optional
        self.at = operator.end()
        sign = operator.group(1) or ":"
        if self.take("["):
            return self.several(name, sign, start)
        return Condition(name, sign, (self.value(),), start)

    def several(self, name: str, sign: str, start: int) -> Condition:
        first = self.value(empty=True)
        if self.take(".."):
            condition = Condition(name, "..", (first, self.value(empty=True)), start)
        else:
            values = [first]
            while self.take(","):
                values.append(self.value())
            condition = Condition(name, sign, tuple(values), start)
        if not self.take("]"):
            self.fail("`]`, `,` or `..`")
        if not any(condition.values):
            self.at = start
            self.fail("at least one value")
        return condition

    def value(self, empty: bool = False) -> str:
        self.space()
        if self.take("`"):
            match = re.compile(r"((?:[^`]|``)*)`").match(self.text, self.at)
            if match is None:
                self.fail("a closing backquote")
            self.at = match.end()
            return match.group(1).replace("``", "`")
        match = _BARE.match(self.text, self.at)
        if match is None or not match.group().strip():
            if empty:
                return ""
            self.fail("a value")
        self.at = match.end()
        return match.group().strip()
