"""What peers took, as JSON and as a page.

In: a :class:`Measured` for each peer, with what every round found. Out: medians over the rounds, and ratios to ours of the same
run. Knows nothing of engines.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.worker import VECTORS, WHOLE

__all__ = ["Measured", "write_report"]

_LEAST_RECALL = 0.95
Key = tuple[str, str, int]
"""Kind of search, filter and number of clients."""


@dataclass(slots=True)
class Measured:
    """One peer: what it is, and what was found in each round, or why there is nothing."""

    name: str
    what: str = ""
    ours: bool = False
    server: bool = False
    versions: str = ""
    about: str = ""
    missing: str = ""
    build_s: list[float] = field(default_factory=list)
    cells: dict[Key, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, found: Mapping[str, Any]) -> None:
        """Take in what one round found."""
        self.about = found["about"]
        self.build_s.append(found["build_s"])
        for cell in found["cells"]:
            self.cells.setdefault((cell["kind"], cell["limit"], cell["clients"]), []).append(cell)

    def last(self) -> str:
        """Say the last round in one line."""
        return "; ".join(f"{kind} {limit} ×{n} {cells[-1]['p50_ms']:.2f} ms" for (kind, limit, n), cells in self.cells.items())

    def rows(self) -> list[dict[str, Any]]:
        """Return the medians of each cell; recalls and short answers are of all rounds together."""
        return [_median(key, cells) for key, cells in self.cells.items()]


def _median(key: Key, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(("kind", "limit", "clients"), key, strict=True))
    for name, digits in (("p50_ms", 3), ("p95_ms", 3), ("per_s", 1)):
        row[name] = round(statistics.median(cell[name] for cell in cells), digits)
    recalls = [cell["recall"] for cell in cells if cell["recall"] is not None]
    row["recall"] = round(statistics.fmean(recalls), 4) if recalls else None
    row["searches"], row["short"] = (sum(cell[name] for cell in cells) for name in ("searches", "short"))
    return {**row, "rounds": len(cells)}


def write_report(peers: Sequence[Measured], limits: Sequence[str], about: Mapping[str, object], folder: Path) -> Path:
    """Write ``peers.json`` and ``peers.md`` and return the path of the page. ``limits`` are the filters in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [_found(peer) for peer in peers if not peer.missing]
    missing = {peer.name: peer.missing for peer in peers if peer.missing}
    written = {"about": dict(about), "limits": list(limits), "peers": found, "not measured": missing}
    (folder / "peers.json").write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", "utf-8")
    page = folder / "peers.md"
    page.write_text("\n".join(_page(found, missing, limits, about)) + "\n", "utf-8")
    return page


def _found(peer: Measured) -> dict[str, Any]:
    return {
        "name": peer.name,
        "what": peer.what,
        "ours": peer.ours,
        "server": peer.server,
        "versions": ", ".join(filter(None, (peer.versions, peer.about))),
        "build_s": round(statistics.median(peer.build_s), 1),
        "rows": peer.rows(),
    }


def _page(
    peers: Sequence[Mapping[str, Any]], missing: Mapping[str, str], limits: Sequence[str], about: Mapping[str, object]
) -> list[str]:
    lines = ["# Other engines beside ours", "", "Written by `python -m benchmarks.bench_peers`. What is measured and how: "]
    lines[-1] += "[README](../README.md)."
    lines += ["", *(f"- {name}: {value}" for name, value in about.items()), ""]
    lines += ["A cell is p50 / p95 in milliseconds and, in brackets, recall@10 against an exact search; below 0.95 it is bold, and"]
    lines += ["its time should not be compared. Columns are the share of products that pass the filter on the price."]
    alone = [peer for peer in peers if not peer["server"]]
    servers = [peer for peer in peers if peer["server"]]
    for title, kind, group in (
        ("Vectors, in process: a vector in, ten ids out", VECTORS, alone),
        ("Vectors, servers: a vector in, ten ids out", VECTORS, servers),
        ("Whole searches, in process: a query typed, ten products out, embedding included", WHOLE, alone),
        ("Whole searches, servers: a query typed, ten products out, embedding included", WHOLE, servers),
    ):
        lines += _table(title, kind, group, limits)
        lines += _ratios(kind, group, peers, limits)
    lines += _busy(servers, limits)
    lines += ["", "## Versions", "", "| peer | what | versions | built in s |", "|---|---|---|--:|"]
    lines += [f"| {p['name']} | {p['what']} | {p['versions']} | {p['build_s']:.1f} |" for p in peers]
    if missing:
        lines += ["", "## Not measured", "", *(f"- {name}: {why}." for name, why in missing.items())]
    return lines


