"""This service against the naive baseline, over HTTP, in one run: ``python -m benchmarks.bench_service``.

In: a feed, indexed here into a temporary store, or a store that exists. Out: ``service.json`` and ``service.md``.
Systems take turns, round after round, so that noise of the machine hits all of them; every system is asked the same
distinct queries in the same order. Only one server runs at a time.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import random
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from benchmarks.load import LoadError, run_load, wrk_path
from benchmarks.naive import SNAPSHOT_VARIABLE
from benchmarks.report import Cell, Row, best_baselines, summarize, write_report
from benchmarks.servers import memory_mb, serving
from engine.errors import DaogouError
from engine.index.documents import Documents
from engine.index.snapshot import Snapshot, open_snapshot
from engine.settings import load_settings

__all__ = [
    "DEMO",
    "ICECAT",
    "System",
    "indexed",
    "main",
    "make_queries",
    "processor",
    "real_queries",
    "run_bench",
    "systems",
    "titles_of",
]

_ROOT = Path(__file__).resolve().parent.parent
ICECAT = _ROOT.parent / "shared" / "data" / "icecat" / "products.jsonl.gz"
DEMO = _ROOT / "examples" / "demo" / "catalogue.tsv"
_PACKAGES = ("torch", "sentence-transformers", "faiss-cpu", "onnxruntime", "fastapi", "uvicorn", "daogou")
_SEED = 20260101
_MOST_QUERIES = 150_000
"""More than a server answers in its turn, so that neither cache nor luck can help."""

HYBRID = "/v1/search?q={q}&facet_by=brand,price&per_page=10"
DENSE = "/v1/search?q={q}&alpha=1&facet_by=&per_page=10"


@dataclass(frozen=True, slots=True)
class System:
    """A server to measure. ``requests`` maps a name to a path with ``{q}`` in it."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    probe: str
    requests: dict[str, str]
    baseline: bool = False


def systems(store: Path, snapshot: Path, workers: int) -> list[System]:
    """Return the naive baseline with default threads and with one, and this service with ``workers`` and with one."""
    naive = "-m uvicorn --factory benchmarks.naive:from_environment --host 127.0.0.1 --port {port} --no-access-log"
    out = []
    for name, extra in (("naive, default threads", {}), ("naive, OMP_NUM_THREADS=1", {"OMP_NUM_THREADS": "1"})):
        environment = {SNAPSHOT_VARIABLE: str(snapshot), **extra}
        requests = {"dense": "/search?q={q}"}
        out.append(
            System(name, (sys.executable, *naive.split()), environment, "/search?q=ready", requests, baseline=True)
        )
    for count in dict.fromkeys((workers, 1)):
        environment = {"DAOGOU_STORE": str(store), "DAOGOU_PORT": "{port}", "DAOGOU_WORKERS": str(count)}
        requests = {"hybrid, facets, highlights": HYBRID, "dense": DENSE}
        name = f"daogou, {count} worker{'s' if count > 1 else ''}"
        out.append(System(name, (sys.executable, "-m", "api.server"), environment, "/readyz", requests))
    return out


def make_queries(titles: Iterable[str], first: Iterable[str] = (), *, most: int = _MOST_QUERIES) -> list[str]:
    """Return distinct queries: ``first``, then spans of two to four words of titles, shuffled the same way each time.

    Raises:
        LoadError: the titles have no two words.
    """
    spans: dict[str, None] = {}
    for title in titles:
        words = [word for part in title.lower().split() if any(map(str.isalnum, word := part.strip(",;:.()")))]
        for size, start in itertools.product((2, 3, 4), range(len(words))):
            if start + size <= len(words):
                spans[" ".join(words[start : start + size])] = None
    if not spans:
        raise LoadError("No product title has two words, so there is nothing to ask. Give another feed.")
    shuffled = list(spans)
    random.Random(_SEED).shuffle(shuffled)
    return list(dict.fromkeys((*first, *shuffled)))[:most]


def run_bench(
    these: Sequence[System],
    queries: Sequence[str],
    *,
    connections: Sequence[int] = (1, 16, 64),
    rounds: int = 2,
    duration_s: int = 8,
    warmup_s: int = 2,
) -> tuple[list[Row], str]:
    """Measure the systems in turns and return the rows, and which measure of memory was read.

    Raises:
        LoadError: a server does not start, or wrk does not run.
    """
    cells: list[Cell] = []
    memory = ""
    for round_ in range(rounds):
        for system in these:
            _say(f"round {round_ + 1} of {rounds}: {system.name}")
            with serving(system.command, system.environment, system.probe) as server:
                _check(server.base, system, queries[0])
                asked = 0
                for (request, path), count in itertools.product(system.requests.items(), connections):
                    url = server.base + path
                    warm = run_load(url, queries, connections=count, duration_s=warmup_s, offset=asked)
                    asked += warm.requests + count
                    load = run_load(url, queries, connections=count, duration_s=duration_s, offset=asked)
                    before, asked = asked, asked + load.requests + count
                    repeats = min(load.requests, max(0, asked - max(before, len(queries))))
                    used, memory = memory_mb(server.pid)
                    cells.append(Cell(system.name, request, count, load, used, system.baseline, repeats))
                    state = load.failure or f"{load.requests_per_s:.1f} requests/s, p50 {load.p50_ms:.2f} ms"
                    _say(f"  {request}, {count} connections: {state}")
    return summarize(cells), memory


