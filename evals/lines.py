"""Text files read line by line and written whole.

In: a path. Out: ``(line number, text)`` pairs, one at a time, blank lines left out; or a file. Every way a file can fail
becomes one :class:`~engine.errors.EvaluationError` that names the file and the line. Knows nothing of what the lines mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.errors import EvaluationError

__all__ = ["numbered_lines", "write_text"]


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the text, without its line end, of each line that is not blank.

    Raises:
        EvaluationError: the file cannot be read, or a line of it is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if text.strip():
                    yield number, text
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path}, line {number}: the line is not UTF-8 text. Save the file as UTF-8.") from error
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror or error}. Check the path.") from error


def write_text(path: Path, text: str, make_folder: bool = False) -> None:
    """Write a file, and with ``make_folder`` the folder it lies in where that is missing.

    Raises:
        EvaluationError: the file cannot be written.
    """
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror or error}. Choose another path.") from error
