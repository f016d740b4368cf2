"""What a soak found, as JSON, as a page and drawn. Knows nothing of how it was measured."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["write_report"]


def write_report(
    folder: Path,
    told: dict[str, Any],
    memory: Sequence[tuple[float, int, float]],
    publishes: Sequence[tuple[float, float]],
    kills: Sequence[float],
) -> None:
    """Write ``soak.json``, ``soak.md`` and ``soak.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"machine": f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} CPUs", **told}
    (folder / "soak.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    (folder / "soak.md").write_text(_page(told), "utf-8")
    _draw(folder / "soak.svg", memory, publishes, kills)


def _page(told: dict[str, Any]) -> str:
    quiet, during = told["quiet"], told["during_publishes"]
    failed = ", ".join(f"{n} × {what}" for what, n in told["failed"].items()) or "none"
    asked = ", ".join(f"{n:,} {kind}" for kind, n in told["requests"].items())
    grew = ", ".join(f"{m['mb_an_hour']:+.1f} MB an hour at {m['most_mb']:.0f} MB" for m in told["memory"])
    return f"""# A soak

`python -m benchmarks.bench_soak`, {told["machine"]}; {told["products"]:,} products, two workers, {told["seconds"]:,.0f} s,
{told["publishes"]} publications, {told["kills"]} workers killed, a generator that hangs every other time.

| | |
|---|---:|
| requests | {asked} |
| failed | {failed} |
| availability | {told["availability"]:.4%} |
| asked a second time, as a connection broke | {told["asked_twice"]} |
| searches while nothing happens, p50 / p99 ms | {quiet["p50_ms"]:.1f} / {quiet["p99_ms"]:.1f} |
| searches while a snapshot is published and opened, p50 / p99 ms | {during["p50_ms"]:.1f} / {during["p99_ms"]:.1f} |
| p99 while publishing ÷ quiet | {during["p99_ms"] / max(quiet["p99_ms"], 1e-9):.2f} |
| memory of its own of each worker, last quarter | {grew or "—"} |

![Memory of each worker](soak.svg)
"""


def _draw(
    path: Path,
    memory: Sequence[tuple[float, int, float]],
    publishes: Sequence[tuple[float, float]],
    kills: Sequence[float],
) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.hashsalt": "daogou"}):
        figure, axes = plt.subplots(figsize=(8, 3))
        for pid in dict.fromkeys(pid for _, pid, _ in memory):
            line = [(at / 60, mb) for at, p, mb in memory if p == pid]
            axes.plot(*zip(*line, strict=True), linewidth=1)
        axes.plot([begun / 60 for begun, _ in publishes], [0] * len(publishes), "|", color="grey", label="published")
        axes.plot([at / 60 for at in kills], [0] * len(kills), "x", color="red", label="worker killed")
        axes.set(xlabel="minutes", ylabel="MB of its own", ylim=(-5, None))
        axes.legend(loc="lower right", fontsize="small")
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)
