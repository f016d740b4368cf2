"""From nothing to the first answers: ``python -m benchmarks.bench_start --store STORE``.

In: a store. Out: JSON. The service and the naive baseline are started in turn, and waited for: until ``/readyz`` (or the
baseline's first search) answers, and until a first search is answered. Before each start the operating system has the files in
its memory, as it has when a server is replaced; ``--cold`` asks it to let go of them first, which takes a system that allows
it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench_service import HYBRID
from benchmarks.naive import SNAPSHOT_VARIABLE
from benchmarks.servers import memory_mb, serving
from engine.index.snapshot import open_snapshot

__all__ = ["main", "started"]


def started(command: Sequence[str], environment: dict[str, str], ready: str, search: str) -> dict[str, float]:
    """Start a server, and return the seconds until ``ready`` and until ``search`` answer 200, and its memory in MB then.

    Raises:
        LoadError: the server ended or did not answer in time.
        HTTPError: it did not answer the search.
    """
    began = time.monotonic()
    with serving(command, environment, ready) as server:
        at_ready = time.monotonic() - began
        with urllib.request.urlopen(server.base + search, timeout=60) as answer:
            answer.read()
        searched = time.monotonic() - began
        return {"ready_s": at_ready, "first_search_s": searched, "memory_mb": memory_mb(server.pid)[0]}


def _dropped() -> None:
    """Have the operating system forget the files it read.

    Raises:
        OSError: it does not let this process ask.
    """
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("1\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="let the system forget the files before each start")
    given = parser.parse_args(arguments)
    snapshot = open_snapshot(given.store)
    here = {"OMP_NUM_THREADS": "1"}
    naive = "-m uvicorn --factory benchmarks.naive:from_environment --host 127.0.0.1 --port {port} --no-access-log"
    systems: dict[str, tuple[Sequence[str], dict[str, str], str, str]] = {
        "naive": ((sys.executable, *naive.split()), {**here, SNAPSHOT_VARIABLE: str(snapshot.path)}, *["/search?q=ready"] * 2),
        "daogou": (
            (sys.executable, "-m", "api.server"),
            {**here, "DAOGOU_STORE": str(given.store), "DAOGOU_PORT": "{port}"},
            "/readyz",
            HYBRID.replace("{q}", "ready"),
        ),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
    for _ in range(given.rounds):
        for name, system in systems.items():
            if given.cold:
                _dropped()
            found[name].append(started(*system))
    told: dict[str, Any] = {"products": snapshot.manifest.products, "rounds": given.rounds, "cold": given.cold}
    for name, rounds in found.items():
        told[name] = {key: round(statistics.median(r[key] for r in rounds), 3) for key in rounds[0]}
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
