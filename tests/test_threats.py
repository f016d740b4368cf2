"""What the page of threats promises: its tests are there, and no request makes the server call anybody."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "threats.md").read_text("utf-8")
ADDRESSES = [
    "http://127.0.0.1:9/latest/meta-data",
    "http://169.254.169.254/latest/meta-data/iam",
    "https://attacker.example/x.png",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "//attacker.example/share",
    "\\\\attacker.example\\share",
]


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(test_\w+\.py::\w+)`", PAGE))))
def test_the_tests_it_names_are_there(named: str) -> None:
    file, _, name = named.partition("::")
    assert re.search(rf"^def {name}\(", (TESTS / file).read_text("utf-8"), re.MULTILINE), named


@pytest.mark.parametrize("risk", [*(f"API{n}" for n in range(1, 11)), *(f"LLM{n:02d}" for n in range(1, 11))])
def test_every_risk_has_a_line_and_every_line_a_test(risk: str) -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {risk} ")]
    assert "::" in line.split("|")[3]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_request_makes_the_server_connect_anywhere(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = toy_settings(tmp_path / "store", consent="assumed")
    reindex(write_feed(random_products(12), tmp_path / "feed.jsonl"), settings)
    called: list[object] = []

    def refuse(self: socket.socket, where: object) -> None:
        if self.family != socket.AF_UNIX:
            called.append(where)
            raise OSError("no connection is wanted")

    def look_up(host: object, *_: object, **__: object) -> None:
        called.append(host)
        raise OSError("no address is looked up")

    with TestClient(create_app(settings)) as client:
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket.socket, "connect_ex", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        for path in ("search", "suggest", "capabilities", "users/" + "x" * 20):
            names = ("q", "filter_by", "facet_by", "sort_by", "user_id", "client_id", "user_token")
            for name in names:
                assert client.get(f"/v1/{path}", params={name: address}).status_code < 500
        for path in (f"products/{address}", f"similar/{address}", f"users/{address}"):
            assert client.get(f"/v1/{path}").status_code < 500
        bodies = {
            "search": {"q": address, "filter_by": f"brand:={address}"},
            "explain": {"q": address, "ids": ["P00000", address]},
            "compare": {"q": address, "ids": ["P00000", "P00001"]},
            "recommend": {"kind": "similar", "ids": ["P00000"], "client_id": address * 2},
            "guide": {"text": f"show me {address}"},
            "events": {"action_name": "click", "client_id": "c" * 20, "page_id": address, "message": address, "object_id": address},
        }
        for path, body in bodies.items():
            answer = client.post(f"/v1/{path}", json=body, headers={"referer": address, "origin": address, "host": "attacker.example"})
            assert answer.status_code < 500, answer.text
    assert called == []
