"""Half an hour of a shop's day: ``python -m benchmarks.bench_soak``.

In: a feed, or the demo shop. Out: ``soak.json``, ``soak.md`` and ``soak.svg``. Two workers answer searches with facets,
suggestions, turns of the guide and explanations at a steady pace. For the first fifth of the time nothing else happens; then
snapshots are published by ``daogou update``, workers are killed with SIGKILL (in the middle of the time), and the generator
hangs every other time. A client asks once more where a connection broke, as any client of a service does; what it saw then is
what counts.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.bench_service import make_queries
from benchmarks.report_soak import write_report
from benchmarks.servers import Running, memory_of, serving

__all__ = ["main"]

_ROOT = Path(__file__).parents[1]
_DEMO = _ROOT / "examples" / "demo" / "catalogue.tsv"
_QUIET = 0.2
_KILLS = (0.35, 0.65)
"""Where in the time workers are killed: before and after, processes live long enough for their memory to be looked at."""
_HANGS_S = 6.0
_SAMPLE_S = 2.0
_PACE_S = {"search": 0.05, "suggest": 0.1, "guide": 0.5, "explain": 1.0}
_CLIENTS = {"search": 2, "suggest": 1, "guide": 1, "explain": 1}


@dataclass(slots=True)
class Seen:
    """What the clients saw: when each request began, its kind, status (0: no answer), seconds, and whether it was asked twice;
    when each publication began and ended, when workers were killed, and the memory of each process over time."""

    requests: list[tuple[float, str, int, float, bool]] = field(default_factory=list)
    publishes: list[tuple[float, float]] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    memory: list[tuple[float, int, float]] = field(default_factory=list)


class _Generator(BaseHTTPRequestHandler):
    """An endpoint that hangs every other time and answers nonsense the others."""

    protocol_version = "HTTP/1.1"
    asked = itertools.count()

    def do_POST(self) -> None:
        """Answer, or hang first."""
        self.rfile.read(int(self.headers["content-length"]))
        if next(self.asked) % 2:
            time.sleep(_HANGS_S)
        body = json.dumps({"choices": [{"message": {"content": "It is the best of all."}}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _generator() -> Any:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Generator)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()


def _requests(kind: str, queries: Sequence[str], ids: Sequence[str], rng: random.Random) -> tuple[str, str, bytes]:
    """Return method, path and body of a request of one kind."""
    query = rng.choice(queries)
    if kind == "search":
        return "GET", f"/v1/search?q={quote(query)}&facet_by=brand,price", b""
    if kind == "suggest":
        return "GET", f"/v1/suggest?q={quote(query[:4])}", b""
    if kind == "guide":
        return "POST", "/v1/guide", json.dumps({"text": query}).encode()
    return "POST", "/v1/explain", json.dumps({"q": query, "ids": rng.sample(ids, 2)}).encode()


def _ask(
    base: str, kind: str, make: Callable[[], tuple[str, str, bytes]], seen: Seen, started: float, done: threading.Event
) -> None:
    """Ask at a steady pace until it is done; a connection is kept until it breaks."""
    address = base.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=30)
    due = time.monotonic()
    while not done.is_set():
        method, path, body = make()
        at, status, again = time.monotonic(), 0, False
        for attempt in (0, 1):
            try:
                connection.request(method, path, body or None, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                status = answer.status
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = http.client.HTTPConnection(address, timeout=30)
                again = attempt == 0
        seen.requests.append((at - started, kind, status, time.monotonic() - at, again))
        due = max(due + _PACE_S[kind], time.monotonic() - 1)
        done.wait(max(0.0, due - time.monotonic()))


def _workers(server: Running) -> list[Any]:
    import psutil  # type: ignore[import-untyped]

    found = []
    for child in psutil.Process(server.pid).children():
        with suppress(psutil.Error):  # it has just ended
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def _watch(server: Running, seen: Seen, started: float, done: threading.Event) -> None:
    """Write down the memory of each worker of its own."""
    while not done.wait(_SAMPLE_S):
        for worker in _workers(server):
            own = memory_of(worker.pid).get("RssAnon", 0)
            if own:  # one that is ending has none
                seen.memory.append((time.monotonic() - started, worker.pid, own / 1024))


def _publish(store: Path, rows: list[dict[str, str]], turn: int, environment: dict[str, str]) -> None:
    """Change some prices, with ``daogou update``.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    changed = [{**row, "price": f"{10 + (turn * 7 + i) % 90}.00 USD"} for i, row in enumerate(rows)]
    feed = store.parent / "changes.jsonl"
    feed.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in changed), "utf-8")
    run = "from api.cli import main; main()"
    command = ["nice", sys.executable, "-c", run, "update", str(feed), "--store", str(store), "--quiet", "--json"]
    subprocess.run(command, env=environment, check=True, capture_output=True, cwd=_ROOT)


