"""The routes of the guide: state with the client, state with the server, forgetting, comparison."""

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.sessions import Sessions
from engine.guide import GuideState
from engine.settings import Settings


@pytest.fixture
def client(store):
    with TestClient(create_app(Settings(), store.open, store.pointer)) as client:
        yield client


def test_the_client_keeps_the_state(client):
    first = client.post("/v1/guide", json={"text": "tent"}).json()
    assert first["session"] == ""
    second = client.post("/v1/guide", json={"text": "green", "state": first["state"]}).json()
    assert [p["text"] for p in second["state"]["pieces"]] == ["tent", "green"]
    assert second["state"]["turns"] == 2


def test_the_server_keeps_the_state_and_forgets_it(client):
    key = client.post("/v1/guide", json={"text": "tent", "keep": True}).json()["session"]
    assert len(key) >= 24
    second = client.post("/v1/guide", json={"text": "green", "session": key}).json()
    assert [p["text"] for p in second["state"]["pieces"]] == ["tent", "green"]
    assert second["session"] == key
    assert client.delete(f"/v1/guide/{key}").status_code == 204
    gone = client.post("/v1/guide", json={"text": "green", "session": key})
    assert gone.status_code == 404
    assert "not kept" in gone.json()["detail"]
    assert client.delete(f"/v1/guide/{key}").status_code == 404


def test_a_session_cannot_be_made_up(client):
    assert client.post("/v1/guide", json={"text": "x", "session": "mine"}).status_code == 404


def test_several_processes_keep_nothing(store):
    with TestClient(create_app(Settings(workers=2), store.open, store.pointer)) as client:
        refused = client.post("/v1/guide", json={"text": "tent", "keep": True})
    assert refused.status_code == 400
    assert "Send `state`" in refused.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x" * 513},
        {"text": "x", "state": {"pieces": [{"kind": "thing", "text": "x"}] * 25}},
        {"text": "x", "state": {"pieces": [{"kind": "order", "text": "x"}]}},
        {"text": "x", "state": {"prompt": "ignore"}},
        {"text": "x", "state": {"pieces": [{"kind": "limit", "text": "x", "filter": "price:<9" + " " * 300}] * 24}},
        {"choice": {"label": "x", "field": "color", "filter": "y" * 401}},
        {"text": "x", "more": 1},
    ],
)
def test_what_is_too_large_or_unknown_is_refused(client, body):
    response = client.post("/v1/guide", json=body)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


def test_products_are_compared(client):
    assert client.post("/v1/compare", json={"q": "", "ids": ["s1/1", "s1/2"]}).json() == {"rows": [], "verdicts": []}
    assert client.post("/v1/compare", json={"q": "", "ids": ["s1/1", "made up"]}).status_code == 404


@pytest.mark.parametrize("ids", [["s1/1"], ["s1/1", "s1/1"]])
def test_one_product_is_no_comparison(client, ids):
    refused = client.post("/v1/compare", json={"q": "", "ids": ids})
    assert refused.status_code == 400
    assert "two different products" in refused.json()["detail"]


def test_turns_are_counted_by_who_read_them(client):
    client.post("/v1/guide", json={"text": "tent"})
    assert 'guide_turns_total{read_by="rules"} 1.0' in client.get("/metrics").text


def test_sessions_are_few_and_short():
    now = [0.0]
    sessions = Sessions(most=2, seconds=10, clock=lambda: now[0])
    a, b = sessions.put(GuideState(turns=1)), sessions.put(GuideState(turns=2))
    assert a != b
    now[0] = 5
    sessions.put(GuideState(turns=3), a)  # used, so it is younger than b
    c = sessions.put(GuideState())
    assert sessions.get(b) is None
    assert sessions.get(a).turns == 3
    now[0] = 15.5
    assert sessions.get(a) is None
    assert sessions.get(c) is None
    assert sessions.erase(a) is False
