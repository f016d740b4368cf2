"""What a service benchmark found, as JSON and as a page.

In: one :class:`Cell` for each system, request, number of connections and round. Out: medians over rounds and ratios
to the baseline of the same run. A cell that failed in any round has no figures and no ratio. Knows nothing of
servers.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.load import Load

__all__ = ["Cell", "Row", "best_baselines", "summarize", "write_report"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement. ``repeats`` counts requests for a query this server had seen before."""

    system: str
    request: str
    connections: int
    load: Load
    memory_mb: float
    baseline: bool = False
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the rounds. ``throughput`` and ``latency`` are ratios to the baseline at as many connections."""

    system: str
    request: str
    connections: int
    baseline: bool
    requests_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    memory_mb: float
    rounds: int
    requests: int
    repeats: int
    failure: str = ""
    throughput: float | None = None
    latency: float | None = None


def summarize(cells: Sequence[Cell]) -> list[Row]:
    """Return one row for each system, request and number of connections, in order of appearance."""
    groups: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.system, cell.request, cell.connections), []).append(cell)
    rows = [_median(group) for group in groups.values()]
    best = best_baselines(rows)
    return [_with_ratios(row, best.get(row.connections)) for row in rows]


def best_baselines(rows: Sequence[Row]) -> dict[int, Row]:
    """Return the fastest baseline at each number of connections that has one that did not fail."""
    best: dict[int, Row] = {}
    for row in rows:
        known = best.get(row.connections)
        if row.baseline and not row.failure and (known is None or row.requests_per_s > known.requests_per_s):
            best[row.connections] = row
    return best


def _median(cells: Sequence[Cell]) -> Row:
    first = cells[0]
    loads = [cell.load for cell in cells]
    return Row(
        system=first.system,
        request=first.request,
        connections=first.connections,
        baseline=first.baseline,
        requests_per_s=round(statistics.median(load.requests_per_s for load in loads), 1),
        p50_ms=round(statistics.median(load.p50_ms for load in loads), 2),
        p90_ms=round(statistics.median(load.p90_ms for load in loads), 2),
        p99_ms=round(statistics.median(load.p99_ms for load in loads), 2),
        memory_mb=round(statistics.median(cell.memory_mb for cell in cells)),
        rounds=len(cells),
        requests=sum(load.requests for load in loads),
        repeats=sum(cell.repeats for cell in cells),
        failure="; ".join(dict.fromkeys(load.failure for load in loads if load.failure)),
    )


def _with_ratios(row: Row, base: Row | None) -> Row:
    if base is None or row.failure:
        return row
    values = asdict(row)
    values["throughput"] = round(row.requests_per_s / base.requests_per_s, 2) if base.requests_per_s else None
    values["latency"] = round(row.p50_ms / base.p50_ms, 3) if base.p50_ms else None
    return Row(**values)


def write_report(rows: Sequence[Row], about: Mapping[str, object], folder: Path) -> tuple[Path, Path]:
    """Write ``service.json`` and ``service.md`` and return their paths. ``about`` is printed as it is, name by name."""
    folder.mkdir(parents=True, exist_ok=True)
    data, page = folder / "service.json", folder / "service.md"
    found = {"about": dict(about), "rows": [asdict(row) for row in rows]}
    data.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")
    page.write_text(_page(rows, about), "utf-8")
    return data, page


def _page(rows: Sequence[Row], about: Mapping[str, object]) -> str:
    lines = ["# Service over HTTP", "", "Written by `make bench`. How it is measured: [README](../README.md).", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += [
        "",
        "Ratios compare with the fastest naive row at as many connections in the same run: requests/s above 1 and "
        "p50 below 1 are better. A failed row has no figures.",
        "",
        "| system | request | connections | requests/s | p50 ms | p90 ms | p99 ms | memory MB | requests/s ratio "
        "| p50 ratio |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [_line(row) for row in rows]
    asked, seen = sum(row.requests for row in rows), sum(row.repeats for row in rows)
    lines += ["", f"{asked:,} requests were measured; {seen:,} of them repeated a query that the same server had seen."]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    start = f"| {row.system} | {row.request} | {row.connections} |"
    if row.failure:
        return f"{start} failed: {row.failure} | | | | | | |"
    ratios = [f"{row.throughput:.1f} ×" if row.throughput is not None else ""]
    ratios += [f"{row.latency:.2f} ×" if row.latency is not None else ""]
    figures = [f"{row.requests_per_s:,.1f}", *(f"{ms:.2f}" for ms in (row.p50_ms, row.p90_ms, row.p99_ms))]
    return " | ".join([start[:-2], *figures, f"{row.memory_mb:.0f}", *ratios]) + " |"
