"""``/`` and ``/static/…``: the search page, served from the folder ``api/web`` as it is.

Browsers keep the files and ask each time whether they changed. Knows nothing of what is in them.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["WEB", "page_routes", "static_files"]

WEB = Path(__file__).parents[1] / "web"
"""The folder of the page."""

_REVALIDATE = {"cache-control": "no-cache"}


def page_routes() -> APIRouter:
    """Return the route of the page."""
    router = APIRouter()

    @router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page() -> Response:
        return FileResponse(WEB / "index.html", headers=_REVALIDATE, media_type="text/html; charset=utf-8")

    return router


def static_files() -> StaticFiles:
    """Return the application that serves the page's other files."""
    return _Revalidated(directory=WEB)


class _Revalidated(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_REVALIDATE)
        return response
