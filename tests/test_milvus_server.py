"""The tests of Milvus once more, against its real standalone server.

The server of the package ``milvus`` listens on every address, so it runs in a network namespace that has nothing but a loopback
of its own, and so do the tests that talk to it; both are gone afterwards.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SERVE = """
import sys, threading
from milvus import default_server as server
server.set_base_dir(sys.argv[1])
server.start()
print(server.listen_port, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="module")
def inside() -> Iterator[list[str]]:
    """What a command begins with that runs in a namespace of its own."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs to be root, and `ip`, to make a network namespace")
    name = f"daogou-{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespace can be made here: {made.stderr.strip()}")
    try:
        subprocess.run(["ip", "netns", "exec", name, "ip", "link", "set", "lo", "up"], check=True)
        yield ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.fixture(scope="module")
def server(inside: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("pymilvus", reason="the extra milvus is not installed")
    pytest.importorskip("milvus", reason="the package milvus, which carries a server, is not installed")
    folder = tmp_path_factory.mktemp("milvus")
    command = [*inside, sys.executable, "-c", SERVE, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port.isdigit(), "the server did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.communicate(timeout=60)
            subprocess.run([*inside, "pkill", "-f", f"{folder}/bin/milvus"], check=False)


@pytest.mark.slow
def test_everything_that_holds_of_the_small_version_holds_of_the_server(inside: list[str], server: str) -> None:
    files = [str(TESTS / "test_vectors.py"), str(TESTS / "test_milvus.py")]
    command = [*inside, sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files, "-k", "milvus"]
    environment = {**os.environ, "DAOGOU_TEST_MILVUS": server}
    environment.pop("PYTEST_XDIST_WORKER", None)
    ran = subprocess.run(command, env=environment, cwd=TESTS.parent, capture_output=True, text=True, timeout=1200)
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert "skipped" not in ran.stdout.splitlines()[-1]
    assert int(ran.stdout.splitlines()[-1].split(" passed")[0]) > 50
