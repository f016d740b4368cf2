import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from api.app import create_app
from api.metrics import STAGES
from engine.settings import Settings
from fake_engine import FakeStore
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed


@pytest.fixture
def client():
    store = FakeStore()
    with TestClient(create_app(Settings(), store.open, store.pointer)) as client:
        yield client


def _samples(client):
    found = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def _requests(samples):
    """How many requests were counted, by (route, status)."""
    counts = {}
    for (name, labels), value in samples.items():
        if name == "http_server_request_duration_seconds_count":
            labels = dict(labels)
            counts[labels["route"], labels["status"]] = value
    return counts


def test_requests_are_counted_by_template_and_status(client):
    for path in ("/v1/search?q=a", "/v1/search?q=b", "/v1/search?page=0", "/v1/similar/s1/1", "/v1/similar/s1/2"):
        client.get(path)
    client.get("/v1/search?q=explode")
    counts = _requests(_samples(client))
    assert counts["/v1/search", "200"] == 2
    assert counts["/v1/search", "400"] == 1
    assert counts["/v1/search", "500"] == 1
    assert counts["/v1/similar/{product_id}", "200"] == 2


def test_made_up_paths_and_methods_make_no_new_labels(client):
    for n in range(20):
        client.get(f"/made-up-{n}")
        client.request(f"VERB{n}", "/v1/search")
        client.get(f"/static/made-up-{n}")
    samples = _samples(client)
    requests = [dict(labels) for name, labels in samples if name == "http_server_request_duration_seconds_count"]
    routes, methods = {r["route"] for r in requests}, {r["method"] for r in requests}
    assert routes <= {"none", "/v1/search", "/static"}
    assert methods == {"GET", "OTHER"}


def test_searches_that_find_nothing_are_counted(client):
    for q in ("nothing", "something", "nothing"):
        client.get("/v1/search", params={"q": q})
    assert _samples(client)["search_zero_results_total", ()] == 2


def test_claims_are_counted_by_outcome(client):
    client.post("/v1/explain", json={"q": "why", "ids": ["s1/1", "s1/2"]})
    samples = _samples(client)
    outcomes = {o: samples["explain_claims_total", (("outcome", o),)] for o in ("shown", "dropped", "replaced")}
    assert outcomes == {"shown": 2, "dropped": 1, "replaced": 1}
    assert samples["explain_degraded_total", ()] == 1


def test_the_snapshot_that_serves_is_named(client):
    samples = _samples(client)
    assert samples["snapshot_info", (("model", "toy"), ("snapshot", "s1"))] == 1
    assert samples["snapshot_products", ()] == 10


def test_every_stage_of_a_search_is_timed(tmp_path):
    settings = toy_settings(tmp_path / "store")
    reindex(write_feed(random_products(12), tmp_path / "feed.jsonl"), settings)
    with TestClient(create_app(settings)) as client:
        for q in ("tent", "kettle", "waterproof jacket"):
            assert client.get("/v1/search", params={"q": q, "facet_by": "brand"}).status_code == 200
        samples = _samples(client)
    stages = {dict(labels)["stage"]: n for (name, labels), n in samples.items() if name == "search_stage_duration_seconds_count"}
    assert stages == dict.fromkeys(STAGES, 3)
    sums = {dict(labels)["stage"]: s for (name, labels), s in samples.items() if name == "search_stage_duration_seconds_sum"}
    assert all(seconds > 0 for seconds in sums.values())
    assert samples["search_refused_total", ()] == 0
