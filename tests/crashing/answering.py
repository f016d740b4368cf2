"""A scene of the server: what it answered was done.

Requests go to a real process over HTTP; its answers are what it said.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx

from crashing.scene import Scene, feed, opened, products_of, settings_of
from indexer.reindex import reindex

__all__ = ["Served"]


class Served(Scene):
    """A server takes events, consent and an erasure, one request after the other."""

    def prepare(self, store: Path) -> None:
        """Index the old feed."""
        reindex(feed(store, "old"), settings_of(store))

    def act(self, store: Path) -> None:
        """Serve until told to end."""
        from api.server import serve

        serve(settings_of(store, port=0))

    def drive(self, store: Path, process: subprocess.Popen[bytes]) -> None:
        """Send the requests."""
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(rb"daogou is serving (http://\S+)", line):
                break
        with httpx.Client(base_url=found[1].decode(), timeout=30) as http:  # type: ignore[index]
            for method, path, body in self._requests():
                http.request(method, path, json=body).raise_for_status()
        # strace waits for its child, which is to end by itself
        child = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
        os.kill(int(child.split()[0]), signal.SIGTERM)

    def check(self, store: Path, said: bytes) -> None:
        """Every event that was answered is there, but for those of a person whose erasure is answered or begun."""
        answered = self._requests()[: len(re.findall(rb'{"(?:accepted|consent|receipt)":', said))]
        erased = any(method == "DELETE" for method, *_ in answered)
        begun = any(method == "DELETE" for method, *_ in self._requests()[: len(answered) + 1])
        with opened(store) as log:
            held = {(event.client, event.products[0]) for event in log.read()}
            for method, _, body in answered:
                if method == "POST" and body is not None and not (begun and body["client_id"] == self._WHO[0]):
                    assert (log.person("", body["client_id"]), body["event_attributes"]["object"]["object_id"]) in held
            if erased:
                assert log.history(log.person("", self._WHO[0])) == []
        assert products_of(store) == 40

    _WHO = "device-ann-0123456789", "device-bob-0123456789"

    def _requests(self) -> list[tuple[str, str, dict[str, Any] | None]]:
        """Return what is sent: ten events of two devices, what one of them allows, and its erasure; then two more of the other."""
        events = [
            ("POST", "/v1/events", {
                "action_name": "click", "client_id": self._WHO[n % 2], "event_attributes": {"object": {"object_id": f"P{n:05d}"}},
            })
            for n in range(12)
        ]  # fmt: skip
        allowed = ("PUT", f"/v1/users/{self._WHO[0]}", {"consent": {"improvement": True}})
        return [*events[:9], allowed, ("DELETE", f"/v1/users/{self._WHO[0]}", None), events[9], events[11]]
