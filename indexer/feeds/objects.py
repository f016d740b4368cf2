"""Feeds of JSON objects: JSON lines, one JSON array, and Icecat-like lines with typed ``attr_`` names.

In: a source. Out: a row for each object. Nested objects become columns of their own; a price given as
``{"value": 9.5, "currency": "EUR"}`` becomes ``9.5 EUR``. Also turns the values of Parquet rows into the same form.
Knows nothing of good values.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from indexer.feeds.naming import Columns, add_attribute, attribute_name, build_row, snake
from indexer.feeds.records import BrokenOff, RawRow, too_long
from indexer.feeds.source import MAX_LINE_CHARS, BoundedLines, Source, undecodable
from indexer.feeds.tables import with_details

__all__ = ["ICECAT", "icecat_row", "object_row", "read_array", "read_lines"]

ICECAT: Mapping[str, tuple[str, int]] = {
    "name": ("mpn", -1),
    "supplier": ("brand", -1),
    "ean": ("gtin", -1),
    "short_description": ("description", -1),
}
_TYPED = re.compile(r"attr_([tnb])_(.+)")
_CONTAINERS = frozenset(
    ["attributes", "specs", "specifications", "properties", "options", "features", "属性", "参数", "规格参数"]
)
_MAX_DEPTH = 4


def _money(value: Mapping[str, object]) -> str:
    """Return ``amount currency`` of an object that is a price, else an empty text."""
    amount = next((value[key] for key in ("value", "amount", "price") if key in value), None)
    if not isinstance(amount, str | int | float):
        return ""
    currency = next((value[key] for key in ("currency", "currency_code", "currencyCode") if key in value), "")
    return f"{amount} {currency}".strip()


def _cells(name: str, value: object, depth: int = 0) -> Iterator[tuple[str, object]]:
    """Yield ``(column, value)`` with nothing nested left: objects become ``outer_inner`` columns."""
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        if "price" in name.lower() and (money := _money(value)):
            yield name, money
        elif set(value) == {"name"}:
            yield name, value["name"]
        else:
            prefix = "" if snake(name) in _CONTAINERS else f"{name}_"
            for key, inner in value.items():
                yield from _cells(f"{prefix}{key}", inner, depth + 1)
    elif isinstance(value, list | tuple) and any(isinstance(inner, Mapping | list | tuple) for inner in value):
        for inner in value:
            if isinstance(inner, Mapping) and "name" in inner and "value" in inner:
                yield str(inner["name"]), inner["value"]
            elif isinstance(inner, Mapping | list | tuple) and depth >= _MAX_DEPTH:
                yield name, str(inner)
            else:
                yield from _cells(name, inner, depth + 1)
    elif isinstance(value, Mapping):
        yield name, str(value)
    else:
        yield name, list(value) if isinstance(value, tuple) else value


def object_row(line: int, document: Mapping[str, object], columns: Columns, max_cell_chars: int) -> RawRow:
    """Return the row of one object."""
    merged: dict[str, object] = {}
    for key, value in document.items():
        if problem := too_long(key, value, max_cell_chars):
            return RawRow(line, _known_id(document), problem=problem)
        for name, inner in _cells(key, value):
            add_attribute(merged, name, inner)
    return with_details(build_row(line, ((columns.role(name), value) for name, value in merged.items())))


def _known_id(document: Mapping[str, object]) -> dict[str, object]:
    known = document.get("id", "")
    return {"id": known} if isinstance(known, str | int) and len(str(known)) <= 256 else {}


def icecat_row(line: int, document: Mapping[str, object], columns: Columns, max_cell_chars: int) -> RawRow:
    """Return the row of one Icecat-like object: its price is in minor units, ``attr_`` names say the type."""
    plain: dict[str, object] = {}
    typed: dict[str, object] = {}
    for key, value in document.items():
        if (match := _TYPED.fullmatch(key)) is None:
            plain[key] = value
            continue
        if problem := too_long(key, value, max_cell_chars):
            return RawRow(line, _known_id(document), problem=problem)
        # A flag called "colour" says that a printer prints in colour, not which colour it has.
        name = attribute_name(match[2])
        if match[1] == "b" and not snake(match[2]).startswith(name):
            name = attribute_name(f"has_{match[2]}")
        columns.mapping.setdefault(key, f"attributes.{name}")
        add_attribute(typed, name, value)
    row = object_row(line, plain, columns, max_cell_chars)
    attributes = dict(typed)
    for name, value in row.attributes.items():
        add_attribute(attributes, name, value)
    return replace(row, attributes=attributes, minor_units=True)


def read_lines(source: Source, columns: Columns, max_cell_chars: int, *, icecat: bool) -> Iterator[RawRow]:
    """Yield the rows of a JSON lines feed.

    Raises:
        BrokenOff: the last line ends in the middle of an object.
    """
    make = icecat_row if icecat else object_row
    with source.text() as stream:
        lines = BoundedLines(stream)
        for number, text, overlong in lines:
            if overlong:
                detail = f"Line {number} has more than {MAX_LINE_CHARS:,} characters. Shorten its longest value."
                yield RawRow(number, {}, problem=("cell_too_long", detail))
                continue
            if not text.strip():
                continue
            if problem := undecodable(text):
                yield RawRow(number, {}, problem=problem)
                continue
            try:
                document = json.loads(text)
            except (ValueError, RecursionError) as error:
                if not lines.last_ended:
                    raise BrokenOff(f"The feed ends in the middle of line {number}. Send the whole file.") from error
                yield RawRow(number, {}, problem=("malformed_row", f"Line {number} is not valid JSON: {_why(error)}."))
                continue
            if isinstance(document, dict):
                yield make(number, document, columns, max_cell_chars)
            else:
                detail = f"Line {number} is a JSON {type(document).__name__} where one object is expected."
                yield RawRow(number, {}, problem=("malformed_row", detail))


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it holds a number that is too long"


class _Window:
    """The part of a JSON array that is in memory."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self.text = ""
        self.line = 1
        self.ended = False

    def grow(self) -> bool:
        """Read on, twice as much as is held; return whether there was anything."""
        more = self._stream.read(max(65_536, len(self.text)))
        self.ended = not more
        self.text += more
        return bool(more)

    def drop(self, count: int) -> None:
        """Forget the first characters."""
        self.line += self.text.count("\n", 0, count)
        self.text = self.text[count:]

    def skip(self, chars: str) -> str:
        """Drop these characters; return the next one, or an empty text at the end."""
        while True:
            rest = self.text.lstrip(chars)
            self.drop(len(self.text) - len(rest))
            if rest or not self.grow():
                return rest[:1]


