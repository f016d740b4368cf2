"""A real server process for tests: ``daogou serve``'s own entry point on a free port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


@contextmanager
def real_server(store: Path, **settings: str) -> Iterator[str]:
    """Serve ``store`` and yield the address; ``settings`` are environment variables without their prefix."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DAOGOU_STORE": str(store), "DAOGOU_PORT": "0"}
    env |= {f"DAOGOU_{name.upper()}": value for name, value in settings.items()}
    server = subprocess.Popen([sys.executable, "-m", "api.server"], env=env, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        said = []
        address = None
        while address is None:
            line = server.stderr.readline()
            said.append(line)
            assert line, "the server ended before it served: " + "".join(said)
            address = re.search(r"serving (http://\S+)", line)
        threading.Thread(target=lambda: [None for _ in server.stderr or ()], daemon=True).start()
        yield address.group(1)
    finally:
        server.terminate()
        server.wait(20)
