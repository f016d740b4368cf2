import json
import logging

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.problems import PROBLEM_JSON, Problem
from engine.settings import Settings
from fake_engine import FakeStore


@pytest.fixture
def client():
    store = FakeStore()
    with TestClient(create_app(Settings(max_body_bytes=4096), store.open, store.pointer)) as client:
        yield client


JSON = {"content-type": "application/json"}
CASES = [
    ("GET", "/v1/search?page=0", {}, 400),
    ("GET", "/v1/search?page=1e999", {}, 400),
    ("GET", "/v1/search?alpha=nan", {}, 400),
    ("GET", "/v1/search?per_page=101", {}, 400),
    ("GET", "/v1/search?unknown=1", {}, 400),
    ("GET", "/v1/search?q=" + "q" * 513, {}, 400),
    ("GET", "/v1/search?filter_by=price?", {}, 400),
    ("GET", "/v1/suggest?limit=0", {}, 400),
    ("GET", "/v1/similar/unknown", {}, 404),
    ("GET", "/v1/similar/", {}, 404),
    ("GET", "/v1/products/unknown", {}, 404),
    ("POST", "/v1/search", {"content": b"", "headers": JSON}, 400),
    ("POST", "/v1/search", {"content": b"{", "headers": JSON}, 400),
    ("POST", "/v1/search", {"content": b"\xff\xfe", "headers": JSON}, 400),
    ("POST", "/v1/search", {"content": b"[" * 4000, "headers": JSON}, 400),
    ("POST", "/v1/search", {"content": b'{"q": "\\ud800"}', "headers": JSON}, 400),
    ("POST", "/v1/search", {"content": b'{"\\ud800": 1}', "headers": JSON}, 400),
    ("POST", "/v1/search", {"content": b'{"alpha": NaN}', "headers": JSON}, 400),
    ("POST", "/v1/search", {"content": b'{"page": 1' + b"0" * 4000 + b"}", "headers": JSON}, 400),
    ("POST", "/v1/search", {"content": b'{"q": "x"}', "headers": {"content-type": "text/plain"}}, 400),
    ("POST", "/v1/search", {"content": b"x" * 5000, "headers": JSON}, 413),
    ("POST", "/v1/explain", {"json": {"q": "x", "ids": []}}, 400),
    ("POST", "/v1/explain", {"json": {"q": "x", "ids": ["unknown"]}}, 404),
    ("DELETE", "/v1/search", {}, 405),
    ("GET", "/v1/explain", {}, 405),
    ("GET", "/v2/search", {}, 404),
    ("GET", "/v1/search/", {}, 404),
    ("GET", "/static/nothing.js", {}, 404),
    ("GET", "/healthz", {"headers": {"x-long": "x" * 40_000}}, 431),
    ("GET", "/v1/search?q=explode", {}, 500),
]


@pytest.mark.parametrize(("method", "path", "extra", "status"), CASES)
def test_every_error_is_a_problem(client, method, path, extra, status):
    response = client.request(method, path, **extra)
    assert response.status_code == status
    assert response.headers["content-type"] == PROBLEM_JSON
    problem = Problem.model_validate(response.json())
    assert problem.status == status
    assert problem.type.startswith("urn:daogou:problem:")
    assert problem.detail.endswith((".", "}")), problem.detail


def test_every_mistake_of_a_request_is_named(client):
    problem = client.get("/v1/search?page=0&per_page=x&nonsense=1").json()
    assert {tuple(e["loc"]) for e in problem["errors"]} == {
        ("query", "page"),
        ("query", "per_page"),
        ("query", "nonsense"),
    }
    assert all(e["msg"] in problem["detail"] for e in problem["errors"])


def test_a_bad_filter_says_where(client):
    problem = client.get("/v1/search", params={"filter_by": "price:?100"}).json()
    assert (problem["type"], problem["position"]) == ("urn:daogou:problem:bad-filter", 6)


def test_a_wrong_method_says_which_are_right(client):
    assert set(client.delete("/v1/search").headers["allow"].split(", ")) & {"GET", "POST"}


def test_an_unexpected_failure_shows_an_id_and_nothing_else(client, caplog):
    with caplog.at_level(logging.DEBUG):
        response = client.get("/v1/search?q=explode")
    assert "secret" not in response.text
    assert "ValueError" not in response.text
    instance = response.json()["instance"].rpartition(":")[2]
    entries = [r.getMessage() for r in caplog.records if instance in r.getMessage()]
    assert len(entries) == 1
    assert "ValueError" in entries[0]
    assert "fake_engine.py" in entries[0]


def test_what_was_typed_is_in_no_log(client, caplog):
    word = "zyxxyz"
    with caplog.at_level(logging.DEBUG):
        client.get("/v1/search", params={"q": word})
        client.get("/v1/search", params={"q": word, "page": 0})
        client.get("/v1/search", params={"filter_by": word + "?"})
        client.get("/v1/suggest", params={"q": word})
        client.get("/v1/products/" + word)
        client.get("/" + word)
        client.post("/v1/search", content=json.dumps({"q": word, word: 1}), headers=JSON)
        client.post("/v1/explain", json={"q": word, "ids": [word]})
    # The test's own HTTP client logs addresses; it is not part of the service.
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("http")]
    assert len(ours) >= 8
    assert not [line for line in ours if word in line]
    assert word not in client.get("/metrics").text
