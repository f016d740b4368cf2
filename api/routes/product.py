"""``GET /v1/products/{product_id}``: one product as the snapshot that serves holds it. An id may contain slashes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.problems import problem_docs
from api.reload import Engines
from api.wire import answer

__all__ = ["ProductResponse", "product_routes"]


class ProductResponse(BaseModel):
    """One product and the snapshot it was read from."""

    snapshot: str
    document: dict[str, Any] = Field(description="As in the hits of a search.")


def product_routes(engines: Engines) -> APIRouter:
    """Return the route of single products."""
    router = APIRouter(tags=["products"])

    @router.get(
        "/v1/products/{product_id:path}",
        summary="One product",
        description="The product with this id, as the snapshot that serves holds it.",
        operation_id="product",
        response_model=ProductResponse,
        responses=problem_docs(400, 404, 429, 503),
    )
    async def product(
        product_id: Annotated[str, Path(max_length=256, description="Id of a product.", examples=["JKT-1042"])],
    ) -> Response:
        with engines.lease() as engine:
            found = ProductResponse(snapshot=engine.snapshot_id, document=engine.document(product_id))
        return answer(found)

    return router