def _soak(store: Path, queries: list[str], rows: list[dict[str, str]], ids: list[str], given: argparse.Namespace) -> Seen:
    seen, done, rng = Seen(), threading.Event(), random.Random(0)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DAOGOU_") or k == "DAOGOU_MODEL"}
    with _generator() as generator:
        environment = {
            "DAOGOU_STORE": str(store),
            "DAOGOU_PORT": "{port}",
            "DAOGOU_WORKERS": "2",
            "DAOGOU_GENERATOR": "endpoint",
            "DAOGOU_GENERATOR_URL": generator,
            "DAOGOU_GENERATOR_MODEL": "none",
            "DAOGOU_GENERATOR_TIMEOUT_S": "2",
        }
        with serving((sys.executable, "-m", "api.server"), environment, "/readyz") as server:
            started = time.monotonic()
            threads = [threading.Thread(target=_watch, args=(server, seen, started, done))]
            for kind, clients in _CLIENTS.items():
                for _ in range(clients):
                    own = random.Random(rng.random())
                    threads.append(
                        threading.Thread(
                            target=_ask,
                            args=(server.base, kind, lambda k=kind, r=own: _requests(k, queries, ids, r), seen, started, done),
                        )
                    )
            for thread in threads:
                thread.start()
            try:
                _disturb(server, store, rows, seen, started, rng, given, kept)
            finally:
                done.set()
                for thread in threads:
                    thread.join()
    return seen


def _disturb(
    server: Running,
    store: Path,
    rows: list[dict[str, str]],
    seen: Seen,
    started: float,
    rng: random.Random,
    given: argparse.Namespace,
    environment: dict[str, str],
) -> None:
    """Publish and kill at even distances until the time is over."""
    first, last = _KILLS[0] * given.seconds, _KILLS[1] * given.seconds
    kills = [first + (last - first) * i / max(1, given.kills) for i in range(given.kills)]
    span = (1 - _QUIET) * given.seconds * 0.97
    publishes = [_QUIET * given.seconds + span * i / max(1, given.publishes) for i in range(given.publishes)]

    def kill() -> None:
        for at in kills:
            time.sleep(max(0.0, started + at - time.monotonic()))
            if workers := _workers(server):
                os.kill(rng.choice(workers).pid, signal.SIGKILL)
                seen.kills.append(time.monotonic() - started)

    killer = threading.Thread(target=kill)
    killer.start()
    for turn, at in enumerate(publishes):
        time.sleep(max(0.0, started + at - time.monotonic()))
        begun = time.monotonic() - started
        _publish(store, rows, turn, environment)
        seen.publishes.append((begun, time.monotonic() - started))
    time.sleep(max(0.0, started + given.seconds - time.monotonic()))
    killer.join()


def _told(seen: Seen, seconds: float) -> dict[str, Any]:
    """Return what was seen as figures."""
    failed = Counter(f"{kind} {status or 'no answer'}" for _, kind, status, _, _ in seen.requests if not 200 <= status < 300)
    searches = [(at, took) for at, kind, _, took, _ in seen.requests if kind == "search"]
    quiet = [took for at, took in searches if at < _QUIET * seconds]
    after = 2.0  # a server looks for a snapshot once a second, and opens it
    during = [took for at, took in searches if any(begun <= at + took and at <= ended + after for begun, ended in seen.publishes)]
    return {
        "seconds": seconds,
        "requests": dict(Counter(kind for _, kind, _, _, _ in seen.requests)),
        "asked_twice": sum(again for *_, again in seen.requests),
        "failed": dict(failed),
        "availability": 1 - sum(failed.values()) / max(1, len(seen.requests)),
        "publishes": len(seen.publishes),
        "kills": len(seen.kills),
        "quiet": _spread(quiet),
        "during_publishes": _spread(during),
        "memory": _slopes(seen.memory, seconds),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    return {name: round(1000 * ordered[int(share * (len(ordered) - 1))], 2) for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99))}


def _slopes(memory: Sequence[tuple[float, int, float]], seconds: float) -> list[dict[str, float]]:
    """Return for each process that lived in the last quarter how its memory grew there, in MB an hour, and its most."""
    import numpy as np

    out = []
    for pid in sorted({pid for _, pid, _ in memory}):
        late = [(at, mb) for at, p, mb in memory if p == pid and at > 0.75 * seconds]
        if len(late) > 3:
            slope = float(np.polyfit([at / 3600 for at, _ in late], [mb for _, mb in late], 1)[0])
            out.append({"mb_an_hour": round(slope, 1), "most_mb": round(max(mb for _, mb in late), 1)})
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--feed", type=Path, default=_DEMO)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--publishes", type=int, default=100)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args(arguments)

    from engine.index.documents import Documents
    from engine.index.snapshot import open_snapshot
    from engine.settings import load_settings
    from indexer.reindex import reindex

    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        store = Path(folder, "store")
        reindex(given.feed, load_settings(store=store))
        snapshot = open_snapshot(store)
        documents = Documents(snapshot.parts, snapshot.dead)
        every = [documents.document(row) for row in documents.living()]
        ids = [str(document["id"]) for document in every]
        queries = make_queries(str(document["title"]) for document in every)
        rows = [{"id": str(d["id"]), "title": str(d["title"])} for d in every[:: max(1, len(every) // 20)]]
        seen = _soak(store, queries, rows, ids, given)
    write_report(given.results, _told(seen, given.seconds) | {"products": len(ids)}, seen.memory, seen.publishes, seen.kills)


if __name__ == "__main__":
    main()
