import asyncio
import json
import threading

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.routes.explain import MAX_STREAMS
from engine.schema import Claim
from engine.settings import Settings
from fake_engine import FakeEngine


class WaitingEngine(FakeEngine):
    """Its generator waits, before it says anything, until it is let go."""

    go = threading.Event()
    waiting = threading.Semaphore(0)

    def _claims(self, request):
        self.waiting.release()
        assert self.go.wait(20)
        yield from super()._claims(request)


@pytest.fixture
def app(store):
    return create_app(Settings(reload_interval_s=0.01), store.open, store.pointer)


def _events(text):
    """A reader of server-sent events of its own: (name, data) pairs."""
    found = []
    for block in text.replace("\r\n", "\n").strip("\n").split("\n\n"):
        fields = [line.partition(": ") for line in block.split("\n") if not line.startswith(":")]
        name = [value for key, _, value in fields if key == "event"]
        data = "\n".join(value for key, _, value in fields if key == "data")
        if name:
            found.append((name[0], json.loads(data)))
    return found


def test_hits_then_claims_then_done(app):
    with TestClient(app) as client:
        ids = ["s1/3", "s1/1", "s1/2"]
        response = client.post("/v1/explain", json={"q": "为什么", "ids": ids})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    events = _events(response.text)
    assert [name for name, _ in events] == ["hits", "claim", "claim", "claim", "done"]
    assert events[0][1] == {"snapshot": "s1", "ids": ids}
    claims = [Claim.model_validate(data) for name, data in events if name == "claim"]
    assert [claim.product_id for claim in claims] == ids
    assert claims[0].text == "防水\n第二行"
    assert events[-1][1] == {
        "generator": "template",
        "checked": 3,
        "dropped": 1,
        "replaced": 1,
        "reasons": {"number": 1},
        "degraded": True,
        "opinions": 0,
    }


def test_an_unknown_id_is_not_found_before_any_event(app):
    with TestClient(app) as client:
        response = client.post("/v1/explain", json={"q": "", "ids": ["s1/1", "made up"]})
    assert response.status_code == 404
    assert "made up" in response.json()["detail"]


def test_a_failure_half_way_is_an_event_that_tells_nothing(app, store):
    with TestClient(app) as client:
        response = client.post("/v1/explain", json={"q": "break", "ids": ["s1/1", "s1/2"]})
        assert [name for name, _ in _events(response.text)] == ["hits", "claim", "error"]
        problem = _events(response.text)[-1][1]
        assert problem["status"] == 500
        assert "secret" not in response.text
    assert store.opened[0].closed


async def _stream(app, body, leave):
    """Post ``body`` and leave when ``leave`` (a coroutine function of what was sent) returns. Returns what was sent."""
    sent = []
    got_some = asyncio.Event()
    asked = False

    async def receive():
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}
        await leave(sent, got_some)
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        got_some.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/explain",
        "raw_path": b"/v1/explain",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("192.0.2.1", 1),
        "server": ("test", 80),
        "scheme": "http",
        "root_path": "",
    }
    await app(scope, receive, send)
    return sent


async def _after_three_claims(sent, got_some):
    while b"".join(m.get("body", b"") for m in sent).count(b"event: claim") < 3:
        got_some.clear()
        await got_some.wait()


def test_a_client_that_leaves_stops_the_generator_and_frees_the_engine(app, store):
    async def scenario():
        async with app.router.lifespan_context(app):
            sent = await asyncio.wait_for(_stream(app, {"q": "endless", "ids": ["s1/1"]}, _after_three_claims), 20)
            engine = store.opened[0]
            assert engine.ended.is_set()
            assert engine.in_use == 0
            store.current = "s2"
            while not engine.closed:
                await asyncio.sleep(0.01)
            return sent

    sent = asyncio.run(scenario())
    assert b"event: done" not in b"".join(m.get("body", b"") for m in sent)


def test_searches_are_answered_while_generators_wait_and_streams_are_capped():
    WaitingEngine.go.clear()
    app = create_app(Settings(), lambda _settings, _serving: WaitingEngine("s1"), lambda _store: "s1")
    body = {"q": "why", "ids": ["s1/1"]}
    replies = []
    with TestClient(app) as client:
        threads = [
            threading.Thread(target=lambda: replies.append(client.post("/v1/explain", json=body)))
            for _ in range(MAX_STREAMS)
        ]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert WaitingEngine.waiting.acquire(timeout=20)
        assert client.get("/v1/search").status_code == 200
        refused = client.post("/v1/explain", json=body)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        WaitingEngine.go.set()
        for thread in threads:
            thread.join()
        assert client.post("/v1/explain", json=body).status_code == 200
    assert [r.status_code for r in replies] == [200] * MAX_STREAMS
    assert all(_events(r.text)[-1][0] == "done" for r in replies)
