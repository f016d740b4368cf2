"""XML feeds: Google Merchant's RSS 2.0 and Atom, and plain lists of ``<product>``.

In: a source. Out: one row for each item, streamed: no tree is built, so memory holds one item at a time.
A document type declaration is refused before anything in it is read, which rules out entity bombs and outside files.
Uses expat directly because it knows line numbers and lets declarations be refused. Knows nothing of good values.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from indexer.feeds.naming import Columns, add_attribute, attribute_name, build_row
from indexer.feeds.records import BrokenOff, RawRow, too_long
from indexer.feeds.source import MAX_LINE_CHARS, Source
from indexer.feeds.tables import with_details

__all__ = ["declared_encoding", "read_xml"]

_ITEMS = frozenset({"item", "entry", "product"})
_GOOGLE_NAMESPACE = "base.google.com/ns"
_MAX_FIELDS = 20_000
_CHUNK = 65_536
_DECLARATION = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")


def declared_encoding(sample: bytes) -> str:
    """Return the encoding an XML declaration names, or an empty text where it names none that is known."""
    if (match := _DECLARATION.match(sample.lstrip())) is None:
        return ""
    try:
        return codecs.lookup(match[1].decode()).name
    except LookupError:
        return ""


@dataclass(slots=True)
class _Cell:
    """One child of an item being read: its own text, and that of children inside it by name."""

    name: str
    depth: int
    text: list[str] = field(default_factory=list)
    inner: list[tuple[str, list[str]]] = field(default_factory=list)
    href: str = ""

    def value(self) -> object:
        """Return the text, or ``{name: text}`` of the children."""
        own = "".join(self.text).strip()
        if self.inner and not own:
            return {name: "".join(text).strip() for name, text in self.inner}
        return " ".join([own, *("".join(text).strip() for _, text in self.inner)]).strip() or self.href


class _Reader:
    """Expat's handlers; finished items wait in ``rows``."""

    def __init__(self, columns: Columns, max_cell_chars: int) -> None:
        self.rows: list[RawRow] = []
        self._columns = columns
        self._max = max_cell_chars
        self._depth = 0
        self._item_depth = 0
        self._cells: list[_Cell] = []
        self._open: _Cell | None = None
        self._chars = 0
        self._line = 0
        self.parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse

    def _refuse(self, *_: object) -> None:
        raise BrokenOff(
            f"Line {self.parser.CurrentLineNumber} declares a document type or an entity, which is never read, as it "
            "can pull in other files. Remove the declaration."
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        space, _, local = name.rpartition(" ")
        local = local.removeprefix("g:")
        if not self._item_depth:
            if local.lower() in _ITEMS and self._depth > 1:
                self._item_depth, self._cells, self._chars = self._depth, [], 0
                self._line = self.parser.CurrentLineNumber
        elif self._depth == self._item_depth + 1:
            prefix = "g:" if _GOOGLE_NAMESPACE in space else ""
            self._open = _Cell(prefix + local, self._depth, href=attributes.get("href", ""))
            if len(self._cells) < _MAX_FIELDS:
                self._cells.append(self._open)
        elif self._depth == self._item_depth + 2 and self._open and len(self._open.inner) < _MAX_FIELDS:
            self._open.inner.append((local, []))

    def _data(self, text: str) -> None:
        if self._open is None:
            return
        self._chars += len(text)
        if self._chars > MAX_LINE_CHARS:
            return  # Counted, so that the item is rejected, and not kept.
        inside = self._depth > self._open.depth and self._open.inner
        (self._open.inner[-1][1] if inside else self._open.text).append(text)

    def _end(self, _: str) -> None:
        if self._open and self._depth == self._open.depth:
            self._open = None
        elif self._item_depth and self._depth == self._item_depth:
            self._item_depth = 0
            self.rows.append(self._row())
        self._depth -= 1

    def _problem(self, cells: list[tuple[str, object]]) -> tuple[str, str] | None:
        if self._chars > MAX_LINE_CHARS:
            return (
                "cell_too_long",
                f"The product that starts on line {self._line} has {self._chars:,} characters and at most "
                f"{MAX_LINE_CHARS:,} are read. Shorten it.",
            )
        if self._chars <= self._max:
            return None
        found = (too_long(name, value, self._max) for name, value in cells)
        return next((problem for problem in found if problem), None)

    def _row(self) -> RawRow:
        cells = [(cell.name, cell.value()) for cell in self._cells]
        if problem := self._problem(cells):
            kept = {n.removeprefix("g:"): v for n, v in cells if n in ("g:id", "id") and len(str(v)) <= 256}
            return RawRow(self._line, kept, problem=problem)
        merged: dict[str, object] = {}
        for name, value in cells:
            add_attribute(merged, name, value)
        details = merged.pop("g:product_detail", None) or merged.pop("product_detail", None)
        row = build_row(self._line, ((self._columns.role(name), _flat(name, value)) for name, value in merged.items()))
        return _add_details(row, details)


def _flat(name: str, value: object) -> object:
    """Return nested values as text: ``<shipping><country>US</country><price>5 USD</price>`` is ``US:5 USD``."""
    if isinstance(value, dict):
        return ":".join(str(v) for v in value.values() if v)
    if isinstance(value, list):
        return [_flat(name, inner) for inner in value]
    return value


def _add_details(row: RawRow, details: object) -> RawRow:
    attributes = dict(row.attributes)
    flat: list[object] = []
    for detail in details if isinstance(details, list) else [details] if details else []:
        if isinstance(detail, dict) and detail.get("attribute_name") and detail.get("attribute_value"):
            add_attribute(attributes, attribute_name(detail["attribute_name"]), detail["attribute_value"])
        else:
            flat.append(_flat("", detail))
    if flat:
        add_attribute(attributes, "product_detail", flat)
    return with_details(replace(row, attributes=attributes))


def read_xml(source: Source, columns: Columns, max_cell_chars: int) -> Iterator[RawRow]:
    """Yield the items of an XML feed.

    Raises:
        BrokenOff: the XML is not well formed, ends early, has no item, or declares a document type.
    """
    reader = _Reader(columns, max_cell_chars)
    declared = "" if source.encoding.endswith(("-sig", "16", "32")) else declared_encoding(source.sample)
    fed, found = 0, 0
    with source.text(declared, errors="replace") as stream:
        while True:
            chunk = stream.read(_CHUNK)
            # Only the white space before the declaration is ours to remove; expat refuses it.
            data = (chunk if fed else chunk.lstrip()).encode()
            fed += len(data)
            try:
                reader.parser.Parse(data, not chunk)
            except expat.ExpatError as error:
                place = f"line {error.lineno}, column {error.offset}"
                raise BrokenOff(
                    f"The XML makes no sense at {place}: {expat.ErrorString(error.code)}. "
                    "Write & as &amp; and < as &lt;, and send the whole file."
                ) from error
            found += len(reader.rows)
            yield from reader.rows
            reader.rows.clear()
            if not chunk:
                break
            if fed - reader.parser.CurrentByteIndex > 2 * MAX_LINE_CHARS:
                raise BrokenOff(f"A single tag or comment after line {reader.parser.CurrentLineNumber} never ends.")
    if not found:
        raise BrokenOff("The XML has no <item>, <entry> or <product>. Export the products as RSS 2.0 or Atom.")
