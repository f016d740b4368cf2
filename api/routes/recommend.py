"""``POST /v1/recommend``: what a shopper may want next. Knows nothing of how that is found."""

from __future__ import annotations

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from starlette.responses import Response

from api.identity import Identity
from api.problems import problem_docs
from api.reload import Engines
from api.wire import answer
from engine.recommend.request import RecommendRequest, RecommendResponse

__all__ = ["recommend_routes"]

_EXAMPLES = {
    "for_you": Example(summary="For a person", value={"kind": "for_you", "client_id": "0b8e6d0c-7a57-4d0e-9d0e-1d1f5c1b2a3c"}),
    "together": Example(summary="Bought together with a product", value={"kind": "bought_together", "ids": ["JKT-1042"], "k": 4}),
    "basket": Example(summary="Complete a basket, in Chinese", value={"kind": "basket", "ids": ["JKT-1042"], "language": "zh"}),
}


def recommend_routes(engines: Engines, identity: Identity) -> APIRouter:
    """Return the route of recommendations."""
    router = APIRouter(tags=["products"])

    @router.post(
        "/v1/recommend",
        summary="What a shopper may want next",
        description="Similar products, what is bought together, what completes a basket, what to buy again, or all that suits a "
        "person; each with the reason it rests on. In stock, without variants of each other.",
        operation_id="recommend",
        response_model=RecommendResponse,
        responses=problem_docs(400, 403, 404, 429, 503),
    )
    async def recommend(wanted: Annotated[RecommendRequest, Body(openapi_examples=_EXAMPLES)]) -> Response:
        admitted = identity.admit(wanted)
        with engines.lease() as engine:
            found = await anyio.to_thread.run_sync(engine.recommend, admitted)
        return answer(found)

    return router
