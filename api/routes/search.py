"""``GET`` and ``POST /v1/search``: one page of one match set.

Takes a :class:`~engine.schema.SearchRequest` as a query string or as JSON, gives a
:class:`~engine.schema.SearchResponse`. Knows nothing of how the engine finds.
"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from starlette.requests import Request
from starlette.responses import Response

from api.gather import Gatherer
from api.identity import Identity
from api.intake import Intake
from api.metrics import Metrics
from api.problems import problem_docs
from api.wire import json_response, query_parameters, read_query
from engine.events import Event
from engine.schema import Answer, SearchRequest, SearchResponse

__all__ = ["search_routes"]

_PARAMETER_EXAMPLES = {
    "q": {
        "english": {"summary": "English, with a price limit", "value": "waterproof hiking jacket under $80"},
        "chinese": {"summary": "中文，带价格上限", "value": "防水登山外套 500元以内"},
    },
    "filter_by": {
        "english": {"summary": "Price and brand", "value": "price:<100 && brand:=[HP,Dell]"},
        "chinese": {"summary": "价格区间", "value": "price:[200..500]"},
    },
    "facet_by": {"several": {"value": "brand,category,price"}, "automatic": {"value": "*"}},
    "sort_by": {"cheapest": {"summary": "Cheapest first", "value": "price:asc"}},
}
_BODY_EXAMPLES = {
    "english": Example(
        summary="Laptops of two makers with facets",
        value={"q": "light laptop for travel", "filter_by": "brand:=[HP,Dell]", "facet_by": "brand,price"},
    ),
    "chinese": Example(
        summary="不要羽绒的防水外套",
        value={"q": "防水登山外套 不要羽绒 500元以内", "facet_by": "*", "per_page": 20},
    ),
}


def search_routes(gatherer: Gatherer, metrics: Metrics, identity: Identity, intake: Intake | None = None) -> APIRouter:
    """Return the routes of search. One that says who asks is noted by ``intake``: what they do next then has a beginning."""
    router = APIRouter(tags=["search"])

    async def find(wanted: SearchRequest) -> Response:
        wanted = identity.admit(wanted)
        found = await gatherer.search(wanted)
        if found.found == 0:
            metrics.zero_results()
        if intake is not None and wanted.q.strip() and (wanted.user_id or wanted.client_id or wanted.session_id):
            intake.note([_searched(wanted, found)])
        return json_response(found.json)

    @router.get(
        "/v1/search",
        summary="Search",
        description="Products that match, with totals, facets and highlights, all of one match set.",
        operation_id="search",
        response_model=SearchResponse,
        responses=problem_docs(400, 403, 429, 503),
        openapi_extra={"parameters": query_parameters(SearchRequest, _PARAMETER_EXAMPLES)},
    )
    async def search(request: Request) -> Response:
        return await find(read_query(SearchRequest, request))

    @router.post(
        "/v1/search",
        summary="Search with a JSON body",
        description="The same as `GET /v1/search`, for requests that keep what was typed out of addresses and logs.",
        operation_id="searchWithBody",
        response_model=SearchResponse,
        responses=problem_docs(400, 403, 429, 503),
    )
    async def search_with_body(wanted: Annotated[SearchRequest, Body(openapi_examples=_BODY_EXAMPLES)]) -> Response:
        return await find(wanted)

    return router


def _searched(wanted: SearchRequest, found: Answer) -> Event:
    return Event(
        "search",
        int(1000 * time.time()),
        user_id=wanted.user_id,
        client_id=wanted.client_id,
        session_id=wanted.session_id,
        query_id=found.query_id,
        query=wanted.q,
        products=found.ids,
        variants=dict(found.variants) or None,
    )
