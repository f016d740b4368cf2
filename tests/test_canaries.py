"""Marked words, ids and addresses are fed in at every door, and looked for in every file, log, metric and answer."""

from __future__ import annotations

import json
import logging
import time
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from api.cli import app as command_line
from engine.events import EventLog
from indexer.reindex import reindex
from shop import random_products, toy_engine, toy_settings, write_feed

NOW = int(1000 * time.time())
PRIVATE = {
    "email": "canary.bird+7@nest.example.org",
    "phone": "138 0013 8077",
    "phone 2": "+44 20 7946 0977",
    "card": "4111 1111 1111 1111",
    "resident id": "11010519491231002X",
    "ip": "203.0.113.77",
    "order": "7788991122334455",
    "address": "浙江省杭州市西湖区文三路478号3幢1203室",
}
IDS = {"user": "canary-user-000777", "client": "canary-client-0123456789", "session": "canary-session-9876543210", "query": "canary-query-id-42",
       "reader": "canary-reader-5555555555"}  # fmt: skip
SENTENCES = [
    f"tent, write to {PRIVATE['email']}", f"call {PRIVATE['phone']} about the jacket", f"my card {PRIVATE['card']} jacket",
    f"身份证{PRIVATE['resident id']} 外套", f"router at {PRIVATE['ip']}", f"where is order no. {PRIVATE['order']}",
    f"寄到{PRIVATE['address']}", f"ring {PRIVATE['phone 2']}",
]  # fmt: skip


def marks() -> list[bytes]:
    """Everything that may be nowhere, in the forms it could be in."""
    found = []
    for text in (*PRIVATE.values(), *IDS.values()):
        plain = text.replace(" ", "")
        found += [form.encode() for form in {text, plain, json.dumps(text).strip('"'), text.replace(" ", "+")}]
    return found


def found_in(held: bytes) -> list[bytes]:
    return [mark for mark in marks() if mark in held]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fed(client: TestClient) -> None:
    """Ask and tell everything through every route."""
    who = {"user_id": IDS["user"], "client_id": IDS["client"], "session_id": IDS["session"]}
    for n, text in enumerate(SENTENCES):
        client.get("/v1/search", params={"q": text[:500], **who})
        client.post("/v1/search", json={"q": text[:500], **who})
        client.get("/v1/suggest", params={"q": text})
        client.post("/v1/guide", json={"text": text, "keep": True, **who})
        client.post("/v1/explain", json={"q": text, "ids": ["P00001"]})
        client.post("/v1/compare", json={"q": text, "ids": ["P00001", "P00002"]})
        client.post("/v1/recommend", json={"kind": "for_you", "filter_by": f"title:=`{text[:40]}`", **who})
        client.get("/v1/search", params={"q": "jacket", "filter_by": f"{text} ((("})
        client.get(f"/v1/products/{PRIVATE['email']}")
        records = [
            {"user_query": text, "query_id": f"{IDS['query']} {n}", "timestamp": NOW - 1000 + n,
             "query_response_object_ids": ["P00003", "P00005"], **who},
            {"action_name": "click", "query_id": f"{IDS['query']} {n}", "message": text, "ip": PRIVATE["ip"], **who,
             "event_attributes": {"object": {"object_id": "P00003"}, "browser": text, "ip": PRIVATE["ip"], "position": {"ordinal": 1}}},
            {"action_name": "purchase", **who, "event_attributes": {
                "object": {"object_id": PRIVATE["email"], "transaction_id": PRIVATE["order"]}, "quantity": 1}},
            {"action_name": "purchase", **who, "event_attributes": {"object": {"object_id": "P00004"}}},
            {"action_name": text, **who}, {"user_query": "\ud800" + text, "query_id": "x"},
        ]  # fmt: skip
        client.post("/v1/events", content=json.dumps(records), headers={"content-type": "application/json"})
    client.post("/v1/events", content=f'{{"user_query": "{PRIVATE["email"]}'.encode(), headers={"content-type": "application/json"})
    for n in range(12):  # somebody who reads what was found, as machines do not
        when, query_id = NOW - 86_400_000 + n * 3_600_000, f"{IDS['query']} plain {n}"
        shown = ["P00003", "P00005", "P00007"]
        records = [
            {"user_query": f"red tent {'abcdefghijkl'[n]}", "query_id": query_id, "timestamp": when, "query_response_object_ids": shown,
             "client_id": IDS["reader"]},
            {"action_name": "click", "query_id": query_id, "timestamp": when + 9000, "client_id": IDS["reader"],
             "event_attributes": {"object": {"object_id": shown[n % 3]}, "position": {"ordinal": n % 3 + 1}}},
        ]  # fmt: skip
        assert client.post("/v1/events", json=records).json()["accepted"] == 2
    client.put(f"/v1/users/{IDS['client']}", json={"preferences": {"brands": ["Alpkit"]}})


