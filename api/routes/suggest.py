"""``GET /v1/suggest``: completions for what has been typed so far."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.openapi.models import Example
from starlette.responses import Response

from api.problems import problem_docs
from api.reload import Engines
from api.wire import answer
from engine.schema import SuggestResponse

__all__ = ["suggest_routes"]

_EXAMPLES = {
    "english": Example(summary="English", value="hiking j"),
    "chinese": Example(summary="中文", value="防水"),
}


def suggest_routes(engines: Engines) -> APIRouter:
    """Return the route of suggestions."""
    router = APIRouter(tags=["search"])

    @router.get(
        "/v1/suggest",
        summary="Suggest completions",
        description="Categories, brands and products of the catalogue that go on from what was typed.",
        operation_id="suggest",
        response_model=SuggestResponse,
        responses=problem_docs(400, 429, 503),
    )
    async def suggest(
        q: Annotated[str, Query(max_length=512, description="What was typed so far.", openapi_examples=_EXAMPLES)] = "",
        limit: Annotated[int, Query(ge=1, le=50, description="Most completions returned.")] = 8,
    ) -> Response:
        with engines.lease() as engine:
            found = engine.suggest(q, limit)
        return answer(found)

    return router
