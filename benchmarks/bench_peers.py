"""Other engines beside ours, over the same products and queries in one run: ``python -m benchmarks.bench_peers``.

In: a feed, indexed here into a temporary store, or a store that exists; its vectors are given to every peer
(:mod:`benchmarks.peers`). Out: ``peers.json`` and ``peers.md``. Peers take turns, round after round, each in a process of its own
(:mod:`benchmarks.peers.worker`) while no other runs. A peer that is not installed or fails is named in the result.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench_service import DEMO, ICECAT, indexed, make_queries, processor, real_queries, titles_of
from benchmarks.load import LoadError
from benchmarks.peers import PEERS, Known, known, versions_of
from benchmarks.peers.worker import WARMING, Limit, Plan
from benchmarks.report_peers import Measured, write_report
from engine.encoder.card import read_card
from engine.errors import DaogouError
from engine.index.documents import Documents
from engine.index.faiss_index import map_vectors
from engine.index.snapshot import Snapshot, open_snapshot
from engine.index.table import Table
from engine.index.vectors import as_float32

__all__ = ["dealt", "isolated", "limits_of", "main", "measured", "run_bench", "write_catalogue"]

_ROOT = Path(__file__).resolve().parent.parent
_SHARES = (0.5, 0.04, 0.005)
_BUSY = 0.04
_MOST_QUERIES = 100_000
_PATIENCE_S = 900
_ALONE = 'ip link set lo up && exec "$@"'


def limits_of(prices: NDArray[np.float64]) -> tuple[Limit, ...]:
    """Return no filter, and for each share wanted the real price below which nearest to that share of products are."""
    limits = [Limit("all", None, 1.0, busy=True)]
    known_prices, counts = np.unique(prices[np.isfinite(prices)], return_counts=True)
    shares = np.cumsum(counts) / len(prices)
    for wanted in _SHARES if len(shares) else ():
        place = int(np.argmin(np.abs(np.log(shares / wanted))))
        share = float(shares[place])
        if all(share != limit.share for limit in limits):
            limits.append(Limit(f"{100 * share:.2g} %", float(known_prices[place]), share, busy=wanted == _BUSY))
    return tuple(limits)


def dealt(real: Sequence[str], made: Sequence[str], turns: int, each: int) -> list[str]:
    """Return distinct queries so that of each turn, warm-up aside, as many are real as of every other."""
    rest = iter([query for query in made if query not in set(real)])
    queries: list[str] = []
    for turn in range(turns):
        own = real[turn::turns][:each]
        queries += [*itertools.islice(rest, WARMING), *own, *itertools.islice(rest, each - len(own))]
    return [*queries, *rest]


def write_catalogue(snapshot: Snapshot, real: Sequence[str], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Write what workers read, and return what the report says of it.

    Raises:
        LoadError: the snapshot has products that were updated after it was built.
    """
    if len(snapshot.parts) > 1 or len(snapshot.dead):
        raise LoadError("This store was updated since it was indexed. Give a feed, or a store that is as it was indexed.")
    documents = Documents(snapshot.parts)
    heads = [documents.head(row) for row in range(snapshot.rows)]
    prices = Table(snapshot.parts).prices()
    prices[np.isnan(prices)] = np.inf
    plan = Plan(limits_of(prices), options.searches, options.seconds, options.clients)
    made = make_queries(titles_of(snapshot), most=_MOST_QUERIES)
    queries = dealt(real, made, len(plan.limits), plan.searches)
    written = {
        "plan": asdict(plan),
        "texts": [" ".join(str(head[name]) for name in ("title", "brand", "description") if head.get(name)) for head in heads],
        "queries": queries,
        "vector_queries": [*real, *made][: plan.searches + WARMING],
    }
    for name, value in written.items():
        (folder / f"{name}.json").write_text(json.dumps(value), "utf-8")
    np.save(folder / "vectors.npy", as_float32(map_vectors(snapshot.path / "vectors")))
    np.save(folder / "prices.npy", prices)
    card = read_card(snapshot.path / "encoder")
    return {
        "products": snapshot.rows,
        "model": f"{snapshot.manifest.model}, {card.max_tokens} tokens of a product read",
        "encoder": f"ours for every peer, {card.kind}, {card.precision}",
        "filters": "; ".join(f"{limit.name}: price <= {limit.price:g}" for limit in plan.limits if limit.price is not None),
        "queries": f"{len(queries)} distinct, {len(real)} of them real",
    }


