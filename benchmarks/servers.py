"""Server processes of a benchmark: started on a free port of 127.0.0.1, waited for, measured, and always stopped.

Each gets the environment of this process without its ``DAOGOU_…`` and ``OMP_…`` variables and without any settings
file, so that what is measured is the defaults. Knows nothing of what the servers answer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import LoadError

__all__ = ["Running", "free_port", "memory_mb", "memory_of", "serving"]

_START_S = 120
_STOP_S = 15
_POLL_S = 0.005
_PORT = "{port}"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. ``base`` is its address without a final slash."""

    base: str
    pid: int


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], probe: str) -> Iterator[Running]:
    """Run ``command`` until the block ends; ``{port}`` in it and in ``environment`` is a free port.

    The block begins once ``probe``, a path, answers 200.

    Raises:
        LoadError: the server ended or did not answer in time; the message has the end of its log.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="daogou-bench-") as folder:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DAOGOU_", "OMP_", "PROMETHEUS_"))}
        given = {k: v.replace(_PORT, str(port)) for k, v in environment.items()}
        log = Path(folder, "log")
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [part.replace(_PORT, str(port)) for part in command],
                env={**kept, "DAOGOU_CONFIG": str(Path(folder, "none.toml")), **given},
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            base = f"http://127.0.0.1:{port}"
            _wait(process, base + probe, log)
            yield Running(base, process.pid)
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    answer = "nothing"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            answer = f"it ended with status {process.returncode}"
            break
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, OSError) as error:
            answer = str(error)
        time.sleep(_POLL_S)
    raise LoadError(f"The server at {url} did not answer ({answer}). Its log ends: {log.read_text('utf-8')[-500:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and all it started; they share a session, whose group has the process's id."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)


def memory_mb(pid: int) -> tuple[float, str]:
    """Return the memory of a process and its children in MB, and what was summed: ``PSS`` or ``RSS``.

    PSS shares out pages that several processes map; summed RSS counts them once for each. PSS is Linux only.
    """
    import psutil  # type: ignore[import-untyped]

    root = psutil.Process(pid)
    processes = [root, *root.children(recursive=True)]
    try:
        return sum(p.memory_full_info().pss for p in processes) / 1e6, "PSS"
    except (AttributeError, psutil.AccessDenied):
        return sum(p.memory_info().rss for p in processes) / 1e6, "RSS"


def memory_of(pid: int) -> dict[str, int]:
    """Return a process's memory of its own, and all that is resident with the files it has mapped, in KiB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {n: int(v.split()[0]) for n, _, v in (line.partition(":") for line in lines) if n in ("RssAnon", "VmRSS")}
