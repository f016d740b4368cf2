"""``/healthz``, ``/readyz`` and ``/metrics``: for those who operate the service.

``/healthz`` says that the process answers, ``/readyz`` that searches are answered, and from which snapshot.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.responses import Response

from api.draining import leaving, leaving_response
from api.metrics import Metrics
from api.problems import problem_docs
from api.reload import Engines, NotReadyError
from api.wire import answer

__all__ = ["HealthResponse", "ReadyResponse", "health_routes"]


class HealthResponse(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class ReadyResponse(BaseModel):
    """Searches are answered, from this snapshot."""

    status: Literal["ready"] = "ready"
    snapshot: str
    model: str
    products: int


def health_routes(engines: Engines, metrics: Metrics) -> APIRouter:
    """Return the routes for operators."""
    router = APIRouter(tags=["operations"])

    @router.get(
        "/healthz",
        summary="Is the process alive",
        operation_id="health",
        response_model=HealthResponse,
        responses=problem_docs(),
    )
    async def health() -> Response:
        return answer(HealthResponse())

    @router.get(
        "/readyz",
        summary="Are searches answered",
        operation_id="ready",
        response_model=ReadyResponse,
        responses=problem_docs(503),
    )
    async def ready() -> Response:
        if leaving():
            return leaving_response()
        with engines.lease() as engine:
            return answer(
                ReadyResponse(snapshot=engine.snapshot_id, model=engine.model_name, products=engine.product_count)
            )

    @router.get(
        "/metrics",
        summary="Metrics in Prometheus text format",
        operation_id="metrics",
        response_class=Response,
        responses={**problem_docs(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def prometheus() -> Response:
        try:
            with engines.lease() as engine:
                text = metrics.render(engine)
        except NotReadyError:
            text = metrics.render(None)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST, "cache-control": "no-store"})

    return router
