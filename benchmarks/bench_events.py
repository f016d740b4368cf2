"""How many events are taken in: ``python -m benchmarks.bench_events [EVENTS]``.

Two ways in, each beside the least it could cost in the same run: a file of User Behavior Insights records imported, beside the
same lines decoded and written to a plain file that is synced as often; and single events posted over HTTP to a real server by
64 connections, each acknowledged when it is on the disk, beside one synced SQLite commit for each event. Prints JSON.
What checksums take of importing and of reading is told too. Needs ``wrk`` for the second.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from benchmarks.load import Load, LoadError, parse_output, wrk_path
from benchmarks.servers import serving
from engine.events import EventLog
from engine.events.checksum import checksum
from engine.events.volume import COLUMNS
from indexer.events.importing import import_events

__all__ = ["main", "write_log"]

_CONNECTIONS = 64
_SECONDS = 10
_BATCH = 5_000
_WORDS = "waterproof hiking jacket tent laptop kettle 防水 登山 外套 保温杯 under 80 dollars 200元以内 red blue size 42".split()
_SCRIPT = """
local n, first = 0, tostring({{}}):sub(8)
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
function request()
  n = n + 1
  local body = string.format('{{"action_name":"click","event_id":"%s %d","query_id":"q%d","client_id":"device-%d-0123456789",' ..
    '"event_attributes":{{"object":{{"object_id":"P%d"}},"position":{{"ordinal":%d}}}}}}',
    first, n, n, n % 5000, n % 999, n % 24 + 1)
  return wrk.format(nil, "/v1/events", nil, body)
end
function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format('RESULT {{"requests": %d, "duration_us": %d, "p50_us": %d, "p90_us": %d, "p99_us": %d, ' ..
    '"bad_status": %d, "broken": %d}}', summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(90), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
"""


def write_log(path: Path, count: int, seed: int = 0) -> None:
    """Write ``count`` records, a search and three actions by turns, some of them with something personal in them."""
    chance, now = random.Random(seed), int(1000 * time.time())
    with path.open("wb") as stream:
        for n in range(count):
            when = now - 1000 * (count - n)
            who = {"client_id": f"device-{n // 40}-0123456789", "timestamp": when, "query_id": f"q{n // 4}"}
            if n % 4 == 0:
                text = " ".join(chance.sample(_WORDS, 4)) + (f" call 138{chance.randrange(10**8):08d}" if n % 400 == 0 else "")
                shown = [f"P{(n + k) % 999}" for k in range(24)]
                record: dict[str, Any] = {"user_query": text, "query_response_object_ids": shown, **who}
            else:
                thing = {"object": {"object_id": f"P{(n + 3) % 999}"}, "position": {"ordinal": n % 24 + 1}, "ip": "10.1.2.3"}
                record = {"action_name": ("click", "add_to_cart", "purchase")[n % 3], "event_attributes": thing, **who}
            stream.write(orjson.dumps(record) + b"\n")


def measure_import(folder: Path, count: int) -> dict[str, Any]:
    """Import a log, and do the least that could be done with it."""
    path = folder / "log.jsonl"
    write_log(path, count)
    started = time.perf_counter()
    with path.open("rb") as lines, (folder / "plain").open("wb") as out:
        for n, line in enumerate(lines, 1):
            out.write(orjson.dumps(orjson.loads(line)) + b"\n")
            if n % _BATCH == 0:
                out.flush()
                os.fsync(out.fileno())
    least = time.perf_counter() - started
    with closing(EventLog(folder / "events", consent="assumed")) as log:
        started = time.perf_counter()
        report = import_events(path, log)
        took = time.perf_counter() - started
        assert report.added == count, report
        started = time.perf_counter()
        assert sum(1 for _ in log.read()) == count
        read = time.perf_counter() - started
        started = time.perf_counter()
        assert sum(one.whole for one in log.check()) == count
        checked = time.perf_counter() - started
    summed = _summed(folder / "events")
    return {
        "events": count,
        "events_per_s": round(count / took),
        "decoded_and_written_per_s": round(count / least),
        "read_per_s": round(count / read),
        "checked_per_s": round(count / checked),
        "checksums_share_of_importing": round(summed / took, 3),
        "checksums_share_of_reading": round(summed / read, 3),
        "not_joined": report.not_joined,
    }


def _summed(folder: Path) -> float:
    """Return how long the checksums of all rows take."""
    rows: list[tuple[Any, ...]] = []
    for path in folder.glob("20*.sqlite"):
        with closing(sqlite3.connect(path)) as db:
            rows += db.execute(f"SELECT {','.join(COLUMNS)} FROM events")
    started = time.perf_counter()
    for row in rows:
        checksum(row)
    return time.perf_counter() - started


def measure_http(folder: Path) -> dict[str, Any]:
    """Post events to a server, and commit as many to a table one by one."""
    command = [sys.executable, "-m", "api.server"]
    script = folder / "post.lua"
    script.write_text(_SCRIPT.format(), "utf-8")
    environment = {"DAOGOU_STORE": str(folder / "store"), "DAOGOU_PORT": "{port}", "DAOGOU_CONSENT": "assumed"}
    with serving(command, environment, "/healthz") as running:
        load = _load(script, running.base)
    with closing(EventLog(folder / "store" / "events", consent="assumed")) as log:
        kept = log.count()["click"]
    return {
        "connections": _CONNECTIONS,
        "acknowledged_per_s": round(load.requests_per_s),
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
        "failure": load.failure,
        "requests": load.requests,
        "kept": kept,
        "one_by_one_per_s": _one_by_one(folder),
    }


def _load(script: Path, base: str) -> Load:
    command = [wrk_path(), "-t1", f"-c{_CONNECTIONS}", f"-d{_SECONDS}s", "-s", str(script), base]
    done = subprocess.run(command, capture_output=True, text=True, timeout=6 * _SECONDS, check=False)
    if done.returncode:
        raise LoadError(f"wrk ended with status {done.returncode}: {done.stderr[-300:]}")
    return parse_output(done.stdout)


def _one_by_one(folder: Path) -> int:
    """Return how many rows a second a table takes where each is synced by itself."""
    with closing(sqlite3.connect(folder / "plain.sqlite", isolation_level=None)) as db:
        for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"):
            db.execute(line)
        started, n = time.perf_counter(), 0
        while time.perf_counter() - started < 2:
            db.execute("INSERT INTO t (b) VALUES (?)", ("x" * 100,))
            n += 1
    return round(n / 2)


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory(prefix="daogou-events-", dir=".") as folder:
        found: dict[str, Any] = {"import": measure_import(Path(folder), count)}
        try:
            found["http"] = measure_http(Path(folder))
        except LoadError as error:
            found["http"] = {"not_measured": str(error)}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
