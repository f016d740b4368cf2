"""Every error as one shape: RFC 9457 ``application/problem+json``.

In go exceptions, out go responses with ``type``, ``title``, ``status`` and ``detail``; validation adds ``errors``, a
bad filter adds ``position``, an unexpected failure adds ``instance``, the id its log entry carries. Details of failures
that are not the caller's (status 500 and above) stay in the log, and what the caller typed stays out of it: an entry
has the type of the exception and its frames, never its message.

Knows nothing of engines or of routes.
"""

from __future__ import annotations

import logging
import re
import traceback
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from engine.errors import DaogouError, FilterError

__all__ = ["PROBLEM_JSON", "Problem", "install_problems", "problem_docs", "problem_response", "unexpected_problem"]

PROBLEM_JSON = "application/problem+json"
"""The media type of every error."""

_log = logging.getLogger("daogou.errors")

_DOCS = {
    400: ("Bad request", "`page` has to be at least 1."),
    401: ("Key needed", "This needs a key that the shop has given out. Send it as `Authorization: Bearer KEY`."),
    403: ("Forbidden", "The `user_token` does not prove this `user_id`. Send its HMAC-SHA256 under `identity_secret`, in hex."),
    404: ("Not found", "There is no product `A-1` in this snapshot."),
    429: ("Too many requests", "This client may make 100 per 1 second. Wait 1 s and repeat the request."),
    503: ("Snapshot unavailable", "No snapshot is served yet. Publish one with `daogou index FEED`."),
}


class ProblemField(BaseModel):
    """One part of a request that cannot be used."""

    loc: list[str | int] = Field(description="Where it is, from the outside in.", examples=[["query", "page"]])
    msg: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="Stable name of the kind of problem.", examples=["urn:daogou:problem:bad-filter"])
    title: str = Field(description="The kind of problem in words.", examples=["Bad filter"])
    status: int = Field(description="The HTTP status.", examples=[400])
    detail: str = Field(description="What was wrong this time, and what to do.")
    instance: str | None = Field(None, description="Id under which the server's log has more.")
    position: int | None = Field(None, description="Character offset of the mistake in `filter_by` or `sort_by`.")
    errors: list[ProblemField] | None = Field(None, description="Every part that cannot be used.")


def problem_response(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """Return one problem as a response; ``members`` are further members of its object."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    body = {"type": f"urn:daogou:problem:{slug}", "title": title, "status": status, "detail": _clean(detail), **members}
    return Response(
        orjson.dumps(body), status, {"cache-control": "no-store", **(headers or {})}, media_type=PROBLEM_JSON
    )


def unexpected_problem(error: BaseException) -> Response:
    """Log a failure nobody planned for under a new id, and return a response that says no more than that id."""
    return _failure(error, 500, "Internal error")


def install_problems(app: FastAPI) -> None:
    """Make every error of ``app`` a problem, and describe problems in its OpenAPI document."""
    app.add_exception_handler(DaogouError, _on_daogou_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        nested = schema.pop("$defs")
        document.setdefault("components", {}).setdefault("schemas", {}).update(nested, Problem=schema)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def problem_docs(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI descriptions of the problems a route answers with; all others are its ``default``."""
    ref = {"$ref": "#/components/schemas/Problem"}
    docs: dict[int | str, dict[str, Any]] = {
        "default": {"description": "Any other problem.", "content": {PROBLEM_JSON: {"schema": ref}}}
    }
    for status in statuses:
        title, detail = _DOCS[status]
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower())
        example = {"type": f"urn:daogou:problem:{slug}", "title": title, "status": status, "detail": detail}
        docs[status] = {"description": title + ".", "content": {PROBLEM_JSON: {"schema": ref, "example": example}}}
    return docs


async def _on_daogou_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DaogouError)
    if error.status >= 500 and not getattr(error, "shown", False):
        return _failure(error, error.status, error.title)
    members = {"position": error.position} if isinstance(error, FilterError) else {}
    headers = {"retry-after": "1"} if error.status in (429, 503) else None
    return problem_response(error.status, error.title, str(error), headers, **members)


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        {"loc": [part if isinstance(part, int) else _clean(part)[:100] for part in e["loc"]], "msg": _clean(e["msg"])}
        for e in error.errors()[:20]
    ]
    detail = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in found)
    return problem_response(400, "Bad request", f"The request cannot be used. {detail}.", errors=found)


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = _PLAIN.get(error.status_code, error.detail) if error.detail in (phrase, _UNREADABLE) else error.detail
    return problem_response(error.status_code, phrase.capitalize(), detail, error.headers)


_UNREADABLE = "There was an error parsing the body"  # FastAPI's words
_PLAIN = {
    400: "The body cannot be read: it has to be JSON in UTF-8, and not nested deeply.",
    404: "There is nothing at this address. /openapi.json lists what there is.",
    405: "This address does not take this method. The Allow header lists those it takes.",
}


def _failure(error: BaseException, status: int, title: str) -> Response:
    """Log type and frames of ``error``; a message could repeat what a shopper typed, so it is left out."""
    instance = uuid.uuid4().hex[:16]
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("failure id=%s type=%s\n%s", instance, type(error).__qualname__, frames)
    detail = f"The server failed to answer. Its log has the reason under {instance}."
    return problem_response(status, title, detail, instance=f"urn:daogou:failure:{instance}")


def _clean(text: object) -> str:
    """Return text that UTF-8 can hold: a JSON request may carry lone surrogates."""
    return str(text).encode("utf-8", "replace").decode("utf-8")
