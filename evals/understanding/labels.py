"""Labelled queries read from files: a text, and which of its characters say what.

In: marked lines (``{o|toner} for {f|brother tn-2110}``), or spans by number with the file their texts are in. Out:
:class:`Labelled`. Knows nothing of engines.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import EvaluationError

__all__ = ["KINDS", "Labelled", "load_goals", "load_marked", "load_sets", "parse_marked"]

KINDS = {"o": "object", "a": "attribute", "m": "measure", "p": "price", "x": "exclude", "f": "for"}
"""Letter in a marked line → ``Understood.kind``."""

_HERE = Path(__file__).parent
_MARK = re.compile(r"\{(?P<kind>[a-z])\|(?P<text>[^{}|]+)\}")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A query and its spans, each ``(kind, start, end)`` in code points."""

    text: str
    spans: tuple[tuple[str, int, int], ...]


def parse_marked(line: str) -> Labelled:
    """Return the query and spans of one marked line.

    Raises:
        EvaluationError: a mark has an unknown letter or is not closed.
    """
    out, spans, done = "", [], 0
    for match in _MARK.finditer(line):
        if match["kind"] not in KINDS:
            raise EvaluationError(f"{line[:80]!r} marks {match['kind']!r}. Use one of: {', '.join(KINDS)}.")
        out += line[done : match.start()]
        spans.append((KINDS[match["kind"]], len(out), len(out) + len(match["text"])))
        out += match["text"]
        done = match.end()
    out += line[done:]
    if "{" in out or "}" in out:
        raise EvaluationError(f"{line[:80]!r} has a mark that is not closed. Write {{o|word}}.")
    return Labelled(out, tuple(spans))


def load_marked(path: Path) -> list[Labelled]:
    """Return the labelled queries of a file, one a line.

    Raises:
        EvaluationError: the file cannot be read, or a line is marked wrongly.
    """
    return [parse_marked(line) for line in _read(path).splitlines() if line.strip()]


def load_goals(path: Path, goals: Path) -> list[Labelled]:
    """Return the labelled needs of ``path``, whose texts are in the JSON list ``goals``.

    Raises:
        EvaluationError: a file cannot be read, or a text is not the one that was labelled.
    """
    texts = json.loads(_read(goals))
    out = []
    for line in _read(path).splitlines()[1:]:
        number, sha, spans = line.split("\t")
        text = texts[int(number)]
        if hashlib.sha256(text.encode()).hexdigest()[:16] != sha:
            raise EvaluationError(f"Need {number} in {goals} is not the one that was labelled. Use the original file.")
        read = [re.split(r"[:-]", span) for span in spans.split()]
        out.append(Labelled(text, tuple((KINDS[kind], int(start), int(end)) for kind, start, end in read)))
    return out


def load_sets(goals: Path | None = None) -> dict[str, list[Labelled]]:
    """Return the labelled sets that come along by name; those of the WebShop needs only with the file of their texts."""
    sets = {name: load_marked(_HERE / f"{name}.txt") for name in ("zh", "traps")}
    if goals is not None:
        sets["webshop"] = load_goals(_HERE / "webshop.tsv", goals)
    return sets


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}.") from error
