"""``POST /v1/guide``: one turn of a conversation. ``POST /v1/compare``: what differs between products.
``GET /v1/capabilities``: what can be asked for.

The state of a conversation comes with the reply and is sent back with the next turn, or is kept here under a ``session`` where
``keep`` asks for that; ``DELETE /v1/guide/{session}`` forgets it. Knows nothing of how the guide answers.
"""

from __future__ import annotations

from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.identity import Identity
from api.metrics import Metrics
from api.problems import problem_docs
from api.reload import Engines
from api.sessions import Sessions, owner_of
from engine.guide import Comparison, GuideReply, GuideRequest
from engine.schema import Capabilities, ExplainRequest

__all__ = ["guide_routes"]

_THREADS = 8
_EXAMPLES = {
    "english": Example(summary="A first turn", value={"text": "I'm looking for a hiking jacket under $100"}),
    "chinese": Example(summary="中文，服务器保存对话", value={"text": "想买个保温杯", "keep": True}),
    "second": Example(
        summary="A second turn, with the state of the first reply",
        value={
            "text": "waterproof, and in black",
            "state": {"language": "en", "pieces": [{"kind": "thing", "text": "hiking jacket"}], "shown": [], "turns": 1},
        },
    ),
}
_COMPARED = {
    "english": Example(summary="Two jackets", value={"q": "light hiking jacket", "ids": ["JKT-1042", "JKT-1043"]}),
    "chinese": Example(summary="哪个好", value={"q": "防水登山外套", "ids": ["JKT-2001", "JKT-2002"], "language": "zh"}),
}


class GuideTurn(GuideRequest):
    """A turn, and whether the server keeps the conversation. ``session`` is the key of one that it keeps."""

    session: str = Field("", max_length=64)
    keep: bool = Field(False, description="Keep the state here for half an hour instead of only sending it.")


class GuideTurnReply(GuideReply):
    """The guide's turn, and the key of the conversation where the server keeps it."""

    session: str = ""


def guide_routes(engines: Engines, metrics: Metrics, identity: Identity, sessions: Sessions, keeps: bool = True) -> APIRouter:
    """Return the routes of the guide. ``keeps`` is whether conversations can be kept here: where several processes serve, the
    next turn may reach another one."""
    router = APIRouter(tags=["guide"])
    threads = anyio.CapacityLimiter(_THREADS)

    @router.post(
        "/v1/guide",
        summary="One turn of a conversation",
        description="Reads the words or the clicked choice into the state of the need, finds what fits, says why, and asks at "
        "most one question. What was relaxed is in `changes`.",
        operation_id="guide",
        responses=problem_docs(400, 403, 404, 429),
    )
    async def guide(turn: Annotated[GuideTurn, Body(openapi_examples=_EXAMPLES)]) -> GuideTurnReply:
        state = turn.state
        if turn.keep and not keeps:
            raise HTTPException(400, "Several processes serve, and none keeps conversations for the others. Send `state` instead.")
        if turn.session:
            known = sessions.get(turn.session)
            if known is None:
                raise HTTPException(404, "This conversation is not kept here, or no longer. Begin a new one without `session`.")
            state = known
        turn = identity.admit(turn)
        asked = GuideRequest(text=turn.text, choice=turn.choice, state=state, language=turn.language, **turn.shopper)
        with engines.lease() as engine:
            reply = await anyio.to_thread.run_sync(engine.guide, asked, limiter=threads)
        metrics.turn(reply.read_by)
        metrics.claims("shown", len(reply.claims))
        owner = owner_of(turn.user_id, turn.client_id or turn.session_id)
        key = sessions.put(reply.state, turn.session, owner) if turn.session or turn.keep else ""
        return GuideTurnReply(**dict(reply), session=key)

    @router.delete(
        "/v1/guide/{session}",
        summary="Forget a conversation",
        operation_id="forget",
        status_code=204,
        responses=problem_docs(404),
    )
    async def forget(session: str) -> Response:
        if not sessions.erase(session):
            raise HTTPException(404, "This conversation is not kept here, or no longer.")
        return Response(status_code=204)

    @router.post(
        "/v1/compare",
        summary="Compare products",
        description="What differs between two to ten products, cell by cell from their records, and what speaks for each.",
        operation_id="compare",
        responses=problem_docs(400, 404, 429),
    )
    async def compare(wanted: Annotated[ExplainRequest, Body(openapi_examples=_COMPARED)]) -> Comparison:
        if len(set(wanted.ids)) < 2:
            raise HTTPException(400, "A comparison needs two different products. Name at least two `ids`.")
        with engines.lease() as engine:
            return await anyio.to_thread.run_sync(engine.compare, wanted, limiter=threads)

    @router.get(
        "/v1/capabilities",
        summary="What can be asked for",
        description="The fields that filters may name, those that most products have first, with their commonest values, ranges "
        "and units.",
        operation_id="capabilities",
        responses=problem_docs(429, 503),
    )
    async def capabilities() -> Capabilities:
        with engines.lease() as engine:
            return await anyio.to_thread.run_sync(engine.capabilities, limiter=threads)

    return router