@pytest.fixture
def shop(tmp_path: Path):
    settings = toy_settings(tmp_path / "store", consent="assumed", min_buyers=2, min_query_users=5)
    toy_engine(tmp_path, random_products(60, seed=2), consent="assumed").close()
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client, settings, tmp_path


def test_nothing_private_is_on_the_disk_in_a_log_or_in_a_metric(shop, caplog: pytest.LogCaptureFixture) -> None:
    client, settings, folder = shop
    caplog.set_level(logging.DEBUG)
    fed(client)
    metrics = client.get("/metrics").content
    with closing(EventLog.open(settings)) as log:
        held = list(log.read())
    assert len(held) > 20  # there was something to look for
    assert {e.kind for e in held} >= {"search", "click", "purchase"}
    wrong = {name: found for name, content in files(folder).items() if (found := found_in(content))}
    assert wrong == {}
    ours = "\n".join(r.getMessage() + str(r.exc_text) for r in caplog.records if r.name.startswith(("daogou", "uvicorn")))
    assert found_in(ours.encode()) == found_in(metrics) == []
    masked = " ".join(e.query for e in held)
    for kind in ("email", "phone", "card", "resident_id", "ip", "order", "address"):
        assert f"[{kind}]" in masked


def test_nothing_private_comes_back_in_what_others_see(shop) -> None:
    client, settings, folder = shop
    for n in range(8):  # enough different people, were it not for the masks
        for text in SENTENCES:
            client.get("/v1/search", params={"q": text, "client_id": f"another-device-{n:08d}"})
    fed(client)
    report = reindex(write_feed(random_products(60, seed=2), folder / "feed.jsonl"), settings)
    assert report.searches.get("may be personal", 0) > 0
    with TestClient(create_app(settings)) as other:
        for typed in ("tent", "call", "身份", "寄", "my", "c", "[", "route"):
            assert found_in(other.get("/v1/suggest", params={"q": typed, "limit": 20}).content) == []
            assert b"[phone]" not in other.get("/v1/suggest", params={"q": typed, "limit": 20}).content
        for kind in ("for_you", "bought_together"):
            answer = other.post("/v1/recommend", json={"kind": kind, "ids": ["P00003"]})
            assert found_in(answer.content) == []
        assert found_in(other.get("/v1/capabilities").content) == []
    run = CliRunner()
    made = run.invoke(command_line, ["examples", str(folder / "examples"), "--store", str(settings.store), "--events", "--catalogue", "1"],
                      env={"DAOGOU_CONSENT": "assumed", "DAOGOU_MODEL": "hashing"})  # fmt: skip
    assert made.exit_code == 0, made.output
    wrong = {name: found for name, content in files(folder).items() if (found := found_in(content))}
    assert wrong == {}


def test_an_erased_person_is_nowhere_and_in_no_next_training_set(shop) -> None:
    client, settings, folder = shop
    fed(client)
    run = CliRunner()
    given = {"DAOGOU_CONSENT": "assumed", "DAOGOU_MODEL": "hashing"}
    store = ["--store", str(settings.store), "--events", "--catalogue", "1", "--json"]
    first = run.invoke(command_line, ["examples", str(folder / "before"), *store], env=given)
    assert first.exit_code == 0, first.output
    receipts = [client.delete(f"/v1/users/{IDS[name]}").json() for name in ("user", "client", "reader")]
    assert sum(sum(r["events"].values()) for r in receipts) > 20
    assert any(seen["kind"] == "examples" for r in receipts for seen in r["seen_by"])
    with closing(EventLog.open(settings)) as log:
        people = [bytes.fromhex(log.person(IDS["user"])), *(bytes.fromhex(log.person("", IDS[n])) for n in ("client", "reader"))]
        assert list(log.read()) == []
    for name, content in files(settings.store).items():
        if not name.endswith("forgotten.jsonl"):
            assert not any(p in content or p.hex().encode() in content for p in people), name
    second = run.invoke(command_line, ["examples", str(folder / "after"), *store], env=given)
    assert second.exit_code == 0, second.output
    assert all(e["source"] == "catalogue" for e in map(json.loads, (folder / "after" / "train.jsonl").read_text().splitlines()))
    assert client.get("/v1/search", params={"q": "jacket", "client_id": IDS["client"]}).json()["applied"].get("personal") is None
