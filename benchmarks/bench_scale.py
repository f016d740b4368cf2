"""What ten thousand and what a million products cost: ``python -m benchmarks.bench_scale FEED``.

In: a real feed, from which catalogues of each size are made (:mod:`benchmarks.recombine`). Out: ``scale.json``, ``scale.md``
and ``scale.svg``. What indexing each takes is foretold by one process, measured of another under the memory limit, which is
watched from outside; it is searched by a third, beside a flat FAISS index of the same vectors in single precision, which is
what everything is compared with, and updated by a fourth.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.recombine import feed_row, read_products, recombined
from benchmarks.report_scale import write_report
from benchmarks.servers import memory_of

__all__ = ["main", "watched"]

_RESULTS = Path(__file__).parent / "results"
_SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Watched:
    """What a process said, how long it took, and the most memory of its own and in all that it had."""

    said: dict[str, Any]
    seconds: float
    own_mb: float
    resident_mb: float


def watched(command: Sequence[str], environment: dict[str, str]) -> Watched:
    """Run a command that prints JSON, and watch its memory.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    started = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    most = {"RssAnon": 0, "VmRSS": 0}

    def watch() -> None:
        while process.poll() is None:
            for name, kilobytes in memory_of(process.pid).items():
                most[name] = max(most[name], kilobytes)
            time.sleep(_POLL_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Watched(
        json.loads(said.splitlines()[-1]), time.monotonic() - started, most["RssAnon"] / 1024, most["VmRSS"] / 1024
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each size and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("feed", type=Path, help="a real catalogue")
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES)
    parser.add_argument("--memory-mb", type=int, default=1024, help="the setting index_memory_mb")
    parser.add_argument("--max-tokens", type=int, default=32, help="the setting max_tokens; the default of daogou is 128")
    parser.add_argument("--folder", type=Path, help="where catalogues and stores are kept; else they are thrown away")
    parser.add_argument("--results", type=Path, default=_RESULTS)
    given = parser.parse_args(arguments)
    kept = given.folder or Path(tempfile.mkdtemp(prefix="scale-"))
    products = read_products(given.feed)
    rows = []
    try:
        for size in given.sizes:
            rows.append(_measured(kept, products, size, given))
            write_report(given.results, rows, _machine(), given.memory_mb, given.max_tokens)
    finally:
        if not given.folder:
            shutil.rmtree(kept, ignore_errors=True)


def _measured(kept: Path, products: list[Any], size: int, given: argparse.Namespace) -> dict[str, Any]:
    """Make a catalogue, index it and search it."""
    feed, store = kept / f"{size}.jsonl", kept / f"store-{size}"
    kept.mkdir(parents=True, exist_ok=True)
    with feed.open("wb") as stream:
        for product in recombined(products, size):
            stream.write(feed_row(product))
    environment = {"DAOGOU_INDEX_MEMORY_MB": str(given.memory_mb), "DAOGOU_MAX_TOKENS": str(given.max_tokens)}
    alone = {**environment, "OMP_NUM_THREADS": "1"}

    def part(what: str, environment: dict[str, str]) -> Watched:
        print(f"{size:,} products: {what}", file=sys.stderr, flush=True)
        return watched([sys.executable, "-m", "benchmarks.scale_measures", what, str(feed), str(store)], environment)

    row: dict[str, Any] = {"size": size, "feed_bytes": feed.stat().st_size}
    row |= {"estimate": part("estimate", environment).said, "index": asdict(part("index", environment))}
    return row | {"search": part("search", alone).said, "update": asdict(part("update", environment))}


def _machine() -> str:
    return f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} CPUs"


if __name__ == "__main__":
    main()
