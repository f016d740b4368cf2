"""What needs a key, which key opens it, and that nobody learns a key from here."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from api.cli import app as command_line
from api.keys import Keys, scope_of
from engine.errors import SettingsError
from engine.settings import ApiKey, Settings, load_settings
from fake_engine import FakeStore

SEARCH, EVENTS, ADMIN = ("search-key-0123456789abcdef", "events-key-0123456789abcdef", "admin-key-0123456789abcdef0")
ALL = {
    "box": {"key": SEARCH, "scopes": ["search"]},
    "log": {"key": EVENTS, "scopes": ["events"]},
    "ops": {"key": ADMIN, "scopes": ["admin"]},
}
ROUTES = {
    "search": [("GET", "/v1/search?q=x"), ("POST", "/v1/explain"), ("GET", "/v1/suggest"), ("POST", "/v1/guide"), ("GET", "/v1/nothing")],
    "events": [("POST", "/v1/events"), ("DELETE", "/v1/users/somebody-with-an-id")],
    "admin": [("GET", "/v1/admin/snapshots"), ("POST", "/v1/admin/reload"), ("GET", "/metrics")],
}


def client(tmp_path, keys=None, **given):
    store = FakeStore()
    made = Settings(store=tmp_path / "store", api_keys=keys or {}, **given)
    return TestClient(create_app(made, store.open, store.pointer), client=("192.0.2.1", 5))


@pytest.mark.parametrize("needed", ROUTES)
@pytest.mark.parametrize("held", [*ROUTES, ""])
def test_a_key_opens_its_scopes_and_no_other(tmp_path, needed, held):
    key = {"search": SEARCH, "events": EVENTS, "admin": ADMIN}.get(held, "")
    with client(tmp_path, ALL) as shop:
        for method, path in ROUTES[needed]:
            for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}) if key else ({},):
                answer = shop.request(method, path, headers=headers)
                assert (answer.status_code in (401, 403)) is (held != needed), (path, answer.text)
                if not held:
                    assert answer.status_code == 401
                    assert answer.headers["www-authenticate"].startswith("Bearer")
                elif held != needed:
                    assert answer.status_code == 403


def test_a_wrong_key_is_no_key(tmp_path):
    with client(tmp_path, ALL) as shop:
        for wrong in ("", "x", SEARCH[:-1], SEARCH + "x", SEARCH.upper(), "é" * 30):
            answer = shop.get("/v1/search?q=x", headers={"x-api-key": wrong.encode()})
            assert answer.status_code == 401
            assert "key" in answer.json()["detail"]
        assert shop.get(f"/v1/search?q=x&key={SEARCH}&x-api-key={SEARCH}").status_code == 401


def test_what_no_key_bears_is_open_but_for_admin(tmp_path):
    with client(tmp_path) as shop:
        assert shop.get("/v1/search?q=x").status_code == 200
        assert shop.get("/metrics").status_code == 200
        assert shop.get("/v1/admin/snapshots").status_code == 404
        assert shop.post("/v1/admin/reload", headers={"x-api-key": ADMIN}).status_code == 404
    with client(tmp_path, {"ops": ALL["ops"]}) as shop:
        assert shop.get("/v1/search?q=x").status_code == 200
        assert shop.get("/metrics").status_code == 401
        found = shop.get("/v1/admin/snapshots", headers={"x-api-key": ADMIN}).json()
        assert found["serving"] == found["current"]
    with client(tmp_path, ALL) as shop:
        for path in ("/healthz", "/readyz", "/", "/openapi.json"):
            assert shop.get(path).status_code == 200


def test_whoever_has_a_key_is_counted_by_it(tmp_path):
    keys = {**ALL, "box": {**ALL["box"], "rate_limit": "2/hour"}}
    with client(tmp_path, keys, rate_limit="4/hour") as shop:
        box = [shop.get("/v1/suggest", headers={"x-api-key": SEARCH}).status_code for _ in range(3)]
        assert box == [200, 200, 429]
        guesses = [shop.get("/v1/suggest", headers={"x-api-key": f"guess {n}"}).status_code for n in range(6)]
        assert guesses == [401] * 4 + [429] * 2


def test_a_browser_asks_before_it_sends_a_key(tmp_path):
    with client(tmp_path, ALL, cors_origins=["https://shop.example"]) as shop:
        asked = {
            "origin": "https://shop.example",
            "access-control-request-method": "GET",
            "access-control-request-headers": "authorization",
        }
        answer = shop.options("/v1/search", headers=asked)
        assert answer.status_code == 200
        assert "authorization" in answer.headers["access-control-allow-headers"].lower()


@pytest.mark.parametrize("wrong", ["short", "with blank " * 4, "ключ" * 10])
def test_a_key_that_is_none_is_refused_without_being_told(wrong):
    with pytest.raises(SettingsError) as refused:
        load_settings(api_keys={"web": {"key": wrong, "scopes": ["search"]}})
    assert wrong not in str(refused.value)
    with pytest.raises(SettingsError, match="scopes"):
        load_settings(api_keys={"web": {"key": SEARCH, "scopes": ["everything"]}})
    with pytest.raises(SettingsError, match="rate_limit"):
        create_app(Settings(api_keys={"web": {"key": SEARCH, "scopes": ["search"], "rate_limit": "fast"}}))


def test_no_secret_is_printed(monkeypatch, tmp_path):
    secrets = {
        "DAOGOU_API_KEYS": json.dumps(ALL),
        "DAOGOU_IDENTITY_SECRET": "identity-secret-0123456789",
        "DAOGOU_PRIVACY_KEY": "privacy-key-0123456789-0123456789",
        "DAOGOU_GENERATOR_KEY": "generator-key-0123456789",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    told = CliRunner().invoke(command_line, ["doctor", "--store", str(tmp_path)]).stdout
    shown = repr(load_settings()) + told
    for secret in (SEARCH, EVENTS, ADMIN, *list(secrets.values())[1:]):
        assert secret not in shown
    assert "********" in told


@settings(max_examples=200)
@given(st.text(max_size=40), st.sets(st.sampled_from(["search", "events", "admin"])))
def test_nothing_below_v1_is_open_once_its_scope_is_closed(rest, closed):
    needed = scope_of(f"/v1/{rest}", frozenset(closed))
    if closed >= {"search", "events"}:
        assert needed is not None


@given(st.binary(max_size=60))
def test_no_other_bytes_are_a_key(given_bytes):
    keys = Keys({"box": ApiKey(key=SEARCH, scopes=frozenset({"search"}))})
    found = keys.caller([(b"x-api-key", given_bytes)])
    assert (found is not None) is (given_bytes.strip() == SEARCH.encode())
