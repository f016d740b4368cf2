"""``GET /v1/similar/{product_id}``: products like one product. An id may contain slashes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.problems import problem_docs
from api.reload import Engines
from api.wire import answer
from engine.schema import SimilarResponse

__all__ = ["similar_routes"]


def similar_routes(engines: Engines) -> APIRouter:
    """Return the route of similar products."""
    router = APIRouter(tags=["products"])

    @router.get(
        "/v1/similar/{product_id:path}",
        summary="Similar products",
        description="Products like this one, nearest first; the product itself is not among them.",
        operation_id="similar",
        response_model=SimilarResponse,
        responses=problem_docs(400, 404, 429, 503),
    )
    async def similar(
        product_id: Annotated[str, Path(max_length=256, description="Id of a product.", examples=["JKT-1042"])],
        k: Annotated[int, Query(ge=1, le=100, description="Most products returned.")] = 10,
    ) -> Response:
        with engines.lease() as engine:
            found = engine.similar(product_id, k)
        return answer(found)

    return router
