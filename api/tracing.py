"""Traces for OpenTelemetry: a span for each request, and below a search's one for each of its stages.

In: requests, and the stages the engine tells of. Out: spans, sent in the background to the OTLP/HTTP address in the setting
``otel_endpoint``, named as OpenTelemetry's conventions for HTTP have it (https://opentelemetry.io/docs/specs/semconv/http/). A
caller's ``traceparent`` (W3C Trace Context) is carried on. Routes are templates and nothing that was typed gets into a span.
While nobody collects, spans are dropped and nobody waits. Needs the extra ``otel``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import route_template
from engine.errors import MissingExtraError

__all__ = ["Stage", "TraceMiddleware", "Tracing"]

Stage = tuple[str, int, int]
"""Name of a stage, and when it began and ended, in nanoseconds since 1970."""
_PATIENCE_S = 5


class Tracing:
    """Makes spans and sends them to ``endpoint``.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """

    def __init__(self, endpoint: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            message = "The setting otel_endpoint needs OpenTelemetry. Run `pip install 'daogou[otel]'`."
            raise MissingExtraError(message) from error
        self._provider = TracerProvider(resource=Resource.create({"service.name": "daogou"}), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_PATIENCE_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, export_timeout_millis=1000 * _PATIENCE_S))
        self._tracer = self._provider.get_tracer("daogou")
        self._propagator = TraceContextTextMapPropagator()

    def request(self, method: str, traceparent: str) -> Any:
        """Return a span of a request, of the trace its caller named if any, to be entered with ``with``."""
        from opentelemetry.trace import SpanKind

        parent = self._propagator.extract({"traceparent": traceparent}) if traceparent else None
        return self._tracer.start_as_current_span(
            method, parent, SpanKind.SERVER, {"http.request.method": method}, record_exception=False
        )

    def stages(self, stages: Sequence[Stage]) -> None:
        """Put the stages of a search below the span of the request that is being answered."""
        for name, began, ended in stages:
            self._tracer.start_span(f"search {name}", start_time=began).end(ended)

    def close(self) -> None:
        """Send what is left, and end."""
        self._provider.shutdown()


class TraceMiddleware:
    """Makes a span of every request."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app, self.tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"] if scope["method"].isalpha() and len(scope["method"]) < 10 else "_OTHER"
        traceparent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), "")
        with self.tracing.request(method, traceparent) as span:
            try:
                await self.app(scope, receive, watch)
            finally:
                route = route_template(scope)
                span.update_name(f"{method} {route}")
                span.set_attributes({"http.route": route, "http.response.status_code": status or 499})
                if status >= 500:
                    from opentelemetry.trace import StatusCode

                    span.set_status(StatusCode.ERROR)