def read_array(source: Source, columns: Columns, max_cell_chars: int) -> Iterator[RawRow]:
    """Yield the rows of one JSON array of objects, a window at a time.

    Raises:
        BrokenOff: the JSON is not valid or ends early; unlike lines, there is no next row to go on with.
    """
    decoder = json.JSONDecoder()
    with source.text(errors="replace") as stream:
        window = _Window(stream)
        window.skip(" \t\r\n")
        window.drop(1)
        while (char := window.skip(" \t\r\n,")) != "]":
            if not char:
                raise BrokenOff(f"The JSON array is not closed; it ends on line {window.line}. Send the whole file.")
            document, end = _decode(decoder, window)
            if isinstance(document, dict):
                yield object_row(window.line, document, columns, max_cell_chars)
            else:
                detail = f"Line {window.line} holds a JSON {type(document).__name__} where an object is expected."
                yield RawRow(window.line, {}, problem=("malformed_row", detail))
            window.drop(end)


def _decode(decoder: json.JSONDecoder, window: _Window) -> tuple[object, int]:
    """Return the next element of the array and its length, reading on until it is whole."""
    while True:
        try:
            document, end = decoder.raw_decode(window.text)
            if end < len(window.text) or window.ended:  # A number at the very end may go on.
                return document, end
            if not window.grow():
                return document, end
        except (ValueError, RecursionError) as error:
            if len(window.text) > MAX_LINE_CHARS or not window.grow():
                raise BrokenOff(f"The JSON array makes no sense after line {window.line}: {_why(error)}.") from error
