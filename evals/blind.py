"""Two writers of explanations compared by a reader who does not know which is which.

In: needs with the products found for them, and two generators. Out: a sheet with both texts of each need in an order drawn by
chance, a key that says which was whose, and, once the sheet is filled in, a :class:`BlindReport`: how often each was preferred in
fluency, usefulness and variety, with intervals and a sign test (Conover, *Practical Nonparametric Statistics*, 1999, 3.4). Both
texts went through the same check. Knows nothing of what the texts say.
"""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from engine.errors import EvaluationError
from engine.explain import Explainer, Generator
from engine.schema import Claim
from evals.explaining import Case
from evals.stats import bootstrap_mean

__all__ = ["ASPECTS", "KEY", "SHEET", "BlindReport", "render", "tally", "write_sheet"]

ASPECTS = ("fluent", "useful", "varied")
"""What a reader decides of each pair: A, B, or = where neither is better."""

SHEET, KEY = "sheet.tsv", "key.json"
_COLUMNS = ("pair", "language", "need", "A", "B", *ASPECTS)
_LONG_S = 60.0


@dataclass(frozen=True, slots=True)
class BlindReport:
    """For each language and aspect: pairs, wins of the first and of the second writer, the first one's share of points (a win 1, a
    tie ½) with its interval, and p of the sign test."""

    writers: tuple[str, str]
    rows: tuple[dict[str, Any], ...]
    unrated: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"writers": list(self.writers), "rows": list(self.rows), "unrated": self.unrated}


def write_sheet(found: Sequence[Case], writers: tuple[Generator, Generator], out: Path, seed: int = 0) -> int:
    """Write the sheet and its key into a folder and return how many pairs it holds; needs of which both say the same are left out.

    Raises:
        EvaluationError: there is no pair, or the folder holds a sheet.
    """
    if (out / SHEET).exists():
        raise EvaluationError(f"{out / SHEET} is there already. Tally it with `--tally`, or choose another folder.")
    chance = random.Random(seed)
    rows: list[list[str]] = []
    key: dict[str, list[str]] = {}
    for case in found:
        texts = {writer.name: _text(writer, case) for writer in writers}
        names = list(texts)
        if len(set(texts.values())) < 2:
            continue
        chance.shuffle(names)
        number = str(len(rows) + 1)
        key[number] = names
        rows.append([number, case.need.language, case.need.text, *(texts[n] for n in names), *("" for _ in ASPECTS)])
    if not rows:
        raise EvaluationError("Both writers say the same of everything, or nothing was found.")
    out.mkdir(parents=True, exist_ok=True)
    with (out / SHEET).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([_COLUMNS, *rows])
    told = {"writers": [w.name for w in writers], "pairs": key}
    (out / KEY).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return len(rows)


def _text(writer: Generator, case: Case) -> str:
    said: dict[str, list[str]] = {p.id: [] for p in case.products}
    for item in Explainer(writer, timeout_s=_LONG_S).explain(case.need, case.products):
        if isinstance(item, Claim):
            said[item.product_id].append(item.text)
    between = "" if case.need.language == "zh" else " "
    return " ‖ ".join(f"{p.title}: {between.join(said[p.id])}" for p in case.products).replace("\t", " ")


def tally(folder: Path, seed: int = 0) -> BlindReport:
    """Return what a filled-in sheet says.

    Raises:
        EvaluationError: sheet or key cannot be read, they do not belong together, or nothing is rated.
    """
    try:
        key = json.loads((folder / KEY).read_text("utf-8"))
        with (folder / SHEET).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        first, second = key["writers"]
        pairs: dict[str, list[str]] = key["pairs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(f"{folder} holds no sheet with its key ({type(error).__name__}).") from error
    if any(row.get("pair") not in pairs for row in rows):
        raise EvaluationError(f"{folder / SHEET} has a pair that {KEY} does not know.")
    points: dict[tuple[str, str], list[float]] = {}
    unrated = 0
    for row in rows:
        for aspect in ASPECTS:
            vote = (row.get(aspect) or "").strip().upper()
            if vote not in ("A", "B", "="):
                unrated += 1
                continue
            won = 0.5 if vote == "=" else float(pairs[row["pair"]]["AB".index(vote)] == first)
            points.setdefault((row["language"], aspect), []).append(won)
    if not points:
        raise EvaluationError(f"Nothing in {folder / SHEET} is rated. Put A, B or = under {', '.join(ASPECTS)}.")
    return BlindReport((first, second), tuple(_rows(points, seed)), unrated)


def _rows(points: dict[tuple[str, str], list[float]], seed: int) -> Iterator[dict[str, Any]]:
    for (language, aspect), won in sorted(points.items()):
        estimate = bootstrap_mean(np.array(won), seed=seed)
        wins, losses = sum(w == 1 for w in won), sum(w == 0 for w in won)
        yield {
            "language": language, "aspect": aspect, "pairs": len(won), "first": wins, "second": losses,
            "share": estimate.mean, "low": estimate.low, "high": estimate.high, "p": _sign_test(wins, losses),
        }  # fmt: skip


def _sign_test(wins: int, losses: int) -> float:
    """Return the two-sided probability of a split at least this uneven by chance; ties say nothing."""
    n = wins + losses
    fewer: int = sum(math.comb(n, k) for k in range(min(wins, losses) + 1))
    p: float = 2.0 * fewer / 2**n
    return min(1.0, p)


def render(report: BlindReport, console: Console) -> None:
    """Print the report."""
    first, second = report.writers
    table = Table(title=f"{first} against {second}, read blind", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("", "", "pairs", first, second, f"points of {first}", "95 %", "p"):
        table.add_column(name, justify="left" if not name else "right")
    for r in report.rows:
        interval = f"{r['low']:.0%} to {r['high']:.0%}"
        cells = (str(r["pairs"]), str(r["first"]), str(r["second"]), f"{r['share']:.0%}", interval, f"{r['p']:.3f}")
        table.add_row(r["language"], r["aspect"], *cells)
    console.print(table)
    if report.unrated:
        console.print(f"{report.unrated} cells are not rated.")
