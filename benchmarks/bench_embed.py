"""How fast products are embedded, beside the original model: ``python -m benchmarks.bench_embed --store STORE``.

In: a store, whose exported encoder and products are taken. Out: JSON. ``sentence-transformers`` in torch float32 and the
exported encoder as ``daogou index`` runs it take turns over the same texts, with one thread and with two; what counts is the
median of each. Beside them stands the cosine of the two vectors of each text. ``--other`` names a store of the same products
whose encoder takes turns too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.encoder.card import read_card
from engine.encoder.opening import open_encoder
from engine.encoder.source import encode_original, find_source, load_original
from engine.index.documents import Documents
from engine.index.snapshot import open_snapshot
from engine.text import embedding_text

__all__ = ["main"]

_WARMING = 64


def _once(store: Path, system: str, products: int) -> dict[str, Any]:
    """Return the texts a second of one system in this process, which has so many threads as it was given, and its vectors."""
    snapshot = open_snapshot(store)
    documents = Documents(snapshot.parts, snapshot.dead)
    rows = np.linspace(0, snapshot.rows - 1, products + _WARMING).astype(int)
    texts = [embedding_text(documents.product(int(row))) for row in rows]
    card = read_card(snapshot.path / "encoder")
    if system == "original":
        model = load_original(find_source(card.source.model), max_tokens=card.max_tokens)
        encode = lambda some: encode_original(model, "", some)  # noqa: E731
    else:
        encode = open_encoder(snapshot.path / "encoder", threads=0).encode_products
    encode(texts[:_WARMING])
    started = time.perf_counter()
    vectors = encode(texts[_WARMING:])
    seconds = time.perf_counter() - started
    return {"a_second": products / seconds, "vectors": np.asarray(vectors, np.float32)}


def _apart(store: Path, system: str, products: int, threads: int, out: Path) -> tuple[float, Any]:
    """Run one system in a process of its own, as the number of threads is read once."""
    command = [sys.executable, "-m", "benchmarks.bench_embed", "--store", str(store), "--products", str(products)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if hasattr(os, "sched_setaffinity") and threads < (os.cpu_count() or 1):
        command = ["taskset", "-c", ",".join(map(str, range(threads))), *command]
    subprocess.run([*command, "--only", system, "--out", str(out)], env=environment, check=True)
    found = np.load(out)
    return float(found["a_second"]), found["vectors"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--other", type=Path, help="a store whose encoder was exported for another runtime")
    parser.add_argument("--products", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=(1, os.cpu_count() or 1))
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("embedded.npz"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.only:
        np.savez(given.out, **_once(given.store, given.only, given.products))
        return
    systems = {"original": given.store, "exported": given.store, **({"other": given.other} if given.other else {})}
    card = read_card(open_snapshot(given.store).path / "encoder")
    told: dict[str, Any] = {"products": given.products, "max_tokens": card.max_tokens}
    out = given.store / "embedded.tmp.npz"
    try:
        for threads in sorted(set(given.threads)):
            speeds: dict[str, list[float]] = {name: [] for name in systems}
            vectors: dict[str, Any] = {}
            for _ in range(given.rounds):
                for name, store in systems.items():
                    system = "original" if name == "original" else "exported"
                    speed, vectors[name] = _apart(store, system, given.products, threads, out)
                    speeds[name].append(speed)
            told[f"{threads} threads"] = _told(speeds, vectors)
    finally:
        out.unlink(missing_ok=True)
    print(json.dumps(told, indent=1))


def _told(speeds: dict[str, list[float]], vectors: dict[str, Any]) -> dict[str, Any]:
    base = statistics.median(speeds["original"])
    rows: dict[str, Any] = {}
    for name, values in speeds.items():
        cosines = (vectors[name] * vectors["original"]).sum(axis=1)
        rows[name] = {
            "products_a_second": round(statistics.median(values), 1),
            "times_the_original": round(statistics.median(values) / base, 2),
            "cosine_mean": round(float(cosines.mean()), 4),
            "cosine_least": round(float(cosines.min()), 4),
        }
    return rows


if __name__ == "__main__":
    main()
