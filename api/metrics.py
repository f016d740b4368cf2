"""What operators watch: Prometheus metrics and one log line for each request, neither with anything a shopper typed.

:class:`Metrics` counts; :class:`ObserveMiddleware` times every request, logs it (logger ``daogou.request``), and turns
an exception nobody caught into a problem. With ``PROMETHEUS_MULTIPROC_DIR`` set, counts of all worker processes are
added up; the snapshot shown is that of the worker that was asked.

Knows routes only by their templates.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import unexpected_problem

if TYPE_CHECKING:
    from engine.engine import Engine

__all__ = ["STAGES", "Metrics", "ObserveMiddleware"]

_log = logging.getLogger("daogou.request")

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STAGES = ("understand", "encode", "nearest", "rank", "facets", "write")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The counters of one process. Label values come from routes and statuses, so their number is bounded."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "http_server_request_duration_seconds",
            "Time from a request's head to the end of its response.",
            ("route", "method", "status"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        stages = Histogram(
            "search_stage_duration_seconds",
            "Time of each stage of search: understand, encode and nearest once a batch, rank, facets and write once a search.",
            ("stage",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._stages = {name: stages.labels(name) for name in STAGES}
        self._busy = Counter("search_refused", "Searches refused because too many waited.", registry=self._registry)
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self._zero_results = Counter("search_zero_results", "Searches that found nothing.", registry=self._registry)
        self._reload_failures = Counter(
            "snapshot_reload_failures", "Attempts to open a snapshot that failed.", registry=self._registry
        )
        self._claims = Counter(
            "explain_claims", "Claims by what became of them.", ("outcome",), registry=self._registry
        )
        self._degraded = Counter(
            "explain_degraded", "Explanations the generator did not finish by itself.", registry=self._registry
        )
        self._events = Counter("events", "Events by what became of them.", ("outcome",), registry=self._registry)
        self._turns = Counter("guide_turns", "Turns of the guide by who read the words.", ("read_by",), registry=self._registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (route, method, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(route, method, str(status))
        child.observe(seconds)

    def stage(self, name: str, seconds: float) -> None:
        """Count a stage of search."""
        self._stages[name].observe(seconds)

    def busy(self) -> None:
        """Count a search that was refused."""
        self._busy.inc()

    def zero_results(self) -> None:
        """Count a search that found nothing."""
        self._zero_results.inc()

    def reload_failure(self) -> None:
        """Count an attempt to open a snapshot that failed."""
        self._reload_failures.inc()

    def claims(self, outcome: str, count: int = 1) -> None:
        """Count claims that were ``shown``, ``dropped``, ``replaced`` or shown as an ``opinion``."""
        self._claims.labels(outcome).inc(count)

    def turn(self, read_by: str) -> None:
        """Count a turn of the guide, read by the ``rules`` or by the ``endpoint``."""
        self._turns.labels(read_by).inc()

    def events(self, outcome: str, count: int) -> None:
        """Count events that were ``accepted`` or ``rejected``."""
        if count:
            self._events.labels(outcome).inc(count)

    def degraded(self) -> None:
        """Count an explanation the generator did not finish by itself."""
        self._degraded.inc()

    def render(self, engine: Engine | None) -> bytes:
        """Return all metrics in Prometheus text format; ``engine`` is the one that serves."""
        registry = CollectorRegistry()
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(self._registry)
        registry.register(_SnapshotCollector(engine))
        return generate_latest(registry)


class _SnapshotCollector(Collector):
    """What is served, read when asked: a gauge would keep the label of every snapshot that ever served."""

    def __init__(self, engine: Engine | None) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("snapshot_info", "The snapshot that serves.", labels=("snapshot", "model"))
        products = GaugeMetricFamily("snapshot_products", "Products in the snapshot that serves.")
        if self._engine is not None:
            info.add_metric((self._engine.snapshot_id, self._engine.model_name), 1)
        products.add_metric((), self._engine.product_count if self._engine is not None else 0)
        yield info
        yield products


class ObserveMiddleware:
    """Times, counts and logs every request, and answers for what nobody caught."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0
        began = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            response = unexpected_problem(error)
            if status:
                # Too late for a status; ending here makes the server cut the connection, and the log has the rest.
                status = 500
                raise RuntimeError("A response broke off after its head was sent.") from None
            await response(scope, receive, watch)
        finally:
            self._record(scope, status, time.perf_counter() - began)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = route_template(scope)
        # 499, as nginx has it: the client left before there was a status.
        self.metrics.request(route, method, status or 499, seconds)
        level = logging.WARNING if status >= 500 else logging.INFO
        if _log.isEnabledFor(level):
            _log.log(level, "method=%s route=%s status=%d ms=%.1f", method, route, status or 499, seconds * 1000)


def route_template(scope: Scope) -> str:
    """Return the route's template: never the path, which anybody can make up."""
    route = scope.get("route")
    return getattr(route, "path_format", None) or getattr(route, "path", None) or "none"
