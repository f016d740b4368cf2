"""Parquet feeds, read a batch at a time. The only module that knows pyarrow.

In: a source. Out: rows whose ``line`` is the row number from 1. A gzipped Parquet file is unpacked to a temporary file
first, since Parquet is read from its end. Knows nothing of what columns mean.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import IO, Any

from indexer.feeds.naming import Columns
from indexer.feeds.objects import object_row
from indexer.feeds.records import BrokenOff, RawRow
from indexer.feeds.source import Source

__all__ = ["parquet_columns", "read_parquet"]

_BATCH_ROWS = 512


def _plain(value: Any) -> object:
    """Return a Parquet value as JSON would have it."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, list) and value and all(isinstance(v, tuple) and len(v) == 2 for v in value):
        return {str(k): _plain(v) for k, v in value}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value


def _seekable(source: Source) -> IO[bytes]:
    if not source.compression:
        return source.path.open("rb")
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with source.stream() as stream:
            shutil.copyfileobj(stream, file, 1 << 20)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        file.close()
        raise
    file.seek(0)
    return file


def parquet_columns(source: Source) -> list[str]:
    """Return the column names of a Parquet feed.

    Raises:
        BrokenOff: the file is cut short or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _seekable(source) as file:
        try:
            return [str(name) for name in pq.ParquetFile(file).schema_arrow.names]
        except (pa.ArrowException, OSError) as error:
            raise BrokenOff(f"The Parquet file is cut short or damaged: {str(error).rstrip('.')}.") from error


def read_parquet(source: Source, columns: Columns, max_cell_chars: int) -> Iterator[RawRow]:
    """Yield the rows of a Parquet feed.

    Raises:
        BrokenOff: the file is cut short or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    with _seekable(source) as file:
        try:
            table = pq.ParquetFile(file, pre_buffer=False)
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                for document in batch.to_pylist():
                    number += 1
                    row = {name: _plain(value) for name, value in document.items()}
                    yield object_row(number, row, columns, max_cell_chars)
        except (pa.ArrowException, OSError) as error:
            raise BrokenOff(f"The Parquet file is cut short or damaged: {str(error).rstrip('.')}.") from error
