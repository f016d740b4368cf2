"""What the guide makes of single turns: labelled conversations whose last turn is judged by what the need is afterwards.

In: an engine and a table of cases (``language kind before text act says silent keeps``, tab separated; ``before`` holds earlier
turns, parted by `` >> ``). Out: a :class:`TurnsReport`. ``says`` are patterns that the need's words must match, ``silent`` such
that neither they nor its filters may, parted by ``;``; ``keeps`` is a filter that everything found must meet. Earlier turns are
read by the rules, so that readers are compared on the same last turn. Knows nothing of how turns are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.guide import Guide, GuideRequest, GuideState
from engine.guide.editing import Turn
from engine.index.filters import join_filters
from engine.schema import SearchRequest
from evals.stats import Estimate, bootstrap_mean

__all__ = ["DEMO_TURNS", "TurnCase", "TurnsReport", "read_cases", "render", "score_turns"]

DEMO_TURNS = Path(__file__).with_name("turns") / "demo.tsv"
"""Cases about the demo shop: what was ``said`` and what was only ``implied``, in both languages."""

_COLUMNS = ("language", "kind", "before", "text", "act", "says", "silent", "keeps")
_BETWEEN = ">>"


@dataclass(frozen=True, slots=True)
class TurnCase:
    """One conversation and what must be true after its last turn."""

    language: str
    kind: str
    before: tuple[str, ...]
    text: str
    act: str
    says: tuple[str, ...]
    silent: tuple[str, ...]
    keeps: str


@dataclass(frozen=True, slots=True)
class TurnsReport:
    """For each language and kind: the share of turns understood; and what was wrong with the others."""

    rows: tuple[dict[str, Any], ...]
    wrong: tuple[dict[str, Any], ...]
    read_by: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        rows = [{k: v.to_dict() if isinstance(v, Estimate) else v for k, v in row.items()} for row in self.rows]
        return {"rows": rows, "wrong": list(self.wrong), "read_by": self.read_by}


def read_cases(path: Path = DEMO_TURNS) -> list[TurnCase]:
    """Read a table of cases.

    Raises:
        EvaluationError: it cannot be read, or a line has other columns.
    """
    try:
        head, *lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path} cannot be read as a table of turns ({type(error).__name__}).") from error
    if tuple(head.split("\t")) != _COLUMNS:
        raise EvaluationError(f"{path} has other columns than {', '.join(_COLUMNS)}.")
    return [_case(line, f"Line {number} of {path}") for number, line in enumerate(lines, 2)]


def _case(line: str, where: str) -> TurnCase:
    cells = line.split("\t")
    if len(cells) != len(_COLUMNS):
        raise EvaluationError(f"{where} has {len(cells)} cells instead of {len(_COLUMNS)}.")
    language, kind, before, text, act, says, silent, keeps = cells
    try:
        patterns = [tuple(re.compile(p).pattern for p in cell.split(";") if p) for cell in (says, silent)]
    except re.error as error:
        raise EvaluationError(f"{where} has a pattern that cannot be read: {error}.") from error
    turns = tuple(t.strip() for t in before.split(_BETWEEN) if t.strip())
    return TurnCase(language, kind, turns, text, act, patterns[0], patterns[1], keeps)


def score_turns(engine: Engine, cases: Sequence[TurnCase], seed: int = 0) -> TurnsReport:
    """Have the last turn of every case read, and judge the need that comes of it.

    Raises:
        EvaluationError: there is no case.
    """
    if not cases:
        raise EvaluationError("The table holds no turn.")
    results = []
    for case in cases:
        turn = _read(engine, case)
        results.append((case, turn, "; ".join(_wrong(engine, case, turn))))
    groups = sorted({(case.language, case.kind) for case in cases})
    rows = []
    for language, kind in groups:
        right = np.array([float(not wrong) for c, _, wrong in results if (c.language, c.kind) == (language, kind)])
        rows.append({"language": language, "kind": kind, "turns": len(right), "understood": bootstrap_mean(right, seed=seed)})
    by = [turn.reader for _, turn, _ in results]
    wrong_ones = tuple(
        {**asdict(case), "need": turn.state.query, "filter_by": turn.state.filter_by, "wrong": wrong}
        for case, turn, wrong in results
        if wrong
    )
    return TurnsReport(tuple(rows), wrong_ones, {name: by.count(name) for name in sorted(set(by))})


def _read(engine: Engine, case: TurnCase) -> Turn:
    state, rules = GuideState(), Guide(engine)
    for text in case.before:
        state = rules.answer(GuideRequest(text=text, state=state)).state
    return engine.read_turn(case.text, state)


def _wrong(engine: Engine, case: TurnCase, turn: Turn) -> Iterator[str]:
    """Yield what of a case does not hold."""
    state = turn.state
    if turn.act != case.act:
        yield f"it is taken for {turn.act}"
        return
    yield from (f"does not say {p}" for p in case.says if not re.search(p, state.query, re.IGNORECASE))
    everything = f"{state.query} {state.filter_by}"
    yield from (f"still says {p}" for p in case.silent if re.search(p, everything, re.IGNORECASE))
    if case.keeps:
        found, kept = (_found(engine, state, f) for f in ("", case.keeps))
        if not found or kept < found:
            yield f"{kept} of {found} found keep to {case.keeps}"


def _found(engine: Engine, state: GuideState, filter_by: str) -> int:
    request = SearchRequest(q=state.query, filter_by=join_filters(state.filter_by, filter_by), per_page=0)
    return engine.search(request).found


def render(report: TurnsReport, console: Console) -> None:
    """Print the shares, and what was wrong."""
    table = Table(title="Turns of the guide understood", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("", "", "turns", "understood", "95 %"):
        table.add_column(name, justify="left" if not name else "right")
    for row in report.rows:
        e = row["understood"]
        table.add_row(row["language"], row["kind"], str(row["turns"]), f"{e.mean:.0%}", f"{e.low:.0%} to {e.high:.0%}")
    console.print(table)
    console.print("Read by " + ", ".join(f"{name}: {n}" for name, n in report.read_by.items()) + ".")
    for case in report.wrong:
        told = f"{' / '.join((*case['before'], case['text']))}: {case['wrong']} ({case['need']} {case['filter_by']})"
        console.print(f"  {told.rstrip()}", markup=False)
