"""What is measured of one large catalogue, each in a process of its own: ``python -m benchmarks.scale_measures WHAT FEED STORE``.

In: a feed and a store. Out: JSON on standard output. ``estimate`` foretells, ``index`` indexes, ``search`` searches beside a
flat index, ``update`` publishes changes of one product in a hundred.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from benchmarks.bench_service import make_queries
from benchmarks.servers import memory_of

_QUERIES = 200
_WARMING = 20
_FLAT_QUERIES = 60
_CHECKED = 12
"""Queries whose filtered neighbours are compared with brute force."""
_TIE = 1e-3
"""Scores in half and in single precision differ by less."""
_CHANGED = 100
"""One product in so many changes."""


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


def _search(_feed: Path, store: Path) -> dict[str, Any]:
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
    before = memory_of(os.getpid())
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
    after = memory_of(os.getpid())
    folder = snapshot.path / "vectors"
    queries = open_encoder(snapshot.path / "encoder").encode_queries(texts)
    engine.close()
    times: dict[str, list[float]] = {}
    found: dict[str, list[float]] = {}
    index, vectors = FaissVectors(folder), map_vectors(folder)
    faiss.omp_set_num_threads(1)
    flat: Any = faiss.IndexFlatIP(vectors.shape[1])
    for start in range(0, len(vectors), 65_536):
        flat.add(vectors[start : start + 65_536].astype(np.float32))
    some = queries[_WARMING:]
    true = [_timed(times, "flat", lambda q: flat.search(q[None], 10), q)[0][0, -1] for q in some[:_FLAT_QUERIES]]
    rng = np.random.default_rng(0)
    masks = {f"{share:.1%}": rng.random(len(vectors)) < share for share in (0.5, 0.05, 0.005)}
    oracle = ExactVectors(vectors)
    for query in queries[:_WARMING]:  # a server has looked at its files before; these are other queries
        index.search(query, 10)
    near = [_timed(times, "index", lambda q: index.search(q, 10), q) for q in some]
    found["index"] = [float(np.mean(n.scores >= least - _TIE)) for n, least in zip(near, true, strict=False)]
    for query in some[:_FLAT_QUERIES]:
        _timed(times, "index, 300", lambda q: index.search(q, 300), query)
    for name, mask in masks.items():
        for place, query in enumerate(some[:_FLAT_QUERIES]):
            here = _timed(times, f"filter {name}", lambda q, mask=mask: index.search(q, 10, mask), query)
            if place < _CHECKED:
                least = oracle.search(query, 10, mask).scores[-1]
                found.setdefault(f"filter {name}", []).append(float(np.mean(here.scores >= least - _TIE)))
    sizes = {name: entry["bytes"] for name, entry in snapshot.manifest.files.items()}
    n = len(vectors)
    return {
        "open_s": round(opened, 2),
        "process_mb": round(after["RssAnon"] / 1024, 1),
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


def _estimate(feed: Path, store: Path) -> dict[str, Any]:
    """Return what is foretold of indexing a feed."""
    from engine.settings import load_settings
    from indexer.estimate import estimate

    return estimate(feed, load_settings(store=store)).to_dict()


def _update(feed: Path, store: Path) -> dict[str, Any]:
    """Publish new prices of one product in a hundred, then new titles, and return what each took."""
    from engine.settings import load_settings
    from indexer.update import update

    settings = load_settings(store=store)

    def changed(name: str, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder, feed.open("rb") as rows:
            path = Path(folder) / "changed.jsonl"
            with path.open("wb") as out:
                for line in itertools.islice(rows, 0, None, _CHANGED):
                    row = orjson.loads(line)
                    change(row)
                    out.write(orjson.dumps(row) + b"\n")
            done = update(path, settings)
        told = ("changed", "embedded", "compacted", "seconds")
        return {"name": name, **{field: getattr(done, field) for field in told}}

    def dearer(row: dict[str, Any]) -> None:
        row["price"] = "49.99 USD"

    def renamed(row: dict[str, Any]) -> None:
        row["title"] = f"{row['title']} second edition"

    return {"updates": [changed("price", dearer), changed("title", renamed)]}


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    measures = {"estimate": _estimate, "index": _index, "search": _search, "update": _update}
    print(json.dumps(measures[what](*map(Path, paths))))
