"""Load from wrk: distinct queries in, requests a second and latencies out.

wrk's own text says only some percentiles and rounds them, so the Lua script given to it prints one line of JSON at
the end, which :func:`parse_output` reads. Queries are asked in the order of the list, which goes round when it ends.
Latencies are of a closed loop: each connection sends its next request when the last one was answered.
Knows nothing of what the servers do.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from engine.errors import DaogouError

__all__ = ["Load", "LoadError", "parse_output", "run_load", "wrk_path"]

_MARK = "RESULT "
_PLACE = "{q}"
_TIMEOUT_S = 60

_SCRIPT = """
local before, after, paths, counter = {before}, {after}, {{}}, {offset}
for line in io.lines({file}) do paths[#paths + 1] = before .. line .. after end
function request()
  counter = counter + 1
  return wrk.format("GET", paths[(counter - 1) % #paths + 1])
end
function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format('RESULT {{"requests": %d, "duration_us": %d, "p50_us": %d, "p90_us": %d, "p99_us": %d, ' ..
    '"bad_status": %d, "broken": %d}}', summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(90), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class LoadError(DaogouError):
    """wrk is missing, or did not do its work."""

    exit_code = 2
    title = "Load not made"


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw. ``bad_status`` counts answers of 400 and above, ``broken`` connections and timeouts."""

    requests: int
    duration_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    bad_status: int
    broken: int

    @property
    def requests_per_s(self) -> float:
        """Answers a second."""
        return self.requests / self.duration_s if self.duration_s > 0 else 0.0

    @property
    def failure(self) -> str:
        """Why the run does not count, or ``""``."""
        if self.bad_status or self.broken:
            return f"{self.bad_status} answers with an error status, {self.broken} broken or late connections"
        return "" if self.requests else "no answer came"


def wrk_path() -> str:
    """Return the path of wrk.

    Raises:
        LoadError: it is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise LoadError("The benchmark needs wrk, which is not installed. Run `apt-get install wrk`, then try again.")
    return found


def run_load(
    url: str, queries: Sequence[str], *, connections: int, duration_s: int, offset: int = 0, pause_ms: int = 0
) -> Load:
    """Ask ``queries`` from position ``offset`` on for ``duration_s``; ``{q}`` in ``url`` is where a query goes. Each connection
    pauses ``pause_ms`` before a request, as people do, so that many of them offer a load that does not wait for answers.

    Raises:
        LoadError: wrk is missing, ended with an error, or printed no result.
    """
    address, slash, path = url.partition("//")[2].partition("/")
    before, _, after = (slash + path).partition(_PLACE)
    with tempfile.TemporaryDirectory(prefix="daogou-load-") as folder:
        listed, script = Path(folder, "queries.txt"), Path(folder, "load.lua")
        listed.write_text("".join(quote(q, safe="") + "\n" for q in queries), "ascii")
        values = {"before": before, "after": after, "file": str(listed)}
        written = _SCRIPT.format(offset=offset, **{k: json.dumps(v) for k, v in values.items()})
        pause = f"function delay() return {pause_ms} end\n" if pause_ms else ""
        script.write_text(written + pause, "utf-8")
        command = [wrk_path(), "-t1", f"-c{connections}", f"-d{duration_s}s", f"--timeout={_TIMEOUT_S}s"]
        command += ["-s", str(script), f"http://{address}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=duration_s + _TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"wrk did not end {_TIMEOUT_S} s after its {duration_s} s of load on {address}.") from error
    if done.returncode != 0:
        raise LoadError(f"wrk ended with status {done.returncode} on {address}: {(done.stderr or done.stdout)[-300:]}")
    return parse_output(done.stdout)


def parse_output(text: str) -> Load:
    """Return what the script printed at the end of wrk's output.

    Raises:
        LoadError: the line is not there, or not what the script prints.
    """
    lines = [line.removeprefix(_MARK) for line in text.splitlines() if line.startswith(_MARK)]
    if not lines:
        raise LoadError(f"wrk printed no result line; its output ends with {text[-200:]!r}.")
    try:
        values = json.loads(lines[-1])
        load = Load(
            requests=int(values["requests"]),
            duration_s=float(values["duration_us"]) / 1e6,
            p50_ms=float(values["p50_us"]) / 1e3,
            p90_ms=float(values["p90_us"]) / 1e3,
            p99_ms=float(values["p99_us"]) / 1e3,
            bad_status=int(values["bad_status"]),
            broken=int(values["broken"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LoadError(f"wrk's result line cannot be read ({error}): {lines[-1][:200]!r}.") from error
    if not all(map(math.isfinite, (load.duration_s, load.p50_ms, load.p90_ms, load.p99_ms))):
        raise LoadError(f"wrk's result line has a number that is not finite: {lines[-1][:200]!r}.")
    return load