def _cells(peer: Mapping[str, Any], kind: str, clients: bool = False) -> dict[str, Mapping[str, Any]]:
    return {row["limit"]: row for row in peer["rows"] if row["kind"] == kind and (row["clients"] > 1) == clients}


def _table(title: str, kind: str, peers: Sequence[Mapping[str, Any]], limits: Sequence[str]) -> list[str]:
    rows = [(peer["name"], cells) for peer in peers if (cells := _cells(peer, kind))]
    if not rows:
        return []
    lines = ["", f"## {title}", "", f"| peer | {' | '.join(limits)} |", "|---|" + "--:|" * len(limits)]
    for name, cells in rows:
        lines.append(f"| {name} | " + " | ".join(_cell(cells.get(limit)) for limit in limits) + " |")
    return lines


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    times = f"{_ms(row['p50_ms'])} / {_ms(row['p95_ms'])}"
    if row["recall"] is None:
        return times
    recall = f"{row['recall']:.3f}"
    return f"{times} ({recall if row['recall'] >= _LEAST_RECALL else f'**{recall}**'})"


def _ms(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _ratios(
    kind: str, peers: Sequence[Mapping[str, Any]], everything: Sequence[Mapping[str, Any]], limits: Sequence[str]
) -> list[str]:
    """Say how many times the p50 of ours each peer took: in process beside in process, servers beside our server where that does
    the same work."""
    of_kind = [(peer, _cells(peer, kind)) for peer in peers if _cells(peer, kind)]
    ours = next((pair for pair in of_kind if pair[0]["ours"]), None)
    ours = ours or next(((peer, _cells(peer, kind)) for peer in everything if peer["ours"] and _cells(peer, kind)), None)
    others = [(peer, cells) for peer, cells in of_kind if ours and peer["name"] != ours[0]["name"]]
    if ours is None or not others:
        return []
    lines = ["", f"p50 as a multiple of that of `{ours[0]['name']}` in the same run; above 1 is slower than ours:", ""]
    lines += [f"| peer | {' | '.join(limits)} |", "|---|" + "--:|" * len(limits)]
    for peer, cells in others:
        ratios = [_ratio(cells.get(limit), ours[1].get(limit)) for limit in limits]
        lines.append(f"| {peer['name']} | " + " | ".join(ratios) + " |")
    return lines


def _ratio(row: Mapping[str, Any] | None, ours: Mapping[str, Any] | None) -> str:
    if not row or not ours or not ours["p50_ms"]:
        return ""
    ratio = row["p50_ms"] / ours["p50_ms"]
    return f"{ratio:.2f} ×" if ratio < 10 else f"{ratio:,.0f} ×"


def _busy(peers: Sequence[Mapping[str, Any]], limits: Sequence[str]) -> list[str]:
    counts = {row["clients"] for peer in peers for row in peer["rows"]} - {1}
    if not counts:
        return []
    cells = [_cells(peer, kind, clients=True) for kind in (VECTORS, WHOLE) for peer in peers]
    asked = [limit for limit in limits if any(limit in of_peer for of_peer in cells)]
    lines = ["", f"## {max(counts)} clients at the same time", ""]
    lines += ["Requests a second, and p50 / p95 in milliseconds.", ""]
    lines += [f"| server | search | {' | '.join(asked)} |", "|---|---|" + "--:|" * len(asked)]
    for kind, peer in ((kind, peer) for kind in (VECTORS, WHOLE) for peer in peers):
        if cells := _cells(peer, kind, clients=True):
            figures = [_rate(cells.get(limit)) for limit in asked]
            lines.append(f"| {peer['name']} | {kind} | " + " | ".join(figures) + " |")
    return lines


def _rate(row: Mapping[str, Any] | None) -> str:
    return f"{row['per_s']:,.0f}/s; {_ms(row['p50_ms'])} / {_ms(row['p95_ms'])}" if row else ""
