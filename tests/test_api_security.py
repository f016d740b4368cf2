import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from api.app import create_app
from api.keys import Keys
from api.security import GuardMiddleware, RateLimit, Rates
from engine.errors import SettingsError
from engine.settings import Settings
from fake_engine import FakeStore

JSON = {"content-type": "application/json"}


def _client(client=("192.0.2.1", 5), **settings):
    store = FakeStore()
    return TestClient(create_app(Settings(**settings), store.open, store.pointer), client=client)


def test_a_body_may_fill_the_limit_and_no_more():
    padding = b" " * (1024 - len(b'{"q":"x"}'))
    with _client(max_body_bytes=1024) as client:
        for extra, status in ((b"", 200), (b" ", 413)):
            whole = b'{"q":"x"}' + padding + extra
            assert client.post("/v1/search", content=whole, headers=JSON).status_code == status
            pieces = (whole[i : i + 100] for i in range(0, len(whole), 100))  # no Content-Length
            assert client.post("/v1/search", content=pieces, headers=JSON).status_code == status


def test_a_client_that_asks_too_often_is_told_how_long_to_wait():
    with _client(rate_limit="3/hour") as client:
        statuses = [client.get("/v1/suggest").status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = client.post("/v1/search", json={})
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 3600
        assert refused.json()["type"] == "urn:daogou:problem:too-many-requests"
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unix", "other", False),
    ],
)
def test_one_client_is_one_address_or_one_ipv6_network(first, second, same):
    limit = RateLimit("1/hour")
    assert limit.wait_s(first) == 0
    assert (limit.wait_s(second) > 0) is same


@pytest.mark.parametrize("wrong", ["fast", "10", "10/fortnight", "/second"])
def test_a_rate_that_is_none_is_refused_by_name(wrong):
    with pytest.raises(SettingsError, match="rate_limit") as caught:
        RateLimit(wrong)
    assert repr(wrong) in str(caught.value)


@pytest.mark.parametrize("path", ["/v1/search", "/healthz", "/nothing", "/v1/search?page=0", "/v1/search?q=explode"])
def test_every_response_carries_the_security_headers(path):
    with _client() as client:
        headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_a_service_that_is_busy_says_so_before_it_reads_anything():
    waiting = []

    async def inner(scope, receive, send):
        waiting.append(scope["path"])
        await Response("answered")(scope, receive, send)

    guard = GuardMiddleware(inner, 1024, Keys({}), Rates("", {}), busy=lambda: len(waiting) >= 2)
    client = TestClient(guard)
    assert [client.get("/v1/search?q=x").status_code for _ in range(4)] == [200, 200, 429, 429]
    refused = client.post("/v1/search", content=b"{", headers=JSON)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["type"] == "urn:daogou:problem:too-many-searches"
    assert client.get("/v1/suggest?q=x").status_code == 200
