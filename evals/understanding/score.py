"""Precision and recall of what is read out of queries, kind by kind.

A span read is right when its kind is the label's and half of the characters of both together are in both
(intersection over union of 0.5 or more). Intervals are 95 % bootstrap intervals over queries. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from engine.schema import Understood
from evals.understanding.labels import KINDS, Labelled

__all__ = ["KindScore", "UnderstandingReport", "render", "score_understanding"]

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class KindScore:
    """``labelled`` and ``read`` spans and how many of them meet; ``f1_low`` and ``f1_high`` bound F1."""

    kind: str
    labelled: int
    read: int
    right: int
    f1_low: float
    f1_high: float

    @property
    def precision(self) -> float:
        """Share of what was read that is labelled so."""
        return self.right / self.read if self.read else 0.0

    @property
    def recall(self) -> float:
        """Share of the labels that were read."""
        return self.right / self.labelled if self.labelled else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / (self.read + self.labelled) if self.read + self.labelled else 0.0


@dataclass(frozen=True, slots=True)
class UnderstandingReport:
    """Scores of each kind and of all together, and the spans missed or read wrongly, as ``(query, sign kind text)``."""

    queries: int
    kinds: tuple[KindScore, ...]
    mistakes: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "queries": self.queries,
            "kinds": {
                k.kind: {
                    "labelled": k.labelled,
                    "read": k.read,
                    "precision": round(k.precision, 4),
                    "recall": round(k.recall, 4),
                    "f1": round(k.f1, 4),
                    "f1_95": [round(k.f1_low, 4), round(k.f1_high, 4)],
                }
                for k in self.kinds
            },
        }


def score_understanding(
    read: Callable[[str], Sequence[Understood]], labelled: Sequence[Labelled], seed: int = 0
) -> UnderstandingReport:
    """Read every query and compare with its labels."""
    kinds = list(KINDS.values())
    counts = np.zeros((len(labelled), len(kinds), 3))
    mistakes: list[tuple[str, str]] = []
    for n, query in enumerate(labelled):
        spans = [(u.kind, u.start, u.end) for u in read(query.text)]
        met_labels: set[int] = set()
        for span in spans:
            column = kinds.index(span[0])
            counts[n, column, 1] += 1
            label = next((i for i, s in enumerate(query.spans) if i not in met_labels and _meets(span, s)), None)
            if label is None:
                mistakes.append((query.text, f"+ {span[0]} {query.text[span[1] : span[2]]}"))
            else:
                met_labels.add(label)
                counts[n, column, 2] += 1
        for i, (kind, start, end) in enumerate(query.spans):
            counts[n, kinds.index(kind), 0] += 1
            if i not in met_labels:
                mistakes.append((query.text, f"- {kind} {query.text[start:end]}"))
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, len(labelled), (_RESAMPLES, len(labelled)))
    scores = [_score(kind, counts[:, column], samples) for column, kind in enumerate(kinds)]
    return UnderstandingReport(len(labelled), (*scores, _score("all", counts.sum(axis=1), samples)), tuple(mistakes))


def _meets(one: tuple[str, int, int], other: tuple[str, int, int]) -> bool:
    both = min(one[2], other[2]) - max(one[1], other[1])
    return one[0] == other[0] and 2 * both >= max(one[2], other[2]) - min(one[1], other[1])


def _score(kind: str, counts: NDArray[np.float64], samples: NDArray[np.int64]) -> KindScore:
    labelled, read, right = counts.sum(axis=0)
    drawn = counts[samples].sum(axis=1)
    total = drawn[:, 0] + drawn[:, 1]
    f1 = np.divide(2 * drawn[:, 2], total, out=np.zeros(len(drawn)), where=total > 0)
    low, high = np.percentile(f1, [2.5, 97.5])
    return KindScore(kind, int(labelled), int(read), int(right), float(low), float(high))


def render(report: UnderstandingReport, console: Console, title: str) -> None:
    """Print one row for each kind."""
    table = Table(title=f"{title}, {report.queries} queries", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("kind")
    for heading in ("labelled", "read", "precision", "recall", "F1", "95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for k in report.kinds:
        if k.labelled or k.read:
            table.add_row(
                k.kind, str(k.labelled), str(k.read), f"{k.precision:.3f}", f"{k.recall:.3f}", f"{k.f1:.3f}",
                f"{k.f1_low:.3f}-{k.f1_high:.3f}",
            )  # fmt: skip
    console.print(table)
