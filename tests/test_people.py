"""A person can see, change and erase all that is kept of them; nobody else can, and a receipt cannot be made up."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from api.cli import app as command_line
from api.identity import Identity, user_token
from api.sessions import Sessions, owner_of
from engine.errors import EventLogError, RequestError
from engine.events import Event, EventLog
from engine.events.uses import Uses
from engine.guide import GuideState
from engine.privacy.erasure import Receipt, erase_person, export_person, verify_receipt
from engine.settings import Settings
from engine.shopper import Shopper
from fake_engine import FakeStore

NOW = int(1000 * time.time())
ME = "device-0123456789abcdef"
SECRET = "a secret of the shop, long"


def app(tmp_path: Path, **given: object):
    store = FakeStore()
    return create_app(Settings(store=tmp_path / "store", **given), store.open, store.pointer)  # type: ignore[arg-type]


@pytest.fixture
def client(tmp_path: Path):
    with TestClient(app(tmp_path)) as client:
        yield client


def event(product: str = "s1/1", **given: object) -> dict[str, object]:
    return {"action_name": "click", "client_id": ME, "event_attributes": {"object": {"object_id": product}}, **given}


def test_consent_first_then_history_then_everything_seen_and_erased(client: TestClient, tmp_path: Path) -> None:
    client.post("/v1/events", json=event())
    assert client.get(f"/v1/users/{ME}").json()["events"] == []  # nobody consented, so it was nobody's
    said = client.put(f"/v1/users/{ME}", json={"consent": {"personalisation": True}, "preferences": {"brands": ["Fellmark"]}})
    assert said.json()["consent"] == {"personalisation": True}
    said = client.put(f"/v1/users/{ME}", json={"consent": {"improvement": False}})
    assert said.json() == {
        "consent": {"personalisation": True, "improvement": False},
        "preferences": {**said.json()["preferences"], "brands": ["Fellmark"]},
    }
    client.post("/v1/events", json=[event("s1/2"), {"user_query": "tent", "query_id": "q", "client_id": ME}])
    with closing(EventLog(tmp_path / "store" / "events")) as log:
        log.uses.add("examples", "3fa9", [log.person("", ME), "00ff"])
    held = client.get(f"/v1/users/{ME}").json()
    assert {(e["kind"], e.get("query", ""), tuple(e.get("products", ()))) for e in held["events"]} == {
        ("click", "", ("s1/2",)), ("search", "tent", ())
    }  # fmt: skip
    assert [(s["kind"], s["name"]) for s in held["seen_by"]] == [("examples", "3fa9")]
    receipt = client.delete(f"/v1/users/{ME}").json()
    assert receipt["events"] == {"click": 1, "search": 1}
    assert receipt["preferences"] is True
    assert [s["name"] for s in receipt["seen_by"]] == ["3fa9"]
    after = client.get(f"/v1/users/{ME}").json()
    assert (after["events"], after["consent"], after["preferences"], after["seen_by"]) == ([], {}, {}, [])
    assert client.delete(f"/v1/users/{ME}").json()["events"] == {}
    with closing(EventLog(tmp_path / "store" / "events")) as log:
        assert verify_receipt(log, Receipt.model_validate(receipt))
        assert not verify_receipt(log, Receipt.model_validate({**receipt, "events": {"click": 0}}))


def test_conversations_and_remembered_words_go_too(client: TestClient) -> None:
    kept = client.post("/v1/guide", json={"text": "tent", "keep": True, "client_id": ME}).json()["session"]
    other = client.post("/v1/guide", json={"text": "tent", "keep": True, "client_id": "device-of-somebody-else"}).json()["session"]
    client.delete(f"/v1/users/{ME}")
    assert client.post("/v1/guide", json={"text": "green", "session": kept}).status_code == 404
    assert client.post("/v1/guide", json={"text": "green", "session": other}).status_code == 200


def test_an_event_on_its_way_does_not_outlive_an_erasure(client: TestClient) -> None:
    client.put(f"/v1/users/{ME}", json={"consent": {"personalisation": True}})
    client.delete(f"/v1/users/{ME}")
    late = client.post("/v1/events", json=event(timestamp=NOW - 5000))
    assert late.status_code == 400
    assert "erasure" in late.json()["detail"]


@pytest.mark.parametrize(
    ("settings", "name", "token", "status"),
    [
        ({}, "ann", "", 200),
        ({"identity_secret": SECRET}, "ann", "", 403),
        ({"identity_secret": SECRET}, "ann", user_token(SECRET, "bob"), 403),
        ({"identity_secret": SECRET}, "ann", user_token(SECRET, "ann"), 200),
        ({"identity_secret": SECRET}, ME, "", 200),
        ({"host": "0.0.0.0"}, "ann", "", 403),
        ({"host": "0.0.0.0"}, ME, "", 200),
    ],
)
def test_only_who_may_sees_changes_and_erases(tmp_path: Path, settings: dict[str, str], name: str, token: str, status: int) -> None:
    with TestClient(app(tmp_path, **settings)) as client:
        given = {"params": {"user_token": token}}
        assert client.get(f"/v1/users/{name}", **given).status_code == status
        assert client.put(f"/v1/users/{name}", json={}, **given).status_code == status
        assert client.delete(f"/v1/users/{name}", **given).status_code == status


def test_a_guessed_id_of_a_user_as_a_device_shows_nothing_of_the_user(tmp_path: Path) -> None:
    long = "customer-number-0000000042"
    with closing(EventLog(tmp_path / "store" / "events", consent="assumed")) as log:
        log.add([Event("click", NOW, user_id=long, products=("A",))])
    with TestClient(app(tmp_path, identity_secret=SECRET)) as client:
        assert client.get(f"/v1/users/{long}").json()["events"] == []
        assert client.delete(f"/v1/users/{long}").json()["events"] == {}
        mine = client.get(f"/v1/users/{long}", params={"user_token": user_token(SECRET, long)})
        assert len(mine.json()["events"]) == 1


@pytest.mark.parametrize("body", [{"consent": {"all": True}}, {"preferences": {"price": "free"}}, {"more": 1}, {"preferences": {"brands": ["x"] * 51}}])
def test_what_makes_no_sense_is_refused(client: TestClient, body: object) -> None:
    answer = client.put(f"/v1/users/{ME}", json=body)
    assert answer.status_code == 400


def test_a_shop_that_keeps_nothing_says_so(tmp_path: Path) -> None:
    with TestClient(app(tmp_path, events=False)) as client:
        assert client.get(f"/v1/users/{ME}").status_code == 404
        assert client.delete(f"/v1/users/{ME}").status_code == 404


def test_models_are_known_by_what_they_were_made_from(tmp_path: Path) -> None:
    uses = Uses(tmp_path)
    uses.add("examples", "e1", ["aa", "bb"])
    uses.inherit("model", "encoder 1", "examples", "e1")
    uses.add("examples", "e1", ["bb", ""])  # made again
    assert [(u.kind, u.name) for u in uses.of("aa")] == [("model", "encoder 1")]
    assert {u.kind for u in uses.of("bb")} == {"examples", "model"}
    assert uses.forget("bb") == 2
    assert uses.of("bb") == []
    uses.close()


def test_the_command_line_does_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    refused = run.invoke(command_line, ["people", "forget", "--user", "ann"])
    assert isinstance(refused.exception, RequestError)
    assert not (tmp_path / "store").exists()
    (tmp_path / "store").mkdir()

    def said(*words: str, code: int = 0) -> str:
        done = run.invoke(command_line, ["people", *words])
        assert done.exit_code == code or (code and done.exception), done.output
        return done.stdout

    assert json.loads(said("consent", "--user", "ann", "--personalisation", "--no-improvement")) == {
        "personalisation": True, "improvement": False
    }  # fmt: skip
    with closing(EventLog(tmp_path / "store" / "events")) as log:
        log.add([Event("click", NOW, user_id="ann", products=("A",))])
        assert len(export_person(log, "ann").events) == 1
    assert len(json.loads(said("export", "--user", "ann"))["events"]) == 1
    receipt = said("forget", "--user", "ann")
    (tmp_path / "receipt.json").write_text(receipt)
    assert "genuine" in said("verify", "receipt.json")
    (tmp_path / "receipt.json").write_text(receipt.replace('"click": 1', '"click": 2'))
    said("verify", "receipt.json", code=2)
    said("export", code=2)
    with closing(EventLog(tmp_path / "store" / "events")) as log:
        assert erase_person(log, "ann").events == {}


def test_whoever_has_a_device_next_sees_nothing_of_who_was_logged_in_on_it(tmp_path: Path) -> None:
    with closing(EventLog(tmp_path / "store" / "events", consent="assumed")) as log:
        log.add([Event("click", NOW, user_id="ann", client_id=ME, products=("A",)), Event("click", NOW, client_id=ME, products=("B",))])
        assert [e.products for e in log.history(log.person("", ME))] == [("B",)]
        assert len(log.history(log.person("ann"))) == 1
        assert erase_person(log, client_id=ME).events == {"click": 1}
        (left,) = log.read()
        assert (left.user, left.client, left.session) == (log.person("ann"), "", "")


def test_an_erasure_elsewhere_reaches_this_process(tmp_path: Path) -> None:
    store = FakeStore()
    settings = Settings(store=tmp_path / "store", reload_interval_s=0.01)
    with closing(EventLog.open(settings)) as log, TestClient(create_app(settings, store.open, store.pointer)):
        forgot = store.opened[-1].forgot
        log.erase(log.person("ann"))
        end = time.monotonic() + 20
        while store.opened[-1].forgot == forgot:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_asking_what_is_kept_makes_nothing_on_the_disk(client: TestClient, tmp_path: Path) -> None:
    assert client.get(f"/v1/users/{ME}").json()["events"] == []
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("settings", "kept"), [({}, True), ({"host": "0.0.0.0"}, False), ({"identity_secret": SECRET}, False)]
)
def test_ids_of_devices_that_could_be_guessed_recall_nobody_but_locally(settings: dict[str, str], kept: bool) -> None:
    short = Identity(Settings(**settings)).admit(Shopper(client_id="a1", session_id="b2"))  # type: ignore[arg-type]
    assert (short.client_id, short.session_id) == (("a1", "b2") if kept else ("", ""))
    long = Identity(Settings(**settings)).admit(Shopper(client_id=ME, session_id="0" * 16))  # type: ignore[arg-type]
    assert (long.client_id, long.session_id) == (ME, "0" * 16)


def test_a_conversation_of_a_device_is_not_that_of_a_user_of_the_same_name() -> None:
    sessions = Sessions(seconds=60)
    key = sessions.put(GuideState(), owner=owner_of("", ME))
    assert sessions.erase_of(owner_of(ME, "")) == 0
    assert sessions.get(key) is not None
    assert sessions.erase_of(owner_of("", ME)) == 1
    assert sessions.get(key) is None


def test_a_damaged_log_is_no_reason_not_to_search(tmp_path: Path) -> None:
    with TestClient(app(tmp_path, consent="assumed")) as client:
        client.post("/v1/events", json=event())
    (file,) = (tmp_path / "store" / "events").glob("????-??.sqlite")
    file.write_bytes(b"no database" * 500)
    with TestClient(app(tmp_path, consent="assumed")) as client:
        assert client.get("/v1/search", params={"q": "tent", "client_id": ME}).status_code == 200
        held = client.get(f"/v1/users/{ME}").json()
        assert (held["events"], held["unread"]) == ([], [file.stem])
        refused = client.delete(f"/v1/users/{ME}")
        assert refused.status_code == 503
        assert "The erasure is written down" in refused.json()["detail"]


def test_ids_of_any_form_and_visits_without_a_device_have_their_rights(tmp_path: Path) -> None:
    odd = "abc/def+0123456789=="
    with TestClient(app(tmp_path, consent="assumed")) as client:
        for name in ("client_id", "session_id"):
            client.post("/v1/events", json=event(**{"client_id": "", name: odd}))
            address = f"/v1/users/{quote(odd, safe='')}"
            assert len(client.get(address).json()["events"]) == 1, name
            assert client.delete(address).json()["events"] == {"click": 1}
            assert client.get(address).json()["events"] == []


def test_nothing_is_kept_under_an_id_that_has_no_rights(tmp_path: Path) -> None:
    with TestClient(app(tmp_path, consent="assumed", identity_secret=SECRET)) as client:
        client.post("/v1/events", json=event(client_id="short1"))
    with closing(EventLog(tmp_path / "store" / "events")) as log:
        assert [e.person for e in log.read()] == [""]


def test_what_was_kept_before_events_were_turned_off_is_shown_and_erased(tmp_path: Path) -> None:
    with TestClient(app(tmp_path, consent="assumed")) as client:
        client.post("/v1/events", json=event())
    with TestClient(app(tmp_path, events=False)) as client:
        assert len(client.get(f"/v1/users/{ME}").json()["events"]) == 1
        assert client.put(f"/v1/users/{ME}", json={}).status_code == 404
        assert client.delete(f"/v1/users/{ME}").json()["events"] == {"click": 1}
        assert client.get(f"/v1/users/{ME}").json()["events"] == []


def test_a_conversation_goes_on_under_its_owner_and_goes_with_him_from_the_command_line_too(tmp_path: Path) -> None:
    with TestClient(app(tmp_path, reload_interval_s=0.05)) as client:
        client.put(f"/v1/users/{ME}", json={"consent": {"personalisation": True}})
        first = client.post("/v1/guide", json={"text": "boots", "client_id": ME, "keep": True}).json()["session"]
        assert client.post("/v1/guide", json={"text": "cheaper", "session": first}).status_code == 200
        with closing(EventLog(tmp_path / "store" / "events")) as log:
            erase_person(log, "", ME)
        until = time.monotonic() + 10
        while client.post("/v1/guide", json={"text": "cheaper", "session": first}).status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_return_is_no_purchase(client: TestClient) -> None:
    bought = event(action_name="purchase")
    attributes = {**bought["event_attributes"], "quantity": -1, "price": -20}  # type: ignore[dict-item]
    answer = client.post("/v1/events", json={**bought, "event_attributes": attributes})
    assert answer.status_code == 400
    assert "a return" in answer.json()["detail"]


@pytest.mark.parametrize("consent", ["[]", '{"personalisation": 1}', "{", "\x00"])
def test_consent_that_is_damaged_on_the_disk_is_a_sentence_and_nobodys(tmp_path: Path, consent: str) -> None:
    """A search goes on as a stranger's; whoever asks what is kept is told that it cannot be read."""
    with closing(EventLog.open(Settings(store=tmp_path / "store"))) as log:
        person = log.person("", ME)
        log.people.put(person, {"personalisation": True})
    with closing(sqlite3.connect(tmp_path / "store" / "events" / "people.sqlite")) as db, db:
        db.execute("UPDATE people SET consent = ?", (consent,))
    with closing(EventLog.open(Settings(store=tmp_path / "store"))) as log:
        with pytest.raises(EventLogError, match=r"people\.sqlite cannot be read"):
            log.people.person(person)
        with pytest.raises(EventLogError, match=r"people\.sqlite cannot be read"):
            log.people.put(person, {"personalisation": False})
        log.erase(person)
        assert log.people.person(person) is None


@pytest.mark.parametrize("name", ["people.sqlite", "uses.sqlite"])
def test_a_damaged_file_of_people_is_a_sentence(tmp_path: Path, name: str) -> None:
    with closing(EventLog.open(Settings(store=tmp_path / "store"))) as log:
        for n in range(200):
            log.people.put(log.person("", f"{ME}{n}"), {"personalisation": True})
        log.uses.add("snapshot", "s1", [log.person("", f"{ME}{n}") for n in range(400)])
        person = log.person("", f"{ME}7")
    path = tmp_path / "store" / "events" / name
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xb0" * (len(content) - 4096))
    with closing(EventLog.open(Settings(store=tmp_path / "store"))) as log, pytest.raises(EventLogError, match=name):
        log.uses.of(person) if name.startswith("uses") else log.people.person(person)
