"""The one way to read a feed: open it, see what it is, and take its rows.

In: a path. Out: a :class:`Feed`. Holds the table of formats and their readers, and turns every way a feed can break
off into one :class:`~engine.errors.FeedError` with the number of rows read. Knows nothing of cleaning or publishing.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from engine.errors import FeedError
from indexer.feeds.columnar import parquet_columns, read_parquet
from indexer.feeds.markup import declared_encoding, read_xml
from indexer.feeds.naming import FIELD_NAMES, Columns
from indexer.feeds.objects import ICECAT, read_array, read_lines
from indexer.feeds.records import BrokenOff, RawRow
from indexer.feeds.shopify import SHOPIFY, read_shopify, shopify_mapping
from indexer.feeds.sniff import FORMATS, Recognised, delimiter_of, recognise
from indexer.feeds.source import Source
from indexer.feeds.tables import GOOGLE, WOOCOMMERCE, read_google, read_plain, read_woocommerce

__all__ = ["Feed", "open_feed"]

_NAMES: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "google-tsv": GOOGLE,
    "google-csv": GOOGLE,
    "google-xml": GOOGLE,
    "shopify-csv": SHOPIFY,
    "woocommerce-csv": WOOCOMMERCE,
    "icecat-jsonl": ICECAT,
}
_TABLES = {
    "google-tsv": read_google,
    "google-csv": read_google,
    "shopify-csv": read_shopify,
    "woocommerce-csv": read_woocommerce,
    "csv": read_plain,
}
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, UnicodeError)


class Feed:
    """An opened feed. A context manager; ``rows`` may be taken more than once and starts again each time.

    ``mapping`` says for every raw column which canonical field or ``attributes.NAME`` it became. Formats without a
    header (JSON, XML) add to it while rows are read.
    """

    def __init__(self, source: Source, kind: Recognised, columns: Columns, max_cell_chars: int) -> None:
        self.path = source.path
        self.format = kind.format
        self.compression = source.compression
        self.encoding = "" if kind.format == "parquet" else source.encoding
        if kind.format == "google-xml":
            self.encoding = declared_encoding(source.sample) or source.encoding
        self.bytes_total = source.bytes_total
        self.rows_read = 0
        self._source = source
        self._kind = kind
        self._columns = columns
        self._max_cell_chars = max_cell_chars

    @property
    def mapping(self) -> dict[str, str]:
        """Raw column → canonical field name, or ``attributes.NAME``."""
        return self._columns.mapping

    @property
    def bytes_read(self) -> int:
        """Bytes of the file consumed so far, before decompression; for a progress bar."""
        return min(self._source.bytes_read, self.bytes_total)

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()

    def _read(self) -> Iterator[RawRow]:
        kind, columns, limit = self._kind, self._columns, self._max_cell_chars
        if kind.format == "parquet":
            return read_parquet(self._source, columns, limit)
        if kind.format == "google-xml":
            return read_xml(self._source, columns, limit)
        if kind.array:
            return read_array(self._source, columns, limit)
        if kind.format in _TABLES:
            return _TABLES[kind.format](self._source, kind.delimiter, columns, limit)
        return read_lines(self._source, columns, limit, icecat=kind.format == "icecat-jsonl")

    def rows(self) -> Iterator[RawRow]:
        """Yield the rows one by one; memory does not grow with the feed.

        Raises:
            FeedError: the feed breaks off: a truncated or corrupt gzip, an unclosed quote, half a record.
        """
        self.rows_read = 0
        try:
            for row in self._read():
                self.rows_read += 1
                yield row
        except BrokenOff as error:
            raise self._broken(str(error)) from error
        except _DAMAGE as error:
            what = "compressed data ends early or is damaged" if self.compression else "file is damaged"
            raise self._broken(f"The {what} ({error}). Send the whole file again.") from error
        except OSError as error:
            raise self._broken(f"The file cannot be read on ({error.strerror or error}).") from error
        self._source.finish()

    def _broken(self, sentence: str) -> FeedError:
        return FeedError(f"{self.path} breaks off after {self.rows_read:,} rows. {sentence} Nothing was published.")


def _with_format(source: Source, format: str) -> Recognised:
    """Return the recognition of a format that the caller named."""
    if format not in FORMATS:
        raise FeedError(f"There is no feed format {format!r}. Known formats: {', '.join(FORMATS)}.")
    if format in _TABLES:
        delimiter, header = delimiter_of(source.sample_text().lstrip("\ufeff"))
        return Recognised(format, delimiter, tuple(header))
    if format == "jsonl":
        return Recognised(format, array=source.sample_text().lstrip("\ufeff \t\r\n").startswith("["))
    return Recognised(format)


def _check_columns(path: Path, columns: Columns, names: list[str]) -> None:
    """Refuse a feed with no column for the two fields that every product needs."""
    fields = {columns.role(name).field for name in names}
    for needed in ("id", "title"):
        if names and needed not in fields:
            accepted = ", ".join(FIELD_NAMES[needed].split()[:8])
            shown = ", ".join(name[:40] for name in names[:12])
            raise FeedError(
                f"{path} has no column for the {needed} of a product: its columns are {shown}. "
                f"Name one of them {needed} (or {accepted})."
            )


def open_feed(path: Path, *, format: str = "", max_cell_chars: int = 262_144) -> Feed:
    """Open a product feed and recognise its format by content, or use the ``format`` named.

    Raises:
        FeedError: the file is missing, empty, binary, or in no known format; or a needed column is missing.
    """
    path = Path(path)
    source = Source.open(path)
    try:
        kind = _with_format(source, format) if format else recognise(source)
    except FeedError as error:
        raise (source.cut_off() if source.damaged and not format else error) from None
    columns = Columns(_NAMES.get(kind.format, {}))
    names = list(kind.columns)
    if kind.format == "parquet":
        try:
            names = parquet_columns(source)
        except (BrokenOff, *_DAMAGE) as error:
            raise FeedError(f"{path} cannot be read as Parquet. {error} Nothing was published.") from error
    if kind.format == "shopify-csv":
        shopify_mapping(columns, names)
    else:
        if kind.format == "icecat-jsonl":
            names = [name for name in names if not name.startswith("attr_")]
        columns.settle(names)
        _check_columns(path, columns, names)
    return Feed(source, kind, columns, max_cell_chars)