def _check(base: str, system: System, query: str) -> None:
    """See that each request is answered with hits before it is timed."""
    for path in system.requests.values():
        with urllib.request.urlopen(base + path.replace("{q}", quote(query, safe="")), timeout=60) as response:
            if response.status != 200 or "hits" not in json.load(response):
                raise LoadError(f"{system.name} answers {path} with status {response.status} and no hits.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit code."""
    options = _options(arguments)
    try:
        wrk_path()
        with tempfile.TemporaryDirectory(prefix="daogou-bench-store-") as folder:
            store = options.store or indexed(options.feed, Path(folder))
            snapshot = open_snapshot(store)
            queries = make_queries(titles_of(snapshot), real_queries(options.queries))
            _say(f"{snapshot.manifest.products} products, {len(queries)} distinct queries")
            these = systems(store.resolve(), snapshot.path.resolve(), options.workers)
            rows, memory = run_bench(
                these, queries, connections=options.connections, rounds=options.rounds, duration_s=options.seconds
            )
        about = _about(snapshot, queries, memory, options)
        _, page = write_report(rows, about, options.out)
    except DaogouError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(_verdict(rows))
    print(f"Written to {page}.")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_service", description=__doc__.split("\n\n")[0])
    default = ICECAT if ICECAT.exists() else DEMO
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--feed", "--data", type=Path, default=default, help="feed to index, default %(default)s")
    source.add_argument("--store", type=Path, help="store that exists, instead of a feed")
    parser.add_argument(
        "--queries", type=Path, default=ICECAT.parent / "queries.dev.tsv", help="id and query a line, asked first"
    )
    parser.add_argument("--out", type=Path, default=_ROOT / "benchmarks" / "results", help="folder of the report")
    parser.add_argument("--workers", type=int, default=2, help="processes of this service")
    parser.add_argument("--rounds", type=int, default=2, help="rounds, of which the median counts")
    parser.add_argument(
        "--connections", type=int, nargs="+", default=[1, 16, 64], metavar="N", help="how many ask at the same time"
    )
    parser.add_argument("--seconds", type=int, default=8, help="duration of each measurement")
    options = parser.parse_args(arguments)
    for name in ("workers", "rounds", "seconds"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}; it has to be at least 1.")
    return options


def indexed(feed: Path, folder: Path) -> Path:
    """Index a feed into a store below ``folder`` with the default settings, and return the store."""
    from indexer.reindex import reindex

    _say(f"indexing {feed.name}")
    reindex(feed, load_settings(store=folder / "store"))
    return folder / "store"


def titles_of(snapshot: Snapshot) -> Iterator[str]:
    """Return the title of each product."""
    documents = Documents(snapshot.parts, snapshot.dead)
    return (str(documents.head(row)["title"]) for row in documents.living())


def real_queries(path: Path) -> list[str]:
    """Return the queries of a file that has an id and a query a line; none where there is no file."""
    if not path.exists():
        return []
    return [line.partition("\t")[2].strip() for line in path.read_text("utf-8").splitlines() if "\t" in line]


def _about(snapshot: Snapshot, queries: Sequence[str], memory: str, options: argparse.Namespace) -> dict[str, object]:
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "versions": ", ".join(["Python " + platform.python_version(), *_versions()]),
        "products": snapshot.manifest.products,
        "model": snapshot.manifest.model,
        "distinct queries": len(queries),
        "measured": f"{options.seconds} s after 2 s of warm-up, {options.rounds} × in turns, medians; wrk with 1 thread",
        "memory": f"{memory} of all processes of the server after the load",
    }


def _versions() -> Iterator[str]:
    for name in _PACKAGES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _verdict(rows: Sequence[Row]) -> str:
    lines = [f"baseline at {count} connections: {row.system}" for count, row in best_baselines(rows).items()]
    for row in rows:
        figures = row.failure or f"{row.requests_per_s:.1f} requests/s, p50 {row.p50_ms:.2f} ms, {row.memory_mb:.0f} MB"
        ratio = "" if row.throughput is None or row.baseline else f", {row.throughput:.1f} × the baseline"
        lines.append(f"{row.system}; {row.request}; {row.connections} connections: {figures}{ratio}")
    return "\n".join(lines)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
