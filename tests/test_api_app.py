import json
import re

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.routes import page
from api.security import CONTENT_SECURITY_POLICY
from engine.schema import ExplainRequest, SearchRequest, SearchResponse
from engine.settings import Settings
from fake_engine import FakeStore


@pytest.fixture
def client():
    store = FakeStore()
    app = create_app(Settings(cors_origins=["https://shop.example"]), store.open, store.pointer)
    with TestClient(app) as client:
        yield client


def test_a_query_string_and_a_body_mean_the_same(client):
    wanted = {"q": "防水登山外套", "filter_by": "price:<500", "per_page": 3, "alpha": 0.25, "understand": False}
    by_query = client.get("/v1/search", params=wanted)
    by_body = client.post("/v1/search", json=wanted)
    assert by_query.status_code == by_body.status_code == 200
    assert by_query.json() == by_body.json()
    found = SearchResponse.model_validate(by_query.json())
    assert (found.applied.q, found.applied.alpha, len(found.hits)) == ("防水登山外套", 0.25, 3)


def test_every_field_of_a_search_is_a_documented_parameter(client):
    parameters = client.get("/openapi.json").json()["paths"]["/v1/search"]["get"]["parameters"]
    assert {p["name"] for p in parameters} == set(SearchRequest.model_fields)
    assert all(p["in"] == "query" and not p["required"] and "schema" in p for p in parameters)


@pytest.mark.parametrize("path", ["/v1/search?q=nan&per_page=1", "/v1/products/s1/3"])
def test_json_never_holds_nan(client, path):
    def refuse(name):
        raise AssertionError(name)

    response = client.get(path)
    assert response.status_code == 200
    json.loads(response.content, parse_constant=refuse)


def test_ids_may_hold_slashes_encoded_or_not(client):
    assert client.get("/v1/similar/s1%2F4", params={"k": 2}).json() == client.get("/v1/similar/s1/4?k=2").json()
    assert client.get("/v1/products/s1/4").json()["document"]["id"] == "s1/4"


def test_suggestions_echo_the_question_and_obey_the_limit(client):
    found = client.get("/v1/suggest", params={"q": "登山", "limit": 3}).json()
    assert found["q"] == "登山"
    assert len(found["suggestions"]) == 3
    assert client.get("/v1/suggest").status_code == 200


def test_health_and_readiness(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    expected = {"status": "ready", "snapshot": "s1", "model": "toy", "products": 10}
    assert client.get("/readyz").json() == expected


def _examples(operation):
    for parameter in operation.get("parameters", []):
        for example in parameter.get("examples", {}).values() if isinstance(parameter.get("examples"), dict) else ():
            yield parameter["name"], example["value"]
    for media in operation.get("requestBody", {}).get("content", {}).values():
        for example in media.get("examples", {}).values():
            yield "", example["value"]


def test_examples_are_in_both_languages_and_can_be_used(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path, model in (("/v1/search", SearchRequest), ("/v1/explain", ExplainRequest)):
        for operation in paths[path].values():
            found = list(_examples(operation))
            for name, value in found:
                model.model_validate({name: value} if name else value)
            text = json.dumps([value for _, value in found], ensure_ascii=False)
            assert re.search(r"[\u4e00-\u9fff]", text)
            assert re.search(r"\b[a-z]{5,}\b", text)


def test_every_operation_is_described_with_its_problems(client):
    document = client.get("/openapi.json").json()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert len({o["operationId"] for o in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        for status, response in operation["responses"].items():
            if status not in ("200", "204"):
                assert list(response["content"]) == ["application/problem+json"], operation["operationId"]


def test_every_reference_of_the_document_resolves(client):
    text = client.get("/openapi.json").text
    schemas = json.loads(text)["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in schemas


def test_the_page_and_its_files_come_with_a_strict_policy(client, tmp_path, monkeypatch):
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "page.js").write_text("export {}")
    monkeypatch.setattr(page, "WEB", tmp_path)
    store = FakeStore()
    with TestClient(create_app(Settings(), store.open, store.pointer)) as client:
        for path, kind in (("/", "text/html"), ("/static/page.js", "text/javascript")):
            response = client.get(path)
            assert response.status_code == 200
            assert response.headers["content-type"].startswith(kind)
            assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["cache-control"] == "no-cache"
            again = client.get(path, headers={"if-none-match": response.headers["etag"]})
            assert path == "/" or again.status_code == 304
        assert client.head("/").status_code == 200
        assert client.get("/static/../page.py").status_code == 404
        assert client.get("/static/%2e%2e/page.py").status_code == 404
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY


def test_only_named_sites_may_call_from_their_pages(client):
    ours = client.get("/v1/suggest", headers={"origin": "https://shop.example"})
    theirs = client.get("/v1/suggest", headers={"origin": "https://other.example"})
    assert ours.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-origin" not in theirs.headers
    assert "access-control-allow-credentials" not in ours.headers
    asked = {"origin": "https://shop.example", "access-control-request-method": "PATCH"}
    assert client.options("/v1/search", headers=asked).status_code == 400
