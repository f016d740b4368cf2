"""``/v1/admin``: for the shop's own engineers, with a key that bears the scope ``admin``; without one there is nothing here.

Which snapshots there are, and have a new one served at once. Publishing and going back are the command line's, since whoever
answers searches writes no snapshots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.problems import problem_docs
from api.reload import Engines
from api.wire import answer
from engine.index.snapshot import list_snapshots, read_manifest

__all__ = ["SnapshotState", "SnapshotsResponse", "admin_routes"]


class SnapshotState(BaseModel):
    """One snapshot of the store."""

    id: str
    created: str = Field(description="When it was published, UTC.")
    products: int
    delta: int = Field(description="Products that updates have brought since everything was built into one.")
    dead: int = Field(description="Products of the whole that updates have replaced or deleted.")
    model: str
    recall: float = Field(description="Share of the true ten nearest that the vector index finds.")
    bytes: int = Field(description="Size of its files; updates share most of theirs.")


class SnapshotsResponse(BaseModel):
    """What is served by this process, what the pointer names, and what there is."""

    serving: str
    current: str
    snapshots: list[SnapshotState]


def admin_routes(engines: Engines, store: Path, pointer: Callable[[], str]) -> APIRouter:
    """Return the routes for the shop's engineers."""
    router = APIRouter(prefix="/v1/admin", tags=["admin"])

    def state() -> SnapshotsResponse:
        found = []
        for name in list_snapshots(store):
            manifest = read_manifest(store / "snapshots" / name)
            found.append(
                SnapshotState(
                    id=name,
                    created=manifest.created,
                    products=manifest.products,
                    delta=manifest.delta,
                    dead=manifest.dead,
                    model=manifest.model,
                    recall=float(manifest.report.get("recall", 1.0)),
                    bytes=sum(int(file["bytes"]) for file in manifest.files.values()),
                )
            )
        with engines.lease() as engine:
            return SnapshotsResponse(serving=engine.snapshot_id, current=pointer(), snapshots=found)

    @router.get(
        "/snapshots",
        summary="Which snapshots there are, and which one serves",
        operation_id="admin_snapshots",
        response_model=SnapshotsResponse,
        responses=problem_docs(401, 403, 503),
    )
    async def snapshots() -> Response:
        return answer(await asyncio.to_thread(state))

    @router.post(
        "/reload",
        summary="Serve what was published last, at once",
        operation_id="admin_reload",
        response_model=SnapshotsResponse,
        responses=problem_docs(401, 403, 503),
    )
    async def reload() -> Response:
        await engines.reload()
        return answer(await asyncio.to_thread(state))

    return router
