"""The bytes of a feed: opened, decompressed, decoded, and cut into lines that are never longer than a limit.

In: a path. Out: a :class:`Source` that knows its compression, encoding and first bytes, and opens text streams.
Recognises gzip by its first bytes and encodings by byte-order marks and by what decodes; a name says nothing.
Bytes that do not decode become lone surrogates, so that a reader can reject just their row.
Knows nothing of columns or products.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

from engine.errors import FeedError

__all__ = ["MAX_LINE_CHARS", "BoundedLines", "Line", "Source", "undecodable"]

MAX_LINE_CHARS = 16 * 1024 * 1024
"""A longer physical line, or record of several lines, is discarded while reading and its row rejected."""

_SAMPLE_BYTES = 1024 * 1024
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "Unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save the sheet as CSV"),
    (b"BZh", "compressed with bzip2", "Unpack it, or compress it with gzip"),
    (b"\xfd7zXZ\x00", "compressed with xz", "Unpack it, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "Unpack it, or compress it with gzip"),
    (b"%PDF", "a PDF document", "Export the products as CSV"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Line(NamedTuple):
    """One physical line with its end. ``text`` is empty where ``overlong``."""

    number: int
    text: str
    overlong: bool = False


@dataclass(slots=True)
class Source:
    """An opened feed file. ``sample`` holds its first decompressed bytes."""

    path: Path
    compression: str
    encoding: str
    sample: bytes
    bytes_total: int
    damaged: bool = False
    _raw: IO[bytes] | None = None
    _done: int = 0

    @classmethod
    def open(cls, path: Path) -> Source:
        """Read the beginning of a file.

        Raises:
            FeedError: there is no such file, it is empty, or it is something known that is no feed.
        """
        try:
            size = path.stat().st_size
            if path.is_dir():
                raise FeedError(f"{path} is a folder. Name the feed file inside it.")
            with path.open("rb") as file:
                magic = file.read(4)
        except FileNotFoundError as error:
            raise FeedError(f"There is no feed at {path}. Check the path.") from error
        except OSError as error:
            raise FeedError(f"{path} cannot be opened: {error.strerror or error}. Check its permissions.") from error
        compression = "gzip" if magic[:2] == b"\x1f\x8b" else ""
        source = cls(path, compression, "", b"", size)
        source.sample = source._read_sample()
        if not source.sample.strip(b" \t\r\n\x00\xef\xbb\xbf"):
            if source.damaged:
                raise source.cut_off()
            inside = "holds nothing that can be read" if size else "is empty"
            raise FeedError(f"{path} {inside}. A feed has a header and at least one product.")
        for mark, kind, remedy in _FOREIGN:
            if source.sample.startswith(mark):
                raise FeedError(f"{path} is {kind}, not a product feed. {remedy}.")
        source.encoding = _encoding_of(source.sample)
        return source

    def _read_sample(self) -> bytes:
        chunks: list[bytes] = []
        with self.stream() as stream:
            try:
                while sum(map(len, chunks)) < _SAMPLE_BYTES and (chunk := stream.read1(65_536)):
                    chunks.append(chunk)
            except (EOFError, zlib.error, gzip.BadGzipFile):
                self.damaged = True  # What came before the damage says what the file is; reading rows reports it.
        self._done = 0
        return b"".join(chunks)[:_SAMPLE_BYTES]

    def cut_off(self) -> FeedError:
        """Return the error of a feed whose compressed data is damaged before anything can be made of it."""
        return FeedError(
            f"{self.path} breaks off after 0 rows. The compressed data ends early or is damaged. "
            "Send the whole file again. Nothing was published."
        )

    @property
    def bytes_read(self) -> int:
        """Bytes of the file consumed so far, before decompression."""
        return self._raw.tell() if self._raw is not None and not self._raw.closed else self._done

    def stream(self) -> io.BufferedReader:
        """Open the decompressed bytes. Closing the stream closes the file."""
        raw = self.path.open("rb")
        self._raw = raw
        return cast(io.BufferedReader, _OwnedGzip(raw)) if self.compression else raw

    def text(self, encoding: str = "", errors: str = "surrogateescape") -> io.TextIOWrapper:
        """Open the decoded text, line ends as they are."""
        return io.TextIOWrapper(self.stream(), encoding=encoding or self.encoding, errors=errors, newline="")

    def close(self) -> None:
        """Close the file where it is still open."""
        if self._raw is not None:
            self._raw.close()

    def finish(self) -> None:
        """Count the whole file as read."""
        self._done = self.bytes_total

    def sample_text(self) -> str:
        """Return the decoded beginning of the feed; a character cut at its end is left out."""
        decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        return decoder.decode(self.sample)


class _OwnedGzip(gzip.GzipFile):
    """A gzip stream that owns the file beneath it."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._beneath = raw

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._beneath.close()


def _decodes(data: bytes, encoding: str) -> str | None:
    """Return ``data`` decoded, a character cut at the end left out, or ``None`` where it does not decode."""
    try:
        return codecs.getincrementaldecoder(encoding)(errors="strict").decode(data)
    except UnicodeDecodeError:
        return None


def _encoding_of(sample: bytes) -> str:
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if _decodes(sample, "utf-8") is not None:
        return "utf-8"
    text = _decodes(sample, "gb18030")
    if text is not None:
        # Western text in cp1252 often happens to decode too, as rare characters; real Chinese text is
        # nearly all common ones, whose two bytes are both above 0xA0.
        wide = [char for char in text if char > "\x7f"]
        common = sum(1 for char in wide if min(char.encode("gb18030")) > 0xA0)
        if common >= 0.7 * len(wide):
            return "gb18030"
    return "cp1252"


def undecodable(text: str) -> tuple[str, str] | None:
    """Return the problem of a text with bytes that did not decode, else ``None``."""
    if text.isascii() or (match := _SURROGATE.search(text)) is None:
        return None
    shown = f"byte 0x{ord(match[0]) - 0xDC00:02X}" if "\udc80" <= match[0] <= "\udcff" else "a lone surrogate"
    return "malformed_row", f"The row holds {shown}, which is not valid in the feed's encoding. Save the feed as UTF-8."


class BoundedLines:
    """Iterate over physical lines of a text stream; a line over ``limit`` characters is discarded and marked."""

    def __init__(self, stream: io.TextIOWrapper, limit: int = MAX_LINE_CHARS) -> None:
        self._stream = stream
        self._limit = limit
        self.number = 0
        self.last_ended = True

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        text = self._stream.readline(self._limit)
        if not text:
            raise StopIteration
        self.number += 1
        self.last_ended = text[-1] in "\r\n"
        if self.last_ended or len(text) < self._limit:
            return Line(self.number, text)
        while (rest := self._stream.readline(1 << 20)) and rest[-1] not in "\r\n":
            pass
        self.last_ended = bool(rest)
        return Line(self.number, "", overlong=True)
