"""Real server processes: ``fake_engine.py`` is run as a program that calls ``api.server.serve``."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).parent
READY = re.compile(r"daogou is serving (http://\S+) \((.*)\)")


class Server:
    """A running server: its address, what it said when it was ready, and its output so far."""

    def __init__(self, process, folder):
        self.process = process
        self.folder = folder
        self.lines = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(60), self.lines
        assert process.poll() is None or self.lines, "it ended without a word"

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if READY.search(line):
                self._ready.set()
        self._ready.set()

    @property
    def url(self):
        return next(m for line in self.lines if (m := READY.search(line)))[1]

    @property
    def said(self):
        return next(m for line in self.lines if (m := READY.search(line)))[2]

    @property
    def address(self):
        return "127.0.0.1", int(self.url.rpartition(":")[2])

    def publish(self, snapshot):
        draft = self.folder / "draft"
        draft.write_text(snapshot)
        draft.replace(self.folder / "pointer")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self._reader.join(10)


def start(folder, **settings):
    env = {name: value for name, value in os.environ.items() if not name.startswith("DAOGOU_")}
    env |= {f"DAOGOU_{name.upper()}": str(value) for name, value in settings.items()}
    env |= {
        "DAOGOU_CONFIG": str(folder / "none.toml"),
        "FAKE_POINTER": str(folder / "pointer"),
        "FAKE_ENDED": str(folder / "ended"),
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, str(HERE / "fake_engine.py")]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)


@contextmanager
def running(folder, snapshot="s1", **settings):
    if snapshot:
        (folder / "pointer").write_text(snapshot)
    process = start(folder, **{"port": 0, "reload_interval_s": 0.02, **settings})
    try:
        yield Server(process, folder)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers too: they hold the other end of its stderr
        process.wait()
        process.stderr.close()


def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
