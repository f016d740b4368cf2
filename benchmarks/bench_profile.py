"""Where the time of one request goes: ``python -m benchmarks.bench_profile --store STORE``.

In: a store. Out: JSON. The same queries are asked of the engine in this process, stage by stage; of the application, without a
socket; and of a server over one connection, one at a time. What one has over the one before it is what it adds. Then the engine
is asked once more under ``cProfile``, which says in which functions the time is spent, though it makes calls dearer than they
are.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import http.client
import json
import pstats
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from benchmarks.bench_service import DENSE, HYBRID, make_queries, titles_of
from benchmarks.servers import serving
from engine.engine import Engine
from engine.index.snapshot import open_snapshot
from engine.schema import SearchRequest
from engine.settings import Settings, load_settings

__all__ = ["main"]

_WARMING = 100
_SHOWN = 25


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=1000)
    given = parser.parse_args(arguments)
    settings = load_settings(store=given.store, events=False)
    snapshot = open_snapshot(given.store)
    queries = make_queries(titles_of(snapshot))[: _WARMING + given.queries]
    told: dict[str, Any] = {"products": snapshot.manifest.products}
    for name, path in (("hybrid", HYBRID), ("dense", DENSE)):
        told[name] = {
            **_engine(settings, queries, path),
            "application": asyncio.run(_application(settings, queries, path)),
            "server": _server(given.store, queries, path),
        }
    told["functions"] = _functions(settings, queries)
    print(json.dumps(told, indent=1))


def _request(path: str, query: str) -> SearchRequest:
    """Return what a path with parameters asks for."""
    pairs = [part.partition("=") for part in path.partition("?")[2].split("&")]
    return SearchRequest.model_validate({name: query if value == "{q}" else value for name, _, value in pairs})


def _times(ask: Callable[[str], object], queries: Sequence[str]) -> list[float]:
    """Ask, and return the milliseconds of each query that is no warming."""
    took = []
    for query in queries:
        at = time.perf_counter()
        ask(query)
        took.append(1000 * (time.perf_counter() - at))
    return took[_WARMING:]


def _spread(took: Sequence[float]) -> dict[str, float]:
    ordered = sorted(took)
    return {
        "mean_ms": round(statistics.fmean(took), 3),
        "p50_ms": round(statistics.median(took), 3),
        "p95_ms": round(ordered[int(0.95 * len(ordered))], 3),
    }


def _engine(settings: Settings, queries: Sequence[str], path: str) -> dict[str, Any]:
    """Return what the engine takes, and each of its stages, on average."""
    engine = Engine.open(settings)
    stages: dict[str, float] = defaultdict(float)

    def add(stage: str, seconds: float) -> None:
        stages[stage] += 1000 * seconds

    def ask(query: str) -> None:
        list(engine.search_many([_request(path, query)]))

    _times(ask, queries[:_WARMING])
    engine.on_stage = add
    took = _times(ask, queries)
    engine.close()
    return {"engine": _spread(took), "stages_mean_ms": {name: round(ms / len(queries), 3) for name, ms in stages.items()}}


async def _application(settings: Settings, queries: Sequence[str], path: str) -> dict[str, float]:
    """Return what the application takes, from a request that was read to an answer that could be sent."""
    from api.app import create_app

    app = create_app(settings)
    took = []
    async with app.router.lifespan_context(app):
        for query in queries:
            parts = urlsplit(path.replace("{q}", quote(query, safe="")))
            scope: dict[str, Any] = {
                "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": parts.path,
                "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "root_path": "",
                "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
                "asgi": {"version": "3.0"}, "state": {},
            }  # fmt: skip
            sent: list[Any] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Any, sent: list[Any] = sent) -> None:
                sent.append(message)

            at = time.perf_counter()
            await app(scope, receive, send)
            took.append(1000 * (time.perf_counter() - at))
            assert sent[0]["status"] == 200, sent
    return _spread(took[_WARMING:])


def _server(store: Path, queries: Sequence[str], path: str) -> dict[str, float]:
    """Return what a client waits that has one connection and sends one request after another."""
    environment = {"DAOGOU_STORE": str(store), "DAOGOU_PORT": "{port}", "DAOGOU_EVENTS": "false"}
    with serving((sys.executable, "-m", "api.server"), environment, "/readyz") as server:
        connection = http.client.HTTPConnection(urlsplit(server.base).netloc)

        def ask(query: str) -> None:
            connection.request("GET", path.replace("{q}", quote(query, safe="")))
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200

        took = _times(ask, queries)
        connection.close()
    return _spread(took)


def _functions(settings: Settings, queries: Sequence[str]) -> list[dict[str, Any]]:
    """Return the functions in which a hybrid search spends most, without what they call."""
    engine = Engine.open(settings)
    for query in queries[:_WARMING]:
        list(engine.search_many([_request(HYBRID, query)]))
    profile = cProfile.Profile()
    profile.enable()
    for query in queries:
        list(engine.search_many([_request(HYBRID, query)]))
    profile.disable()
    engine.close()
    entries = pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
    total = sum(entry[2] for _, entry in entries)
    most = sorted(entries, key=lambda item: -item[1][2])[:_SHOWN]
    return [
        {
            "function": f"{'/'.join(Path(file).parts[-2:])}:{name}",
            "calls_a_search": round(calls / len(queries), 1),
            "share": round(own / total, 4),
        }
        for (file, _, name), (_, calls, own, *_) in most
    ]


if __name__ == "__main__":
    main()
