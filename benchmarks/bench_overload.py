"""Three times as much as can be answered: ``python -m benchmarks.bench_overload --store STORE``.

In: a store. Out: JSON. First as many searches as one process answers, by a closed loop of 16 connections; then so many
connections that pause between requests that about three times as many are offered. What counts is how many are still answered
(goodput) and how long those wait, which a client of its own looks at, one search at a time, while the load runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.bench_service import HYBRID, make_queries, titles_of
from benchmarks.load import run_load
from benchmarks.servers import serving
from engine.index.snapshot import open_snapshot

__all__ = ["main"]

_TIMES = 3
_PAUSE_MS = 1000
_CYCLE_S = 1.5
"""Between two requests of a connection, on average: its pause, and the wait of those that are let in."""
_PROBES_S = 0.05


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=15)
    given = parser.parse_args(arguments)
    snapshot = open_snapshot(given.store)
    queries = make_queries(titles_of(snapshot))
    environment = {"DAOGOU_STORE": str(given.store), "DAOGOU_PORT": "{port}", "DAOGOU_WORKERS": "1"}
    with serving((sys.executable, "-m", "api.server"), environment, "/readyz") as server:
        url = server.base + HYBRID
        run_load(url, queries, connections=16, duration_s=3)
        peak = run_load(url, queries, connections=16, duration_s=given.seconds, offset=5_000)
        connections = round(_TIMES * peak.requests_per_s * _CYCLE_S)
        seen: list[tuple[int, float]] = []
        done = threading.Event()
        probe = threading.Thread(target=_probe, args=(url, queries, seen, done))
        probe.start()
        over = run_load(
            url, queries, connections=connections, duration_s=given.seconds, offset=50_000, pause_ms=_PAUSE_MS
        )
        done.set()
        probe.join()
        after = run_load(url, queries, connections=16, duration_s=5, offset=90_000)
    print(json.dumps(_found(peak, over, after, seen), indent=1))


def _probe(url: str, queries: Sequence[str], seen: list[tuple[int, float]], done: threading.Event) -> None:
    """Search now and then, and note status and seconds."""
    for query in queries[-20_000:]:
        if done.is_set():
            return
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(url.replace("{q}", quote(query, safe="")), timeout=30) as answer:
                status = answer.status
                answer.read()
        except urllib.error.HTTPError as error:
            status = error.code
        seen.append((status, time.perf_counter() - began))
        time.sleep(_PROBES_S)


def _found(peak: Any, over: Any, after: Any, seen: Sequence[tuple[int, float]]) -> dict[str, Any]:
    answered = sorted(seconds for status, seconds in seen if status == 200)
    refused = sorted(seconds for status, seconds in seen if status == 429)
    goodput = (over.requests - over.bad_status) / over.duration_s

    def ms(values: Sequence[float], share: float) -> float | None:
        return round(1000 * values[min(len(values) - 1, int(share * len(values)))], 1) if values else None

    return {
        "peak_per_s": round(peak.requests_per_s, 1),
        "offered_per_s": round(over.requests_per_s, 1),
        "goodput_per_s": round(goodput, 1),
        "goodput_of_peak": round(goodput / peak.requests_per_s, 3),
        "answered_p50_ms": ms(answered, 0.5),
        "answered_p99_ms": ms(answered, 0.99),
        "answered_longest_ms": ms(answered, 1.0),
        "refused_p50_ms": ms(refused, 0.5),
        "probes": {"answered": len(answered), "refused": len(refused), "other": len(seen) - len(answered) - len(refused)},
        "broken": over.broken,
        "afterwards_per_s": round(after.requests_per_s, 1),
    }


if __name__ == "__main__":
    main()
