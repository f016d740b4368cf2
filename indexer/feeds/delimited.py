"""Delimited text: records with their true line numbers, whatever their cells hold.

In: a :class:`~indexer.feeds.source.Source` and a delimiter. Out: :class:`Record` after record, cells as text, or
a problem in their place. A quoted cell may hold line ends. A record longer than the limit is discarded up to where its
quotes close, so that only that row is lost. Knows nothing of column names, except to find the header.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from indexer.feeds.records import BrokenOff, too_long
from indexer.feeds.source import MAX_LINE_CHARS, BoundedLines, Line, Source, undecodable

__all__ = ["DELIMITERS", "Record", "check_cells", "header_of", "read_records"]

DELIMITERS = (",", "\t", ";", "|")
_SEPARATOR_LINE = re.compile(r"\s*sep=.\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its cells, and a problem where they cannot be trusted."""

    line: int
    cells: Sequence[str]
    problem: tuple[str, str] | None = None


class _RecordTooLong(Exception):
    """The record passed the limit; ``in_quotes`` says whether the discarded part was inside quotes."""

    def __init__(self, in_quotes: bool) -> None:
        super().__init__()
        self.in_quotes = in_quotes


class _Feeder:
    """Hand lines to ``csv.reader``, counting those of the present record."""

    def __init__(self, lines: Iterator[Line], limit: int) -> None:
        self._lines = lines
        self._limit = limit
        self.start = 0
        self.cut_short = False
        self._chars = 0

    def begin(self) -> None:
        """Forget the record before."""
        self.start, self._chars = 0, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines, None)
        if line is None:
            self.cut_short = self.start > 0  # The reader asks for more only inside quotes.
            raise StopIteration
        inside = self.start > 0
        self.start = self.start or line.number
        self._chars += len(line.text)
        if line.overlong:
            raise _RecordTooLong(in_quotes=False)
        if self._chars > self._limit:
            raise _RecordTooLong(in_quotes=inside)
        return line.text


def _still_open(text: str, delimiter: str) -> bool:
    """Return whether a line that starts inside quotes also ends inside quotes."""
    asked = False

    def once() -> Iterator[str]:
        nonlocal asked
        yield '"' + text
        asked = True

    next(csv.reader(once(), delimiter=delimiter), None)
    return asked


def _skip_to_close(lines: BoundedLines, delimiter: str, start: int) -> None:
    for line in lines:
        if line.overlong or not _still_open(line.text, delimiter):
            return
    raise BrokenOff(f"The feed ends inside the quotes opened on line {start}. Close them, or send the whole file.")


def _too_large(line: int, limit: int) -> Record:
    detail = f"The row that starts on line {line} has more than {limit:,} characters. Shorten its longest cell."
    return Record(line, (), ("cell_too_long", detail))


def read_records(source: Source, delimiter: str, limit: int = MAX_LINE_CHARS) -> Iterator[Record]:
    """Yield the records of a delimited feed, the header first; blank lines are skipped.

    Raises:
        BrokenOff: the feed ends inside quotes, or in the middle of its last record.
    """
    # The csv module's limit is one for the process; ours is applied to whole records, before it.
    csv.field_size_limit(max(csv.field_size_limit(), 2 * limit))
    with source.text() as stream:
        lines = BoundedLines(stream, limit)
        feeder = _Feeder(lines, limit)
        reader = csv.reader(feeder, delimiter=delimiter)
        width, first = 0, True
        while True:
            feeder.begin()
            try:
                cells = next(reader, None)
            except _RecordTooLong as error:
                if error.in_quotes:
                    _skip_to_close(lines, delimiter, feeder.start)
                yield _too_large(feeder.start, limit)
                reader = csv.reader(feeder, delimiter=delimiter)
                continue
            if feeder.cut_short:
                raise BrokenOff(
                    f"The feed ends inside the quotes opened on line {feeder.start}. "
                    "Close them, or send the whole file."
                )
            if cells is None:
                return
            if not cells or (first and _SEPARATOR_LINE.fullmatch(delimiter.join(cells))):
                continue
            if not first and len(cells) < width and not lines.last_ended:
                raise BrokenOff(
                    f"The feed ends in the middle of line {feeder.start}: {len(cells)} of {width} columns. "
                    "Send the whole file."
                )
            width, first = (len(cells), False) if first else (width, False)
            yield Record(feeder.start, cells, undecodable("".join(cells)))


def header_of(text: str, delimiter: str) -> list[str]:
    """Return the cells of the first record of ``text``; empty where there is none."""
    csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_LINE_CHARS))
    lines: Iterable[str] = (text[m.start() : m.end()] for m in re.finditer(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text))
    for cells in csv.reader(lines, delimiter=delimiter):
        if cells and any(cell.strip() for cell in cells) and not _SEPARATOR_LINE.fullmatch(delimiter.join(cells)):
            return [cell.strip().lstrip("\ufeff") for cell in cells]
    return []


def check_cells(record: Record, header: Sequence[str], max_cell_chars: int) -> tuple[str, str] | None:
    """Return the problem of a record whose cells do not fit the header or the limit, else ``None``."""
    if record.problem:
        return record.problem
    cells = record.cells
    if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
        return (
            "malformed_row",
            f"The row has {len(cells)} columns and the header has {len(header)}. Check the quotes and separators.",
        )
    if sum(map(len, cells)) > max_cell_chars:
        problems = (too_long(name, cell, max_cell_chars) for name, cell in zip(header, cells, strict=False))
        return next((problem for problem in problems if problem), None)
    return None
