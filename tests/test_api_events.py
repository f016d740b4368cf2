"""Events over HTTP: an acknowledged one is on the disk whatever happens next, and nobody speaks for another user."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.identity import Identity, user_token
from api.intake import BusyError, Intake
from engine.errors import EventLogError, SettingsError
from engine.events import Event, EventLog
from engine.events.rows import _content
from engine.settings import Settings, load_settings
from fake_engine import FakeStore
from server_process import running

SECRET = "a secret that is long enough"


def app(tmp_path: Path, **given: object):
    store = FakeStore()
    return create_app(Settings(store=tmp_path / "store", consent="assumed", **given), store.open, store.pointer)  # type: ignore[arg-type]


@pytest.fixture
def client(tmp_path: Path):
    with TestClient(app(tmp_path)) as client:
        yield client


def kept(tmp_path: Path) -> list:
    with closing(EventLog(tmp_path / "store" / "events", consent="assumed")) as log:
        return list(log.read())


def click(product: str = "s1/1", **given: object) -> dict[str, object]:
    return {"action_name": "click", "client_id": "device-0123456789", "event_attributes": {"object": {"object_id": product}}, **given}


def test_one_or_several_are_kept_and_the_rest_named(client: TestClient, tmp_path: Path) -> None:
    assert client.post("/v1/events", json=click()).json() == {"accepted": 1, "rejected": []}
    sent = [click(query_id="q"), {"action_name": "scroll"}, {"user_query": "tent", "query_id": "q"}, {}, click("")]
    answer = client.post("/v1/events", json=sent)
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    assert [r["index"] for r in answer.json()["rejected"]] == [1, 3, 4]
    assert sorted(e.kind for e in kept(tmp_path)) == ["click", "click", "search"]
    assert 'events_total{outcome="accepted"} 3.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    "body", [b"[]", b"[1]", b'"x"', b"{", b'{"action_name": "scroll"}', b'[{"user_query": "\\ud800", "query_id": "q"}]', b"[[]]"]
)
def test_what_holds_no_event_is_a_problem_in_a_sentence(client: TestClient, tmp_path: Path, body: bytes) -> None:
    answer = client.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].endswith((".", "deeply."))


def test_a_record_that_utf8_cannot_hold_spoils_no_other(client: TestClient) -> None:
    body = json.dumps([click(), {"user_query": "\ud800", "query_id": "q"}, click("\0")])
    assert client.post("/v1/events", content=body, headers={"content-type": "application/json"}).json()["accepted"] == 1


def test_nothing_is_made_on_the_disk_until_there_is_something_to_keep(client: TestClient, tmp_path: Path) -> None:
    assert client.get("/v1/search", params={"q": "tent"}).status_code == 200
    assert not (tmp_path / "store").exists()


def test_a_shop_that_wants_no_events_gets_none(tmp_path: Path) -> None:
    with TestClient(app(tmp_path, events=False)) as client:
        assert client.post("/v1/events", json=click()).status_code == 404
    assert not (tmp_path / "store").exists()


def test_ids_of_the_catalogue_are_kept_and_others_masked(client: TestClient, tmp_path: Path) -> None:
    client.post("/v1/events", json=[click("s1/1"), click("someone@example.org")])
    assert {e.products for e in kept(tmp_path)} == {("s1/1",), ("[email]",)}


@pytest.mark.parametrize(
    ("settings", "token", "counts"),
    [
        ({}, "", True),
        ({"host": "0.0.0.0"}, "", False),
        ({"host": "::1"}, "", True),
        ({"host": "shop.example"}, "", False),
        ({"identity_secret": SECRET}, "", False),
        ({"identity_secret": SECRET}, "00", False),
        ({"identity_secret": SECRET}, user_token(SECRET, "bob"), False),
        ({"identity_secret": SECRET}, user_token(SECRET, "ann"), True),
        ({"identity_secret": SECRET, "host": "0.0.0.0"}, user_token(SECRET, "ann"), True),
    ],
)
def test_nobody_speaks_for_a_user_without_proof(tmp_path: Path, settings: dict[str, str], token: str, counts: bool) -> None:
    with TestClient(app(tmp_path, **settings)) as client:
        answer = client.post("/v1/events", json=[click(), click(user_id="ann", user_token=token)])
        assert answer.json()["accepted"] == 1 + counts
        assert counts or "`user_" in answer.json()["rejected"][0]["reason"]
    assert Identity(Settings(**settings)).refusal("", "") == ""  # type: ignore[arg-type]


def test_short_secrets_are_refused_without_being_repeated() -> None:
    for name in ("identity_secret", "privacy_key"):
        with pytest.raises(SettingsError) as raised:
            load_settings(**{name: "hunter2"})
        assert "hunter2" not in str(raised.value)


def test_a_disk_that_takes_nothing_is_an_error_and_the_next_event_is_kept(tmp_path: Path) -> None:
    calls = []

    def opened() -> EventLog:
        calls.append(1)
        if len(calls) == 1:
            raise EventLogError("it is full")
        return EventLog(tmp_path / "events", consent="assumed")

    async def run() -> None:
        intake = Intake(opened, lambda product: True)
        event = Event("click", int(1000 * time.time()), client_id="c", products=("A",))
        with pytest.raises(EventLogError, match="full"):
            await intake.add([event])
        assert await intake.add([event]) == [""]
        await intake.close()

    asyncio.run(run())


def test_more_than_there_is_room_for_is_refused_and_told_apart(tmp_path: Path) -> None:
    async def run() -> None:
        intake = Intake(lambda: EventLog(tmp_path / "events", consent="assumed"), lambda product: True)
        now = int(1000 * time.time())
        batch = [Event("click", now - n, client_id="c", products=("A",)) for n in range(9_000)]
        waiting = [asyncio.ensure_future(intake.add(batch[k::2])) for k in range(2)]
        others = [asyncio.ensure_future(intake.add([Event("feedback", now, event_id=str(n))])) for n in range(50)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await intake.add(batch + batch)
        intake.note(batch + batch)  # nobody waits for these
        for one in others:
            assert await one == ["feedback that says neither yes nor no"]
        assert {len(await one) for one in waiting} == {4_500}
        assert await intake.add(batch) == [""] * len(batch)
        await intake.close()

    asyncio.run(run())
    with closing(EventLog(tmp_path / "events", consent="assumed")) as log:
        assert log.count()["click"] == 9_000


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_every_acknowledged_event_survives_kill_9_of_the_server(tmp_path: Path, workers: int) -> None:
    acknowledged: list[str] = []
    for turn in range(3):
        with running(tmp_path, store=tmp_path / "store", consent="assumed", workers=workers) as server:
            url, stop = server.url, threading.Event()

            def send(name: str, url: str = url, stop: threading.Event = stop) -> None:
                with httpx.Client(timeout=5) as http:
                    for n in range(100_000):
                        if stop.is_set():
                            return
                        try:
                            answer = http.post(f"{url}/v1/events", json=click("s1/1", event_id=f"{name} {n}"))
                        except httpx.HTTPError:
                            return
                        if answer.status_code == 200:
                            acknowledged.append(f"{name} {n}")

            senders = [threading.Thread(target=send, args=(f"{turn}-{k}",)) for k in range(6)]
            before = len(acknowledged)
            for sender in senders:
                sender.start()
            while len(acknowledged) < before + 100:
                time.sleep(0.01)
            os.killpg(server.process.pid, signal.SIGKILL)
            stop.set()
            for sender in senders:
                sender.join()
    with closing(EventLog(tmp_path / "store" / "events", consent="assumed")) as log:
        there = {row[0] for name in log._volumes.names() for row in log._volumes.get(name).ask("SELECT id FROM events")}
        sent = {n: Event("click", 0, event_id=n, client_id="device-0123456789", products=("s1/1",)) for n in acknowledged}
        missing = [n for n, event in sent.items() if log.keys.hashed("event", _content(event)) not in there]
    assert missing == []
    assert len(acknowledged) > 300
