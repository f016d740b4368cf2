"""``POST /v1/explain``: why these products, as server-sent events.

Events: ``hits`` (the snapshot and the ids, in the order given), then ``claim`` for each checked sentence, then ``done``
with what was checked and dropped, or ``error`` with a problem. An unknown id is a plain 404 before any event.

The engine's iterator may wait for a generator, so it is advanced in threads set aside for it. A stream that is over,
also because its client left, closes the iterator and gives its place and its engine back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import anyio.to_thread
import orjson
from fastapi import APIRouter, Body, Depends
from fastapi.openapi.models import Example
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException

from api.metrics import Metrics
from api.problems import problem_docs, unexpected_problem
from api.reload import Engines
from engine.explain import Done
from engine.schema import Claim, ExplainRequest

__all__ = ["MAX_STREAMS", "explain_routes"]

MAX_STREAMS = 16
"""Explanations written at a time by one process."""

_EXAMPLES = {
    "english": Example(
        summary="English", value={"q": "waterproof hiking jacket under $80", "ids": ["JKT-1042", "JKT-1043"]}
    ),
    "chinese": Example(summary="中文", value={"q": "防水登山外套 500元以内", "ids": ["JKT-2001"], "language": "zh"}),
}
_STREAM = """event: hits
data: {"snapshot":"20260101T000000-1f2e","ids":["JKT-1042"]}

event: claim
data: {"product_id":"JKT-1042","text":"Waterproof: 10000 mm.","kind":"fact",\
"citations":[{"field":"waterproof","value":"10000 mm"}],"generator":"template","snapshot":"20260101T000000-1f2e"}

event: done
data: {"generator":"template","checked":1,"dropped":0,"replaced":0,"reasons":{},"degraded":"","opinions":0}

"""


@dataclass(frozen=True, slots=True)
class _Explanation:
    """An explanation that has begun: which products, of which snapshot, and what is said of them."""

    snapshot: str
    ids: list[str]
    items: Iterator[Claim | Done]
    threads: anyio.CapacityLimiter

    async def next(self) -> Claim | Done | None:
        """Return the next thing said, or ``None`` at the end."""
        return await anyio.to_thread.run_sync(next, self.items, None, limiter=self.threads)

    async def close(self) -> None:
        """Stop the generator, whatever became of the client."""
        close = getattr(self.items, "close", None)
        if close is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(close, limiter=self.threads)


def explain_routes(engines: Engines, metrics: Metrics) -> APIRouter:
    """Return the route of explanations."""
    router = APIRouter(tags=["explain"])
    threads = anyio.CapacityLimiter(MAX_STREAMS)
    running = 0

    async def begin(
        wanted: Annotated[ExplainRequest, Body(openapi_examples=_EXAMPLES)],
    ) -> AsyncIterator[_Explanation]:
        nonlocal running
        if running >= MAX_STREAMS:
            detail = f"{MAX_STREAMS} explanations are being written, which is as many as one process writes at a time."
            raise HTTPException(503, detail, {"retry-after": "1"})
        running += 1
        try:
            with engines.lease() as engine:
                items = await anyio.to_thread.run_sync(engine.explain, wanted, limiter=threads)
                explanation = _Explanation(engine.snapshot_id, wanted.ids, items, threads)
                try:
                    yield explanation
                finally:
                    await explanation.close()
        finally:
            running -= 1

    @router.post(
        "/v1/explain",
        summary="Explain hits",
        description="Why these products answer this query: sentences that were checked against the catalogue before "
        "they are sent, each with the fields it rests on. A stream of the events `hits`, `claim` …, and `done` or "
        "`error`.",
        operation_id="explain",
        response_class=EventSourceResponse,
        responses={
            **problem_docs(400, 404, 429, 503),
            200: {"description": "The stream.", "content": {"text/event-stream": {"example": _STREAM}}},
        },
    )
    async def explain(explanation: _Explanation = Depends(begin)) -> AsyncIterator[ServerSentEvent]:
        yield _event("hits", {"snapshot": explanation.snapshot, "ids": explanation.ids})
        try:
            while (item := await explanation.next()) is not None:
                _count(item, metrics)
                yield _event("claim" if isinstance(item, Claim) else "done", item)
        except Exception as error:
            yield ServerSentEvent(event="error", raw_data=bytes(unexpected_problem(error).body).decode())

    return router


def _event(name: str, value: Any) -> ServerSentEvent:
    return ServerSentEvent(event=name, raw_data=orjson.dumps(value, default=_plain).decode())


def _plain(value: Any) -> Any:
    """Return what orjson does not know as something it does."""
    if isinstance(value, Claim):
        return value.model_dump()
    return dict(value) if hasattr(value, "keys") else list(value)


def _count(item: Claim | Done, metrics: Metrics) -> None:
    if isinstance(item, Claim):
        metrics.claims("shown")
        return
    metrics.claims("dropped", item.dropped)
    metrics.claims("replaced", item.replaced)
    metrics.claims("opinion", item.opinions)
    if item.degraded:
        metrics.degraded()
