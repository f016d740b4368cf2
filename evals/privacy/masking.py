"""Recall and precision of the masking of personal data, by kind.

In: lines in which ``[[kind:text]]`` marks what is personal. Out: :class:`MaskingScores`. A marked stretch is found where all of
it is masked, under whatever kind; a stretch that was masked is right where it touches a marked one. Intervals are Wilson's
(*Probable inference*, JASA 1927). Knows nothing of how anything is found.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from engine.errors import EvaluationError
from engine.privacy import KINDS, Personal, find_personal

__all__ = ["OTHER_SET", "OWN_SET", "Labelled", "MaskingScores", "read_labelled", "render", "score_masking", "wilson"]

OWN_SET = Path(__file__).with_name("pii.txt")
"""The set that comes along."""
OTHER_SET = OWN_SET.with_name("pii.test.txt")
"""Lines by another hand, not read before the rules were first measured on them."""
_MARK = re.compile(r"\[\[(\w+):(.*?)\]\]")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what is personal in it."""

    text: str
    marked: tuple[Personal, ...]


@dataclass(frozen=True, slots=True)
class MaskingScores:
    """For each kind how many stretches were marked and found; how many were masked and right; and lines that were wrong."""

    marked: Counter[str]
    found: Counter[str]
    masked: Counter[str]
    right: Counter[str]
    decoys: int
    touched: int
    missed: Sequence[str]
    wrong: Sequence[str]

    def recall(self, kind: str) -> float:
        """Return the share of a kind that was masked whole, NaN where there is none."""
        return self.found[kind] / self.marked[kind] if self.marked[kind] else math.nan

    def precision(self, kind: str) -> float:
        """Return the share of what was masked as a kind that is personal, NaN where nothing was."""
        return self.right[kind] / self.masked[kind] if self.masked[kind] else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        kinds = {
            kind: {
                "marked": self.marked[kind],
                "found": self.found[kind],
                "recall": wilson(self.found[kind], self.marked[kind]),
                "masked": self.masked[kind],
                "precision": wilson(self.right[kind], self.masked[kind]),
            }
            for kind in KINDS
        }
        lines = {"missed": list(self.missed), "wrong": list(self.wrong)}
        return {"kinds": kinds, "decoys": self.decoys, "decoys_masked": self.touched, **lines}


def read_labelled(path: Path) -> list[Labelled]:
    """Return the lines of a labelled file.

    Raises:
        EvaluationError: it cannot be read, holds nothing, or names a kind that there is not.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read as labelled lines: {error}.") from error
    found = [_labelled(line) for line in lines if line.strip() and not line.startswith("#")]
    strange = sorted({span.kind for one in found for span in one.marked} - set(KINDS))
    if not found or strange:
        said = "names " + ", ".join(strange) if strange else "holds no line"
        raise EvaluationError(f"{path} {said}. Kinds are {', '.join(KINDS)}.")
    return found


def _labelled(line: str) -> Labelled:
    text, spans, at = "", [], 0
    for match in _MARK.finditer(line):
        text += line[at : match.start()]
        spans.append(Personal(match[1], len(text), len(text) + len(match[2])))
        text += match[2]
        at = match.end()
    return Labelled(text + line[at:], tuple(spans))


def score_masking(
    lines: Iterable[Labelled], find: Callable[[str], Sequence[Personal]] = find_personal
) -> MaskingScores:
    """Return how well a finder does."""
    marked, found, masked, right = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    missed, wrong, decoys, touched = [], [], 0, 0
    for one in lines:
        spans = find(one.text)
        covered = {place for span in spans for place in range(span.start, span.end)}
        for span in one.marked:
            marked[span.kind] += 1
            whole = all(place in covered or not one.text[place].strip() for place in range(span.start, span.end))
            found[span.kind] += whole
            if not whole:
                missed.append(f"{span.kind} {one.text[span.start : span.end]!r} in {one.text!r}")
        for span in spans:
            masked[span.kind] += 1
            touches = any(span.start < m.end and m.start < span.end for m in one.marked)
            right[span.kind] += touches
            if not touches:
                wrong.append(f"{span.kind} {one.text[span.start : span.end]!r} in {one.text!r}")
        decoys += not one.marked
        touched += not one.marked and bool(spans)
    return MaskingScores(marked, found, masked, right, decoys, touched, missed, wrong)


def wilson(hits: int, of: int) -> dict[str, float] | None:
    """Return a share with its 95 % interval, ``None`` of nothing."""
    if not of:
        return None
    z, share = 1.959964, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return {"mean": share, "low": max(0.0, middle - half), "high": min(1.0, middle + half)}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def render(scores: MaskingScores, console: Console) -> None:
    """Print a row for each kind, and what went wrong."""
    table = Table(box=None, pad_edge=False)
    table.add_column("kind")
    for head in ("marked", "recall", "95 % interval", "masked", "precision"):
        table.add_column(head, justify="right", no_wrap=True)
    for kind, row in scores.to_dict()["kinds"].items():
        recall, precision = row["recall"], row["precision"]
        shown = (_percent(recall["mean"]), f"{100 * recall['low']:.1f} to {_percent(recall['high'])}") if recall else ("–", "–")
        right = _percent(precision["mean"]) if precision else "–"
        table.add_row(kind, str(row["marked"]), *shown, str(row["masked"]), right)
    console.print(table)
    console.print(f"{scores.touched} of {scores.decoys} lines without anything personal were touched.")
    for name, lines in (("missed", scores.missed), ("masked wrongly", scores.wrong)):
        for line in lines[:_SHOWN]:
            console.print(f"  {name}: {line}", markup=False, soft_wrap=True)
