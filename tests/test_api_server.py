"""Against real server processes: ``fake_engine.py`` is run as a program that calls ``api.server.serve``."""

import json
import signal
import socket

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.server import _environment
from engine.settings import Settings, load_settings
from server_process import running, start, until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("server"), max_body_bytes=2048) as server:
        yield server


def test_it_prints_where_it_serves_what(server):
    assert server.said == "snapshot s1, 10 products"
    assert httpx.get(server.url + "/readyz").json()["snapshot"] == "s1"


def test_it_answers_searches(server):
    with httpx.Client(base_url=server.url) as client:
        found = client.get("/v1/search", params={"q": "防水登山外套", "per_page": 2})
        assert found.json()["applied"]["q"] == "防水登山外套"
        assert len(found.json()["hits"]) == 2
        assert client.post("/v1/search", json={"q": "x", "per_page": 2}).json()["hits"] == found.json()["hits"]
        assert client.get("/healthz").json() == {"status": "ok"}
        assert "server" not in found.headers


@pytest.mark.parametrize(
    ("method", "path", "extra", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("PUT", "/v1/search", {}, 405),
        ("GET", "/v1/search?page=x", {}, 400),
        ("GET", "/v1/search?filter_by=%3F", {}, 400),
        ("GET", "/v1/similar/%ff", {}, 404),
        ("POST", "/v1/search", {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ("POST", "/v1/search", {"content": b"x" * 3000}, 413),
        ("GET", "/v1/search?q=explode", {}, 500),
    ],
)
def test_errors_are_problems_over_a_real_connection(server, method, path, extra, status):
    response = httpx.request(method, server.url + path, **extra)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


def test_the_log_has_requests_and_failures_but_not_what_was_typed(server):
    httpx.get(server.url + "/v1/search", params={"q": "zyxxyz", "filter_by": "zyxxyz?"})
    instance = httpx.get(server.url + "/v1/search?q=explode").json()["instance"].rpartition(":")[2]
    until(lambda: any(instance in line for line in server.lines))
    until(lambda: any("route=/v1/search status=400" in line for line in server.lines))
    assert not [line for line in server.lines if "zyxxyz" in line or "cannot search explode" in line]


def _raw(server, data):
    """Send bytes, return all that comes back until the server hangs up."""
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_a_head_without_end_is_refused(server):
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx-endless: ")
        refused = b""
        connection.settimeout(0.02)
        for _ in range(2000):
            try:
                connection.sendall(b"y" * 16_384)
                refused += connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if refused:
                break
        else:
            raise AssertionError("it read 32 MB of headers")
    assert refused.startswith(b"HTTP/1.1 431 ") or refused == b""
    assert httpx.get(server.url + "/healthz").status_code == 200


def test_what_is_not_http_is_a_problem_too(server):
    head, _, body = _raw(server, b"NONSENSE\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == 400


def test_a_body_that_grows_too_large_is_refused_while_it_comes(server):
    request = (
        b"POST /v1/search HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    assert _raw(server, request + (b"400\r\n" + b" " * 1024 + b"\r\n") * 3).startswith(b"HTTP/1.1 413 ")


def test_explanations_stream_and_stop_when_the_client_leaves(server):
    mark = server.folder / "ended"
    mark.unlink(missing_ok=True)
    with (
        httpx.Client(base_url=server.url, timeout=20) as client,
        client.stream("POST", "/v1/explain", json={"q": "endless", "ids": ["s1/1"]}) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        names = []
        for line in response.iter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
            if len(names) == 4:
                break
        assert names == ["hits", "claim", "claim", "claim"]
        assert not mark.exists()
    until(mark.exists)


def test_a_port_in_use_is_one_sentence(server, tmp_path):
    process = start(tmp_path, port=server.address[1])
    _, words = process.communicate(timeout=60)
    assert process.returncode == 2
    assert words.strip().count("\n") == 0
    assert f"port: {server.address[1]} on 127.0.0.1 is in use" in words


def test_a_host_that_is_none_is_one_sentence(tmp_path):
    process = start(tmp_path, host="192.0.2.200", port=0)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 2
    assert words.startswith("host, port: 192.0.2.200:0 cannot be listened on")


def test_it_starts_empty_picks_up_snapshots_and_ends_on_a_signal(tmp_path):
    with running(tmp_path, snapshot="") as server:
        assert server.said.startswith("store ")
        assert "No snapshot is served yet" in server.said
        assert httpx.get(server.url + "/v1/search").status_code == 503
        for snapshot in ("s1", "s2"):
            server.publish(snapshot)
            until(lambda s=snapshot: httpx.get(server.url + "/readyz").json().get("snapshot") == s)
        server.stop()
        assert server.process.returncode in (0, -signal.SIGTERM)
        assert not [line for line in server.lines if "Traceback" in line]


def test_several_workers_share_port_metrics_and_snapshots(tmp_path):
    with running(tmp_path, workers=2) as server:
        total = 40
        for _ in range(total):  # a connection each, so that both workers get some
            assert httpx.get(server.url + "/v1/search?q=nothing").status_code == 200
        families = {f.name: f for f in text_string_to_metric_families(httpx.get(server.url + "/metrics").text)}
        assert families["search_zero_results"].samples[0].value == total
        info = [s.labels["snapshot"] for s in families["snapshot_info"].samples]
        assert info == ["s1"]
        server.publish("s2")
        # Twenty in a row: with two workers, one that stayed behind would answer some of them.
        until(lambda: {httpx.get(server.url + "/v1/search").json()["snapshot"] for _ in range(20)} == {"s2"})
        server.stop()
        assert server.process.returncode == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url + "/healthz")


def test_workers_end_when_their_parent_is_killed(tmp_path):
    def refused():
        try:
            return httpx.get(server.url + "/healthz").status_code is None
        except httpx.ConnectError:
            return True
        except httpx.TransportError:
            return False

    with running(tmp_path, workers=2) as server:
        server.process.kill()
        server.process.wait()
        until(refused)


def test_forwarded_addresses_are_not_believed(tmp_path):
    with running(tmp_path, rate_limit="1/hour") as server:
        replies = [
            httpx.get(server.url + "/v1/suggest", headers={"x-forwarded-for": f"198.51.100.{n}"}) for n in range(2)
        ]
    assert [r.status_code for r in replies] == [200, 429]


def test_a_body_announced_as_too_large_is_refused_before_it_comes(server):
    head = b"POST /v1/search HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n"
    assert _raw(server, head).startswith(b"HTTP/1.1 413 ")


def test_settings_survive_the_way_into_a_worker(monkeypatch, tmp_path):
    settings = Settings(
        store=tmp_path / "a store",
        model="",
        alpha=0.123456789012345,
        exchange_rates={"USD": 1.0, "CNY": 0.14},
        cors_origins=["https://a.example", "https://b.example"],
        rate_limit="100/second",
        generator_key='quote"s and ünicode',
        workers=3,
    )
    monkeypatch.chdir(tmp_path)
    for name, value in _environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings
