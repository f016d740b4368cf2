"""``POST /v1/events``: what shoppers did, kept before it is acknowledged.

Takes User Behavior Insights records, queries and events, one or a list; gives how many were accepted, and why others were not.
Knows nothing of how they are kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.identity import Identity
from api.intake import Intake
from api.metrics import Metrics
from api.problems import problem_docs
from api.wire import answer
from engine.events import Event
from engine.events.ubi import read_ubi

__all__ = ["EventsResponse", "RejectedEvent", "event_routes"]

_OFF = "This service takes no events: the setting `events` is off."
_EXAMPLES = {
    "click": Example(
        summary="A click on the second hit of a search",
        value={
            "action_name": "click",
            "timestamp": "2026-11-27T10:00:00Z",
            "query_id": "6f1c0d0e2b7f4c0f8f0f3f0b9a1d2c3e",
            "client_id": "0b8e6d0c-7a57-4d0e-9d0e-1d1f5c1b2a3c",
            "event_attributes": {"object": {"object_id": "JKT-1042"}, "position": {"ordinal": 2}},
        },
    ),
    "several": Example(
        summary="A purchase and whether the guide helped",
        value=[
            {
                "action_name": "purchase",
                "event_id": "order 1042 line 1",
                "client_id": "0b8e6d0c-7a57-4d0e-9d0e-1d1f5c1b2a3c",
                "event_attributes": {"object": {"object_id": "JKT-1042"}, "quantity": 1, "price": 79.0, "currency": "USD"},
            },
            {"action_name": "thumbs_up", "query_id": "6f1c0d0e2b7f4c0f8f0f3f0b9a1d2c3e"},
        ],
    ),
}


class RejectedEvent(BaseModel):
    """A record that was not kept."""

    index: int = Field(description="Its place in what was sent, from 0.")
    reason: str


class EventsResponse(BaseModel):
    """What became of records: ``accepted`` are on the disk, now or from an earlier delivery."""

    accepted: int
    rejected: list[RejectedEvent] = []


def event_routes(intake: Intake | None, identity: Identity, metrics: Metrics) -> APIRouter:
    """Return the route of events; without an ``intake`` it answers 404."""
    router = APIRouter(tags=["events"])

    @router.post(
        "/v1/events",
        summary="Keep what shoppers did",
        description="User Behavior Insights 1.3 records: `ubi_queries` (with `user_query`) and `ubi_events` (with `action_name`), "
        "one or a list. An accepted record is on the disk when this answers; one that comes again (same `event_id` or content) "
        "is kept once. A record without `timestamp` is of now. Ids of people and searches are kept as keyed hashes, words masked; "
        "people who did not consent are nobody.",
        operation_id="events",
        response_model=EventsResponse,
        responses=problem_docs(400, 404, 429, 503),
    )
    async def events(records: Annotated[list[dict[str, Any]] | dict[str, Any], Body(openapi_examples=_EXAMPLES)]) -> Response:
        if intake is None:
            raise HTTPException(404, _OFF)
        given = records if isinstance(records, list) else [records]
        if not given:
            raise HTTPException(400, "There is no record in this list. Send at least one.")
        found: list[tuple[int, Event]] = []
        rejected: list[RejectedEvent] = []
        now = int(1000 * time.time())
        for index, record in enumerate(given):
            event = _read(record, now, identity)
            if isinstance(event, str):
                rejected.append(RejectedEvent(index=index, reason=event))
            else:
                found.append((index, event))
        reasons = await intake.add([event for _, event in found]) if found else []
        rejected += [RejectedEvent(index=i, reason=why) for (i, _), why in zip(found, reasons, strict=True) if why]
        kept = len(given) - len(rejected)
        metrics.events("accepted", kept)
        metrics.events("rejected", len(rejected))
        if not kept:
            raise HTTPException(400, f"No record could be kept. The first: {min(rejected, key=lambda r: r.index).reason}.")
        return answer(EventsResponse(accepted=kept, rejected=sorted(rejected, key=lambda r: r.index)))

    return router


def _read(record: Mapping[str, Any], now_ms: int, identity: Identity) -> Event | str:
    try:
        event = read_ubi(record)
    except (ValueError, TypeError, OverflowError, AttributeError):
        return "a record that cannot be read"
    if isinstance(event, str):
        return event
    if refusal := identity.refusal(event.user_id, str(record.get("user_token") or "")):
        return refusal
    event = identity.known(event)
    return event if record.get("timestamp") not in (None, "") else replace(event, time_ms=now_ms)
