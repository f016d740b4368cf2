"""Traces, read by a collector of the test's own that speaks OTLP over HTTP."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from engine.errors import MissingExtraError
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed

needs_otel = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("opentelemetry") is None, reason="the extra otel is not installed"
)
STAGES = ["understand", "encode", "nearest", "rank", "facets", "write"]
SECRETS = ["zebra-canary", "+49 151 23456789", "anna.canary@example.com", "canary-user"]


class Collector(ThreadingHTTPServer):
    """Keeps the spans it is sent, and every byte."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans: list[Any] = []
        self.bodies = b""


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        import gzip

        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        body = self.rfile.read(int(self.headers["content-length"]))
        body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
        self.server.bodies += body  # type: ignore[attr-defined]
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += scope.spans  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def settings_for(tmp_path: Path, endpoint: str) -> Any:
    settings = toy_settings(tmp_path / "store", otel_endpoint=endpoint, consent="assumed")
    reindex(write_feed(random_products(60), tmp_path / "feed.jsonl"), settings)
    return settings


def address(collector: Collector) -> str:
    return f"http://127.0.0.1:{collector.server_address[1]}/v1/traces"


@needs_otel
def test_a_search_is_a_span_with_its_stages_below(tmp_path: Path, collector: Collector) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with TestClient(create_app(settings_for(tmp_path, address(collector)))) as client:
        client.get("/v1/search", params={"q": "tent", "facet_by": "brand"}, headers={"traceparent": caller})
        client.get("/v1/products/nobody")
    spans = {span.name: span for span in collector.spans}
    root = spans["GET /v1/search"]
    assert root.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert root.parent_span_id.hex() == "b7ad6b7169203331"
    below = [span for span in collector.spans if span.parent_span_id == root.span_id]
    assert [span.name for span in sorted(below, key=lambda s: s.start_time_unix_nano)] == [f"search {stage}" for stage in STAGES]
    for span in below:
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= root.end_time_unix_nano
    told = {a.key: a.value.string_value or a.value.int_value for a in spans["GET /v1/products/{product_id}"].attributes}
    assert told == {"http.request.method": "GET", "http.route": "/v1/products/{product_id}", "http.response.status_code": 404}


@needs_otel
def test_searches_answered_together_have_their_own_stages(tmp_path: Path, collector: Collector) -> None:
    with TestClient(create_app(settings_for(tmp_path, address(collector)))) as client:
        threads = [threading.Thread(target=client.get, args=(f"/v1/search?q=tent+{n}",)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    roots = [span for span in collector.spans if span.name == "GET /v1/search"]
    assert len(roots) == 12
    for root in roots:
        below = sorted(span.name for span in collector.spans if span.parent_span_id == root.span_id)
        assert below == sorted(f"search {stage}" for stage in STAGES)


@needs_otel
def test_nothing_that_was_typed_is_sent(tmp_path: Path, collector: Collector) -> None:
    with TestClient(create_app(settings_for(tmp_path, address(collector))), raise_server_exceptions=False) as client:
        for secret in SECRETS:
            client.get("/v1/search", params={"q": secret, "user_id": secret, "filter_by": secret})
            client.post("/v1/search", json={"q": secret, "user_id": secret}, headers={"user-agent": secret, "tracestate": f"a={secret[:9]}"})
            client.get(f"/{secret}/{secret}")
            client.post("/v1/guide", json={"text": secret})
            client.request("GET", "/v1/search", params={"q": "tent"}, headers={"traceparent": secret, "x-api-key": secret})
            client.get(f"/v1/users/{secret}")
    assert len(collector.spans) > 20
    for secret in SECRETS:
        assert secret.encode() not in collector.bodies
        assert secret[:9].encode() not in collector.bodies


@needs_otel
def test_a_dead_collector_holds_nobody_up(tmp_path: Path) -> None:
    with TestClient(create_app(settings_for(tmp_path, "http://127.0.0.1:9/v1/traces"))) as client:
        assert all(client.get("/v1/search", params={"q": f"tent {n}"}).status_code == 200 for n in range(50))
        started = time.monotonic()
    assert time.monotonic() - started < 30  # what is left is not sent for ever


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingExtraError, match=r"daogou\[otel\]"):
        create_app(toy_settings(tmp_path, otel_endpoint="http://127.0.0.1:4318/v1/traces"))


def test_unless_it_is_asked_for_nothing_is_made_or_sent() -> None:
    """Another package may import its names; what makes and sends spans is imported by nobody."""
    code = "import sys, api.app; print([m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
