"""What a benchmark of scale found, as JSON, as a page and drawn.

In: one row for each size. Out: ``scale.json``, ``scale.md`` and ``scale.svg``. Knows nothing of how it was measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["write_report"]


def write_report(folder: Path, rows: Sequence[dict[str, Any]], machine: str, memory_mb: int, max_tokens: int) -> None:
    """Write the three files of ``rows`` into ``folder``, with those of other sizes that are there with the same settings."""
    folder.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {"machine": machine, "index_memory_mb": memory_mb, "max_tokens": max_tokens}
    path = folder / "scale.json"
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    known = {row["size"]: row for row in before.pop("rows", [])} if before and before.items() >= told.items() else {}
    rows = [row for _, row in sorted((known | {row["size"]: row for row in rows}).items())]
    told["rows"] = rows
    (folder / "scale.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    (folder / "scale.md").write_text(_page(rows, machine, memory_mb, max_tokens), "utf-8")
    _draw(folder / "scale.svg", rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _page(rows: Sequence[dict[str, Any]], machine: str, memory_mb: int, max_tokens: int) -> str:
    built, foretold, searched, filtered, updated = [], [], [], [], []
    for row in rows:
        index, search = row["index"], row["search"]
        name, stages = f"{row['size']:,}", index["said"]["stages_s"]
        built.append(
            [
                name,
                *(f"{stages.get(stage, 0):,.0f}" for stage in ("Reading", "Embedding", "Building")),
                f"{index['seconds']:,.0f}",
                f"{index['own_mb']:,.0f}",
                f"{search['snapshot_bytes']:,.0f}",
                f"{search['index_bytes']:,.0f}",
            ]
        )
        if "estimate" in row:
            foretold.append([name, *_foretold(row)])
        if "update" in row:
            cells = [_updated(done) for done in row["update"]["said"]["updates"]]
            updated.append([name, *cells, f"{row['update']['own_mb']:,.0f}"])
        vectors, whole = search["vectors"], search["whole"]
        searched.append(
            [
                name,
                search["chosen"]["index"],
                f"{vectors['flat']['p50_ms']:.2f} / {vectors['flat']['p95_ms']:.2f}",
                f"{vectors['index']['p50_ms']:.2f} / {vectors['index']['p95_ms']:.2f}",
                f"{vectors['index']['p95_ms'] / vectors['flat']['p95_ms']:.3f}",
                f"{search['recall']['index']:.3f}",
                f"{whole['p50_ms']:.1f} / {whole['p95_ms']:.1f}",
                f"{search['open_s']:.1f}",
                f"{search['own_mb']:,.0f}",
            ]
        )
        cells = []
        for share in ("50.0%", "5.0%", "0.5%"):
            times = vectors[f"filter {share}"]
            cells += [f"{times['p50_ms']:.2f} / {times['p95_ms']:.2f}", f"{search['recall'][f'filter {share}']:.3f}"]
        filtered.append([name, *cells])
    return "\n\n".join(
        [
            "# From ten thousand to a million products",
            f"{machine}. Catalogues are recombined from a real one; `index_memory_mb` is {memory_mb:,}, `max_tokens` {max_tokens}; "
            "the encoder is the default one. Searches are one at a time on one thread, of queries that were "
            "not asked before, after twenty others; flat is FAISS's exact index of the same vectors in single precision, searched "
            "first in the same process. Own memory is what a process has for itself: "
            "mapped files are shared and are the system's to take back.",
            "![Cost by number of products](scale.svg)",
            "## Indexing",
            _table(
                ["products", "reading s", "embedding s", "building s", "all s", "most own memory MB", "snapshot B/product",
                 "index B/product"],
                built,
            ),
            "## What `daogou estimate` foretold, and what was measured",
            _table(["products", "all s", "index", "serving MB", "snapshot MB", "most own memory MB"], foretold),
            "## One product in a hundred changed, by `daogou update`",
            _table(["products", "prices: embedded, s", "titles: embedded, s", "most own memory MB"], updated),
            "## Searching",
            _table(
                ["products", "index", "flat p50 / p95 ms", "index p50 / p95 ms", "p95 against flat", "recall@10",
                 "whole search p50 / p95 ms", "open s", "own memory MB"],
                searched,
            ),
            "## Searching vectors under a filter",
            _table(["products", "50 % p50 / p95 ms", "recall", "5 %", "recall", "0.5 %", "recall"], filtered),
            "",
        ]
    )


def _foretold(row: dict[str, Any]) -> list[str]:
    """Return what was foretold and what was measured, as cells."""
    said, index, search = row["estimate"], row["index"], row["search"]
    pairs = [
        (f"{said['seconds']:,.0f}", f"{index['seconds']:,.0f}"),
        (said["index"], search["chosen"]["index"]),
        (f"{said['serving_bytes'] / 2**20:,.0f}", f"{search['process_mb']:,.0f}"),
        (f"{said['disk_bytes'] / 2**20:,.0f}", f"{search['snapshot_bytes'] * row['size'] / 2**20:,.0f}"),
        (f"{said['own_bytes'] / 2**20:,.0f}", f"{index['own_mb']:,.0f}"),
    ]
    return [f"{one} / {other}" for one, other in pairs]


def _updated(done: dict[str, Any]) -> str:
    built = " (all built into one)" if done["compacted"] else ""
    return f"{done['embedded']:,} of {done['changed']:,}, {done['seconds']:,.0f}{built}"


def _draw(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Draw build time, memory and latency by size, both axes logarithmic."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    sizes = [row["size"] for row in rows]
    panels = [
        ("seconds to index", {"all": [r["index"]["seconds"] for r in rows],
                              "embedding": [r["index"]["said"]["stages_s"].get("Embedding", 0) for r in rows]}),
        ("own memory, MB", {"indexing": [r["index"]["own_mb"] for r in rows], "searching": [r["search"]["own_mb"] for r in rows]}),
        ("ms for vectors", {"flat p95": [r["search"]["vectors"]["flat"]["p95_ms"] for r in rows],
                            "index p50": [r["search"]["vectors"]["index"]["p50_ms"] for r in rows],
                            "index p95": [r["search"]["vectors"]["index"]["p95_ms"] for r in rows]}),
        ("ms for a whole search", {"p50": [r["search"]["whole"]["p50_ms"] for r in rows],
                                   "p95": [r["search"]["whole"]["p95_ms"] for r in rows]}),
    ]  # fmt: skip
    with mpl.rc_context({"svg.hashsalt": "daogou", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 6), layout="constrained")
        for axes, (title, lines) in zip(figure.subplots(2, 2).flat, panels, strict=True):
            for name, values in lines.items():
                axes.plot(sizes, values, "o-", label=name, linewidth=1.5, markersize=4)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_title(title)
            axes.legend(frameon=False)
            axes.grid(alpha=0.25)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
