"""What ten thousand and what a million products cost: ``python -m benchmarks.bench_scale FEED``.

In: a real feed, from which catalogues of each size are made (:mod:`benchmarks.recombine`). Out: ``scale.json``, ``scale.md`` and
``scale.svg``. Each catalogue is indexed by a process of its own under the memory limit, which is watched from outside, and
searched by another, beside a flat FAISS index of the same vectors in single precision, which is what everything is compared with.
"""

from __future__ import annotations

import argparse
import itertools
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

from benchmarks.bench_service import make_queries
from benchmarks.recombine import feed_row, read_products, recombined
from benchmarks.report_scale import write_report

__all__ = ["main", "watched"]

_RESULTS = Path(__file__).parent / "results"
_SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
_QUERIES = 200
_WARMING = 20
_FLAT_QUERIES = 60
_CHECKED = 12
"""Queries whose filtered neighbours are compared with brute force."""
_TIE = 1e-3
"""Scores in half and in single precision differ by less."""
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
            for name, kilobytes in _memory(process.pid).items():
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


def _memory(pid: int) -> dict[str, int]:
    """Return a process's memory of its own, and all that is resident with the files it has mapped, in KiB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {n: int(v.split()[0]) for n, _, v in (line.partition(":") for line in lines) if n in ("RssAnon", "VmRSS")}


def _index(feed: Path, store: Path) -> dict[str, Any]:
    """Index a feed, and return what was measured and how long each stage took."""
    from engine.settings import load_settings
    from indexer.reindex import NullProgress, reindex

    class Stages(NullProgress):
        """Remembers when each stage began."""

        def __init__(self) -> None:
            self.began: dict[str, float] = {}

        def start(self, stage: str, total: int | None, unit: str) -> None:
            self.began[stage] = time.monotonic()

    watching = Stages()
    report = reindex(feed, load_settings(store=store), progress=watching)
    began = [*watching.began.items(), ("", time.monotonic())]
    stages = {name: round(after - at, 1) for (name, at), (_, after) in itertools.pairwise(began)}
    return {"products": report.products, "rejected": sum(report.rejected.values()), "stages_s": stages, "recall": report.recall}


def _search(store: Path) -> dict[str, Any]:
    """Search a store, whole searches and vectors alone, and return what was measured."""
    import faiss
    import numpy as np

    from engine.encoder import open_encoder
    from engine.engine import Engine
    from engine.index.documents import Documents
    from engine.index.faiss_index import FaissVectors, map_vectors
    from engine.index.snapshot import open_snapshot
    from engine.index.vectors import ExactVectors
    from engine.schema import SearchRequest
    from engine.settings import load_settings

    settings = load_settings(store=store)
    before = _memory(os.getpid())
    started = time.monotonic()
    engine = Engine.open(settings)
    opened = time.monotonic() - started
    snapshot = open_snapshot(Path(store))
    documents = Documents(snapshot.parts)
    rows = np.linspace(0, engine.product_count - 1, min(20_000, engine.product_count)).astype(int)
    texts = make_queries(documents.head(int(row))["title"] for row in rows)[: _QUERIES + _WARMING]
    whole: list[float] = []
    for text in texts:
        at = time.perf_counter()
        list(engine.search_many([SearchRequest(q=text, facet_by="brand,price", per_page=10)]))
        whole.append(1000 * (time.perf_counter() - at))
    after = _memory(os.getpid())
    folder = snapshot.path / "vectors"
    queries = open_encoder(snapshot.path / "encoder").encode_queries(texts)
    engine.close()
    index, vectors = FaissVectors(folder), map_vectors(folder)
    faiss.omp_set_num_threads(1)
    flat: Any = faiss.IndexFlatIP(vectors.shape[1])
    for start in range(0, len(vectors), 65_536):
        flat.add(vectors[start : start + 65_536].astype(np.float32))
    some = queries[_WARMING : _WARMING + _FLAT_QUERIES]
    times: dict[str, list[float]] = {}
    found: dict[str, list[float]] = {}
    rng = np.random.default_rng(0)
    masks = {f"{share:.1%}": rng.random(len(vectors)) < share for share in (0.5, 0.05, 0.005)}
    oracle = ExactVectors(vectors)
    for place, query in enumerate(some):
        true, _ = _timed(times, "flat", lambda q: flat.search(q[None], 10), query)
        near = _timed(times, "index", lambda q: index.search(q, 10), query)
        found.setdefault("index", []).append(float(np.mean(near.scores >= true[0, -1] - _TIE)))
        _timed(times, "index, 300", lambda q: index.search(q, 300), query)
        for name, mask in masks.items():
            near = _timed(times, f"filter {name}", lambda q, mask=mask: index.search(q, 10, mask), query)
            if place < _CHECKED:
                least = oracle.search(query, 10, mask).scores[-1]
                found.setdefault(f"filter {name}", []).append(float(np.mean(near.scores >= least - _TIE)))
    sizes = {name: entry["bytes"] for name, entry in snapshot.manifest.files.items()}
    n = len(vectors)
    return {
        "open_s": round(opened, 2),
        "own_mb": round((after["RssAnon"] - before["RssAnon"]) / 1024, 1),
        "whole": _spread(whole[_WARMING:]),
        "vectors": {name: _spread(values) for name, values in times.items()},
        "recall": {name: round(float(np.mean(values)), 4) for name, values in found.items()},
        "chosen": snapshot.manifest.report["vectors"],
        "index_bytes": sizes.get("vectors/index.faiss", 0) / n,
        "vector_bytes": sizes["vectors/vectors.faiss"] / n,
        "snapshot_bytes": (sum(sizes.values()) - sum(b for f, b in sizes.items() if f.startswith("encoder/"))) / n,
    }


def _timed(times: dict[str, list[float]], name: str, search: Any, query: Any) -> Any:
    at = time.perf_counter()
    found = search(query)
    times.setdefault(name, []).append(1000 * (time.perf_counter() - at))
    return found


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50_ms": round(ordered[len(ordered) // 2], 3), "p95_ms": round(ordered[int(0.95 * len(ordered))], 3)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each size and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("feed", type=Path, help="a real catalogue")
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES)
    parser.add_argument("--memory-mb", type=int, default=1024, help="the setting index_memory_mb")
    parser.add_argument("--max-tokens", type=int, default=32, help="the setting max_tokens; the default of daogou is 128")
    parser.add_argument("--folder", type=Path, help="where catalogues and stores are kept; else they are thrown away")
    parser.add_argument("--results", type=Path, default=_RESULTS)
    parser.add_argument("--index", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.index:
        print(json.dumps(_index(given.feed, given.index)))
        return
    if given.search:
        print(json.dumps(_search(given.search)))
        return
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
    this = [sys.executable, "-m", "benchmarks.bench_scale", str(feed)]
    print(f"{size:,} products: indexing", file=sys.stderr, flush=True)
    indexed = watched([*this, "--index", str(store)], environment)
    print(f"{size:,} products: indexed in {indexed.seconds:.0f} s; searching", file=sys.stderr, flush=True)
    searched = watched([*this, "--search", str(store)], {**environment, "OMP_NUM_THREADS": "1"})
    return {"size": size, "feed_bytes": feed.stat().st_size, "index": asdict(indexed), "search": searched.said}


def _machine() -> str:
    return f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} CPUs"


if __name__ == "__main__":
    main()
