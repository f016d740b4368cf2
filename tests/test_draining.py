"""Real servers that are told to end while clients go on asking."""

from __future__ import annotations

import signal
import threading
import time

import httpx
import pytest

from server_process import running, until

DRAIN_S = 1.5


def ready(server):
    try:
        return httpx.get(server.url + "/readyz", timeout=5).status_code
    except httpx.TransportError:
        return None


@pytest.mark.parametrize("workers", [1, 2])
def test_it_says_that_it_leaves_goes_on_and_ends(tmp_path, workers):
    with running(tmp_path, drain_s=DRAIN_S, workers=workers) as server, httpx.Client(base_url=server.url) as client:
        assert "connection" not in client.get("/v1/search?q=x").headers
        told = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        until(lambda: ready(server) == 503)
        assert time.monotonic() - told < DRAIN_S
        body = httpx.get(server.url + "/readyz").json()
        assert (body["title"], body["status"]) == ("Shutting down", 503)
        last = client.get("/v1/search?q=x")
        assert (last.status_code, last.headers["connection"]) == (200, "close")
        assert httpx.get(server.url + "/healthz").status_code == 200
        server.process.wait(20)
        assert time.monotonic() - told >= DRAIN_S
        assert ready(server) is None


def test_a_second_signal_ends_it_at_once(tmp_path):
    with running(tmp_path, drain_s=600) as server:
        server.process.send_signal(signal.SIGTERM)
        until(lambda: ready(server) == 503)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)


def test_somebody_at_a_terminal_does_not_wait(tmp_path):
    with running(tmp_path, drain_s=600) as server:
        server.process.send_signal(signal.SIGINT)
        server.process.wait(20)


def test_what_was_begun_is_finished(tmp_path):
    answers = []
    with running(tmp_path) as server:
        slow = threading.Thread(target=lambda: answers.append(httpx.get(server.url + "/v1/search?q=a+second", timeout=20)))
        slow.start()
        time.sleep(0.4)
        server.process.send_signal(signal.SIGTERM)
        slow.join()
        server.process.wait(20)
    assert [a.status_code for a in answers] == [200]


def test_replacing_one_server_by_another_fails_nobody(tmp_path):
    """A balancer that looks at ``/readyz`` twenty times a second and sends everybody to a server that was ready then."""
    folders = [tmp_path / name for name in ("old", "new")]
    for folder in folders:
        folder.mkdir()
    settings = {"drain_s": DRAIN_S, "workers": 2}
    statuses, stop, sending = [], threading.Event(), []
    with running(folders[0], **settings) as old, running(folders[1], **settings) as new:
        sending.append(old.url)

        def balance():
            while not stop.is_set():
                sending[:] = [server.url for server in (old, new) if ready(server) == 200]
                time.sleep(0.05)

        def search():
            with httpx.Client(timeout=20) as client:
                while not stop.is_set():
                    try:
                        statuses.append(client.get(sending[0] + "/v1/search?q=x").status_code)
                    except httpx.TransportError as error:
                        statuses.append(repr(error))
                    time.sleep(0.002)

        threads = [threading.Thread(target=work) for work in (balance, search, search, search)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        before = len(statuses)
        old.process.send_signal(signal.SIGTERM)
        old.process.wait(20)
        after = len(statuses)
        time.sleep(0.3)
        stop.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}
    assert 0 < before < after < len(statuses)
