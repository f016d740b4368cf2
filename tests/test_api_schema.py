"""Requests made up from the OpenAPI document: none may break the server, and every answer has to be as documented."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from api.app import create_app
from engine.settings import Settings
from fake_engine import FakeStore

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
KEY = "a-key-for-everything-0123456789"
OPERATIONS = [
    "DELETE /v1/guide/{session}",
    "DELETE /v1/users/{user_id}",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "GET /v1/admin/snapshots",
    "GET /v1/capabilities",
    "GET /v1/products/{product_id}",
    "GET /v1/search",
    "GET /v1/similar/{product_id}",
    "GET /v1/suggest",
    "GET /v1/users/{user_id}",
    "POST /v1/admin/reload",
    "POST /v1/compare",
    "POST /v1/events",
    "POST /v1/explain",
    "POST /v1/guide",
    "POST /v1/recommend",
    "POST /v1/search",
    "PUT /v1/users/{user_id}",
]


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    store = FakeStore()
    keys = {"all": {"key": KEY, "scopes": ["search", "events", "admin"]}}
    app = create_app(Settings(store=tmp_path_factory.mktemp("store"), api_keys=keys), store.open, store.pointer)
    with TestClient(app):
        schema = schemathesis.openapi.from_asgi("/openapi.json", app)
        yield {operation.label: operation for operation in (result.ok() for result in schema.get_all_operations())}


def test_every_operation_is_tried(operations):
    assert sorted(operations) == OPERATIONS


@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_as_documented(operations, label):
    statuses = set()

    @given(case=operations[label].as_strategy())
    @settings(max_examples=40, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def check(case):
        response = case.call(headers={"x-api-key": KEY})
        case.validate_response(response, checks=CHECKS)
        statuses.add(response.status_code)

    check()
    assert statuses <= {200, 400, 404}
    assert statuses


@pytest.mark.parametrize("label", ["GET /v1/search", "GET /v1/suggest", "POST /v1/search", "POST /v1/explain", "POST /v1/guide"])
def test_wrong_requests_are_refused_as_documented(operations, label):
    statuses = set()

    @given(case=operations[label].as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    @settings(max_examples=60, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def check(case):
        response = case.call(headers={"x-api-key": KEY})
        case.validate_response(response, checks=CHECKS)
        statuses.add(response.status_code)

    check()
    assert 400 in statuses
