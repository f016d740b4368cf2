"""Two shops in one service: whatever is asked with one's key, nothing of the other is in the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from api.app import create_service
from engine.errors import SettingsError
from engine.settings import Settings
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed

KEYS = {"north": "north-key-0123456789abcdef", "south": "south-key-0123456789abcdef"}
WORDS = {"north": "boreal", "south": "austral"}
EVERYTHING = ["search", "events", "admin"]


def settings_for(folder: Path, **changes: object) -> Settings:
    return toy_settings(
        folder / "unused",
        tenants={name: folder / name for name in KEYS},
        api_keys={name: {"key": key, "scopes": EVERYTHING, "tenant": name} for name, key in KEYS.items()},
        consent="assumed",
        generator="template",
        **changes,
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("tenants")
    for name, word in WORDS.items():
        products = [replace(p, id=f"{word}-{p.id}", title=f"{word} {p.title}", brand=word) for p in random_products(30)]
        reindex(write_feed(products, folder / f"{name}.jsonl"), toy_settings(folder / name))
    with TestClient(create_service(settings_for(folder))) as client:
        yield client


def ask(service: TestClient, tenant: str, method: str, path: str, **more: object) -> str:
    answer = service.request(method, path, headers={"x-api-key": KEYS[tenant]}, **more)  # type: ignore[arg-type]
    assert answer.status_code < 500, answer.text
    return answer.text


WHO = st.sampled_from(["shopper-of-both-shops-1", "device-of-both-shops-22"])
IDS = st.sampled_from([f"{word}-P{n:05d}" for word in WORDS.values() for n in (0, 3, 29)])
TEXT = st.sampled_from(["boreal tent", "austral", "tent", "", "brand", "id:=austral-P00003"])
REQUESTS = st.one_of(
    st.tuples(st.just("GET"), st.just("/v1/search"), st.fixed_dictionaries({"q": TEXT, "facet_by": st.just("brand,category"), "user_id": WHO})),
    st.tuples(st.just("GET"), st.just("/v1/suggest"), st.fixed_dictionaries({"q": TEXT})),
    st.tuples(st.just("GET"), IDS.map(lambda i: f"/v1/products/{i}"), st.just({})),
    st.tuples(st.just("GET"), IDS.map(lambda i: f"/v1/similar/{i}"), st.just({})),
    st.tuples(st.just("GET"), WHO.map(lambda i: f"/v1/users/{i}"), st.just({})),
    st.tuples(st.just("GET"), st.sampled_from(["/v1/capabilities", "/v1/admin/snapshots", "/metrics", "/readyz"]), st.just({})),
    st.tuples(st.just("POST"), st.just("/v1/explain"), st.fixed_dictionaries({"q": TEXT, "ids": st.lists(IDS, min_size=1, max_size=3)})),
    st.tuples(st.just("POST"), st.just("/v1/compare"), st.fixed_dictionaries({"q": TEXT, "ids": st.lists(IDS, min_size=2, max_size=3)})),
    st.tuples(
        st.just("POST"),
        st.just("/v1/recommend"),
        st.fixed_dictionaries({"kind": st.sampled_from(["similar", "for_you"]), "ids": st.lists(IDS, max_size=2), "user_id": WHO}),
    ),
    st.tuples(st.just("POST"), st.just("/v1/guide"), st.fixed_dictionaries({"text": TEXT, "session": st.just("one-conversation-of-both")})),
    st.tuples(
        st.just("POST"),
        st.just("/v1/events"),
        st.fixed_dictionaries({"action_name": st.just("click"), "client_id": WHO, "object_id": IDS}).map(
            lambda e: {
                "action_name": e["action_name"],
                "client_id": e["client_id"],
                "event_attributes": {"object": {"object_id": e["object_id"], "object_id_field": "id"}},
            }
        ),
    ),
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(sorted(KEYS)), REQUESTS), min_size=1, max_size=4))
def test_nothing_of_one_shop_is_in_an_answer_to_another(
    service: TestClient, asked: list[tuple[str, tuple[str, str, dict[str, object]]]]
) -> None:
    for tenant, (method, path, values) in asked:
        other = WORDS["south" if tenant == "north" else "north"]
        if path == "/v1/events" or "user_id" in values:  # what is typed in a shop and kept there is its own
            values = json.loads(json.dumps(values).replace(other, WORDS[tenant]))
        given = {"params": values} if method == "GET" else {"json": values}
        text = ask(service, tenant, method, path, **given)
        said = str(values) + path  # what was asked may come back, nothing else of the other shop
        if other not in said:
            assert other not in text
        else:
            assert f'"title":"{other}' not in text
            assert f'"brand":"{other}"' not in text


def test_each_finds_its_own(service: TestClient) -> None:
    for tenant, word in WORDS.items():
        found = service.get("/v1/search", params={"q": "", "per_page": 50}, headers={"authorization": f"Bearer {KEYS[tenant]}"}).json()
        assert found["found"] == 30
        assert all(hit["document"]["id"].startswith(word) for hit in found["hits"])


def test_events_of_one_are_not_the_others(service: TestClient) -> None:
    event = {
        "action_name": "click",
        "client_id": "a-device-only-in-the-north",
        "event_attributes": {"object": {"object_id": "boreal-P00001", "object_id_field": "id"}},
    }
    ask(service, "north", "POST", "/v1/events", json=event)
    assert "boreal-P00001" in ask(service, "north", "GET", "/v1/users/a-device-only-in-the-north")
    assert "P00001" not in ask(service, "south", "GET", "/v1/users/a-device-only-in-the-north")


@pytest.mark.parametrize("path", ["/v1/search?q=x", "/metrics", "/", "/openapi.json", "/static/app.js", "/v1/admin/snapshots"])
def test_without_a_key_there_is_nobody(service: TestClient, path: str) -> None:
    for headers in ({}, {"x-api-key": "no-key-of-anybody-0123456789"}):
        answer = service.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert service.get("/healthz").json() == {"status": "ok"}
    assert service.get("/readyz").json() == {"status": "ready", "shops": 2}


def test_what_no_key_bears_is_closed_to_tenants(tmp_path: Path) -> None:
    made = settings_for(tmp_path)
    only = {name: key.model_copy(update={"scopes": frozenset({"search"})}) for name, key in made.api_keys.items()}
    with TestClient(create_service(made.model_copy(update={"api_keys": only}))) as client:
        assert client.get("/readyz").status_code == 503
        for path in ("/v1/admin/snapshots", "/metrics", "/v1/users/somebody-with-an-id"):
            assert client.get(path, headers={"x-api-key": KEYS["north"]}).status_code == 403


def test_settings_that_would_mix_them_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="several workers"):
        create_service(settings_for(tmp_path, workers=2))
    made = settings_for(tmp_path)
    with pytest.raises(SettingsError, match="one store"):
        create_service(made.model_copy(update={"tenants": {"north": tmp_path / "a", "south": tmp_path / "a"}}))
    with pytest.raises(SettingsError, match="is of no tenant"):
        create_service(made.model_copy(update={"tenants": {"north": tmp_path / "a"}}))
    with pytest.raises(SettingsError, match="has no key"):
        create_service(made.model_copy(update={"tenants": {**made.tenants, "east": tmp_path / "east"}}))
