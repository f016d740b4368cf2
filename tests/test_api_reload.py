import asyncio
import logging
import threading
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from api.app import create_app
from api.reload import Engines, NotReadyError
from engine.schema import SearchRequest
from engine.settings import Settings
from fake_engine import engines_of, product_ids


@pytest.fixture
def failures():
    return []


@pytest.fixture
def engines(store, failures):
    return engines_of(store, lambda: failures.append(store.current))


def _until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def test_nothing_is_lent_before_a_snapshot_opens(engines, store):
    store.current = ""
    engines.refresh()
    with pytest.raises(NotReadyError, match="daogou index"):
        engines.lease()
    store.current = "s1"
    engines.refresh()
    with engines.lease() as engine:
        assert engine.snapshot_id == "s1"


def test_an_engine_is_closed_after_its_last_lease_and_not_before(engines, store):
    engines.refresh()
    first = store.opened[0]
    with engines.lease(), engines.lease():
        store.current = "s2"
        engines.refresh()
        with engines.lease() as engine:
            assert engine.snapshot_id == "s2"
        assert not first.closed
    engines.refresh()
    assert first.closed
    assert not store.opened[1].closed


def test_a_failed_request_gives_its_lease_back(engines, store):
    engines.refresh()
    with pytest.raises(ZeroDivisionError), engines.lease():
        _ = 1 / 0
    store.current = "s2"
    engines.refresh()
    assert store.opened[0].closed


def test_the_same_pointer_opens_nothing_again(engines, store):
    for _ in range(3):
        engines.refresh()
    assert len(store.opened) == 1


def test_a_pointer_that_goes_away_or_back_is_followed_only_back(engines, store):
    engines.refresh()
    for current, serving in (("s2", "s2"), ("", "s2"), ("s1", "s1")):
        store.current = current
        engines.refresh()
        with engines.lease() as engine:
            assert engine.snapshot_id == serving


def test_a_snapshot_that_does_not_open_is_logged_once_and_tried_again(engines, store, failures, caplog):
    engines.refresh()
    store.current = "bad"
    store.broken.add("bad")
    with caplog.at_level(logging.INFO, "daogou.reload"):
        _until(lambda: (engines.refresh(), len(failures) >= 3)[1])
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == [
        "snapshot not opened id=bad serving=s1 reason=Snapshot bad is corrupt."
    ]
    with engines.lease() as engine:
        assert engine.snapshot_id == "s1"
    store.broken.clear()
    _until(lambda: (engines.refresh(), store.opened[-1].snapshot_id == "bad")[1])


def test_an_unreadable_pointer_keeps_what_serves(store, failures):
    def pointer():
        if store.opened:
            raise OSError("disk on fire")
        return "s1"

    engines = Engines(lambda _: store.open(Settings()), pointer, 0.001, lambda: failures.append(1))
    engines.refresh()
    engines.refresh()
    assert failures
    with engines.lease() as engine:
        assert engine.snapshot_id == "s1"


def test_stopping_closes_what_serves(engines, store):
    async def life():
        await engines.start()
        await engines.stop()

    asyncio.run(life())
    assert [e.closed for e in store.opened] == [True]
    with pytest.raises(NotReadyError):
        engines.lease()


def test_the_service_starts_without_a_snapshot_and_picks_one_up(store):
    store.current = ""
    app = create_app(Settings(reload_interval_s=0.01), store.open, store.pointer)
    with TestClient(app) as client:
        assert client.get("/healthz").status_code == 200
        for path in ("/readyz", "/v1/search", "/v1/suggest", "/v1/similar/s1/1", "/v1/products/s1/1"):
            response = client.get(path)
            assert response.status_code == 503
            assert response.json()["type"] == "urn:daogou:problem:snapshot-unavailable"
            assert int(response.headers["retry-after"]) >= 1
        assert client.post("/v1/explain", json={"q": "", "ids": ["s1/1"]}).status_code == 503
        store.current = "s1"
        _until(lambda: client.get("/readyz").status_code == 200)
        assert client.get("/v1/search").json()["snapshot"] == "s1"


def test_without_a_snapshot_it_says_whether_one_is_missing_or_broken(engines, store):
    store.current = ""
    engines.refresh()
    with pytest.raises(NotReadyError, match="Publish one"):
        engines.lease()
    store.current = "bad"
    store.broken.add("bad")
    engines.refresh()
    with pytest.raises(NotReadyError, match="cannot be opened"):
        engines.lease()


def test_failures_are_counted_for_operators(store):
    store.broken.add("s1")
    with TestClient(create_app(Settings(reload_interval_s=0.01), store.open, store.pointer)) as client:
        families = {f.name: f for f in text_string_to_metric_families(client.get("/metrics").text)}
    assert families["snapshot_reload_failures"].samples[0].value >= 1
    assert families["snapshot_info"].samples == []


def _ask(client, stop, seen, problems):
    """Search and explain in turn until told to stop; whatever is not one whole snapshot's answer is a problem."""
    n = 0
    while not stop.is_set():
        n += 1
        response = client.get("/v1/search", params={"q": str(n), "per_page": 10})
        if response.status_code != 200:
            problems.append(response.text)
            continue
        body = response.json()
        seen.add(body["snapshot"])
        if [h["document"]["id"] for h in body["hits"]] != product_ids(body["snapshot"]):
            problems.append(response.text)
        wanted = {"q": "why", "ids": product_ids(body["snapshot"])[:2]}
        reply = client.post("/v1/explain", json=wanted)
        # The snapshot may have changed since the search, and then its ids are gone: a 404, never anything else.
        if reply.status_code not in (200, 404) or (reply.status_code == 200 and "event: done" not in reply.text):
            problems.append(reply.text)
        time.sleep(0.002)


def test_no_request_fails_while_fifty_snapshots_are_published(store):
    store.current = "s0"
    app = create_app(Settings(reload_interval_s=0.005), store.open, store.pointer)
    stop, seen, problems = threading.Event(), set(), []
    with TestClient(app) as client:
        threads = [threading.Thread(target=_ask, args=(client, stop, seen, problems)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(1, 51):
            store.current = f"s{n}"
            _until(lambda: client.get("/readyz").json()["snapshot"] == store.current)
        _until(lambda: "s50" in seen or problems)
        stop.set()
        for thread in threads:
            thread.join()
        _until(lambda: sum(not e.closed for e in store.opened) == 1)
    assert problems == []
    assert len(seen) > 10
    assert [e.snapshot_id for e in store.opened] == [f"s{n}" for n in range(51)]
    assert all(e.closed for e in store.opened)


def test_threads_that_hold_engines_never_see_one_closed(engines, store):
    engines.refresh()
    stop = threading.Event()
    answered = []

    def work():
        while not stop.is_set():
            with engines.lease() as engine:
                answered.append(engine.search(SearchRequest(q="slow", per_page=1)).snapshot == engine.snapshot_id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(2, 30):
        store.current = f"s{n}"
        engines.refresh()
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    engines.refresh()
    assert all(answered)
    assert [e.closed for e in store.opened] == [True] * 28 + [False]