def isolated() -> list[str] | None:
    """Return what a command begins with that has a network of its own, with nothing but a loopback; ``None`` where there can be
    none. All that the command starts ends with it."""
    begin = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    begin += [] if os.geteuid() == 0 else ["--map-root-user"]
    begin += ["sh", "-c", _ALONE, "sh"]
    try:
        tried = subprocess.run([*begin, "true"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return begin if tried.returncode == 0 else None


def measured(peer: Known, catalogue: Path, store: Path) -> dict[str, Any]:
    """Measure a peer for one round in a process of its own, and return what it found, or why it found nothing: ``missing``."""
    before: list[str] | None = isolated() if peer.alone else []
    if before is None:
        return {"missing": "its server listens on every address, and no network of its own can be made for it here"}
    out = catalogue / "found.json"
    out.unlink(missing_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAOGOU_", "OMP_", "PROMETHEUS_"))}
    environment = {**kept, "OMP_NUM_THREADS": "1", "DAOGOU_CONFIG": str(catalogue / "none.toml"), "PYTHONPATH": str(_ROOT)}
    command = [*before, sys.executable, "-m", "benchmarks.peers.worker", peer.name, str(catalogue), str(store), str(out)]
    with (catalogue / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=catalogue, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(_PATIENCE_S)
        except BaseException as error:
            _stop(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return {"missing": f"it was not done after {_PATIENCE_S} s"}
    if not out.exists():
        end = (catalogue / "log").read_text("utf-8", "replace").strip().splitlines()
        return {"missing": f"it ended with status {process.returncode}: {end[-1][:300] if end else 'no word'}"}
    found: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Let the worker end what it started, then end it."""
    for sign in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)


def run_bench(peers: Sequence[Known], catalogue: Path, store: Path, rounds: int) -> Iterator[list[Measured]]:
    """Measure the peers in turns and yield after each round what was found of each so far, with the reason where there is nothing.

    Each round begins with another peer, so that none is always the first after a pause.
    """
    out = {peer.name: Measured(peer.name, peer.what, peer.ours, peer.server) for peer in peers}
    for peer in peers:
        try:
            out[peer.name].versions = versions_of(peer)
        except importlib.metadata.PackageNotFoundError as error:
            out[peer.name].missing = f"{error.name} is not installed (`make peers`)"
    for round_ in range(rounds):
        first = round_ * len(peers) // rounds
        for peer in (*peers[first:], *peers[:first]):
            row = out[peer.name]
            if row.missing:
                continue
            found = measured(peer, catalogue, store)
            if "missing" in found:
                row.missing = found["missing"]
            else:
                row.add(found)
            _say(f"round {round_ + 1} of {rounds}: {peer.name}: {row.missing or row.last()}")
        yield list(out.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark from the command line and return the exit code."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started ends with us
    try:
        with tempfile.TemporaryDirectory(prefix="daogou-bench-peers-") as folder:
            catalogue = Path(folder, "catalogue")
            catalogue.mkdir()
            store = (options.store or indexed(options.feed, Path(folder))).resolve()
            about = write_catalogue(open_snapshot(store), real_queries(options.queries), options, catalogue)
            limits = json.loads((catalogue / "plan.json").read_text("utf-8"))["limits"]
            for done, rows in enumerate(run_bench(known(options.peers), catalogue, store, options.rounds), 1):
                told = {**_machine(), **about, "measured": _how(options, done)}
                page = write_report(rows, [limit["name"] for limit in limits], told, options.out)
    except DaogouError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"Written to {page}.")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_peers", description=(__doc__ or "").split("\n\n")[0])
    source = parser.add_mutually_exclusive_group()
    default = ICECAT if ICECAT.exists() else DEMO
    source.add_argument("--feed", type=Path, default=default, help="feed to index, default %(default)s")
    source.add_argument("--store", type=Path, help="store that exists, instead of a feed")
    names = "; ".join(peer.name for peer in PEERS)
    parser.add_argument("--peers", nargs="+", default=[], metavar="NAME", help=f"which, default all: {names}")
    parser.add_argument(
        "--queries", type=Path, default=ICECAT.parent / "queries.dev.tsv", help="id and query a line, real ones"
    )
    parser.add_argument("--out", type=Path, default=_ROOT / "benchmarks" / "results", help="folder of the report")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts")
    parser.add_argument("--searches", type=int, default=200, help="searches of each kind and filter in a round")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for them at most, and for clients at the same time")
    parser.add_argument("--clients", type=int, default=16, help="how many ask servers at the same time")
    options = parser.parse_args(arguments)
    for name in ("rounds", "searches", "seconds", "clients"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name} is {getattr(options, name)}; it has to be above 0.")
    try:
        known(options.peers)
    except ValueError as error:
        parser.error(str(error))
    return options


def _machine() -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "Python": platform.python_version(),
    }


def _how(options: argparse.Namespace, rounds: int) -> str:
    return (
        f"{options.searches} searches of each kind and filter, fewer where they take longer than {options.seconds:g} s; "
        f"{options.clients} clients for {options.seconds:g} s; {rounds} × in turns, medians"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
