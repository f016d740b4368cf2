"""What clients send over HTTP: bodies, query strings, and the state of a conversation that comes back."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from api.app import create_app
from api.problems import PROBLEM_JSON
from api.routes.guide import GuideTurn
from api.routes.users import PersonChange
from api.wire import read_query
from engine.errors import RequestError
from engine.guide import GuideReply, GuideRequest, GuideState
from engine.index.filters import parse_filter
from engine.recommend.request import RecommendRequest
from engine.schema import ExplainRequest, SearchRequest
from fuzzing.catalogue import desk, shop
from fuzzing.target import sentence
from shop import toy_settings

__all__ = ["BODIES", "REQUESTS", "read_body", "read_query_string", "read_turn", "request"]

BODIES: tuple[type[BaseModel], ...] = (SearchRequest, ExplainRequest, GuideTurn, RecommendRequest, PersonChange, GuideState)
REQUESTS = (
    ("POST", "/v1/search"), ("POST", "/v1/explain"), ("POST", "/v1/guide"), ("POST", "/v1/compare"), ("POST", "/v1/recommend"),
    ("POST", "/v1/events"), ("PUT", "/v1/users/a-client-of-sixteen"), ("GET", "/v1/search"), ("GET", "/v1/suggest"),
    ("GET", "/v1/similar/"), ("GET", "/v1/products/"), ("GET", "/v1/users/"), ("GET", "/"), ("DELETE", "/v1/"),
)  # fmt: skip
"""What the first byte of a request chooses from; of those with a body the rest is the body, of the others path and query."""


def read_body(data: bytes) -> None:
    """A body as the model that the first byte chooses: what is taken is written and read back."""
    model = BODIES[data[0] % len(BODIES)] if data else SearchRequest
    try:
        given = json.loads(data[1:])
    except (ValueError, RecursionError):
        return
    try:
        record = model.model_validate(given)
    except ValidationError as error:
        assert error.error_count() > 0
        return
    written = record.model_dump_json()
    assert model.model_validate_json(written) == record
    if isinstance(record, GuideState):
        assert len(record.query) <= 512
        assert len(record.filter_by) <= 2048


def read_query_string(data: bytes) -> None:
    """A query string as a search."""
    scope = {"type": "http", "query_string": data, "headers": [], "method": "GET", "path": "/v1/search"}
    try:
        wanted = read_query(SearchRequest, Request(scope))
    except RequestValidationError as error:
        assert error.errors()
    else:
        assert SearchRequest.model_validate_json(wanted.model_dump_json()) == wanted


def read_turn(data: bytes) -> None:
    """A turn with a state that nobody handed out: the state that comes back can be sent again."""
    try:
        turn = GuideRequest.model_validate_json(data)
    except ValidationError:
        return
    engine = shop()
    for _ in range(2):
        try:
            reply = engine.guide(turn)
        except RequestError as error:
            sentence(error)
            return
        assert GuideReply.model_validate_json(reply.model_dump_json()) == reply
        state = GuideState.model_validate_json(reply.state.model_dump_json())
        assert state.turns == min(turn.state.turns + 1, 10_000)
        assert len(state.pieces) <= 24
        assert engine.known_products([hit.document["id"] for hit in reply.hits])  or not reply.hits
        if reply.question:
            for choice in reply.question.choices:
                assert parse_filter(choice.filter) is not None
            turn = GuideRequest(choice=reply.question.choices[0], state=state)
        else:
            turn = GuideRequest(text="in black, not leather", state=state)


class _Service:
    """The whole service without a socket: one request at a time, as an ASGI server hands it over."""

    def __init__(self) -> None:
        settings = toy_settings(desk() / "service", generator="template")
        self.app: FastAPI = create_app(settings, lambda _settings, _serving: shop(), lambda _settings: shop().snapshot_id)
        self.loop = asyncio.new_event_loop()
        self.lifespan = self.app.router.lifespan_context(self.app)
        self.loop.run_until_complete(self.lifespan.__aenter__())

    def ask(self, method: str, path: bytes, query: bytes, body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        """Return status, headers and body of the answer."""
        return self.loop.run_until_complete(asyncio.wait_for(self._ask(method, path, query, body), 60))

    async def _ask(self, method: str, path: bytes, query: bytes, body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"), "raw_path": path, "query_string": query, "root_path": "",
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        sent: list[dict[str, Any]] = []
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if given:
                return given.pop()
            await asyncio.sleep(3600)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        head = sent[0]
        return head["status"], dict(head["headers"]), b"".join(m.get("body", b"") for m in sent[1:])


@cache
def _service() -> _Service:
    return _Service()


def request(data: bytes) -> None:
    """A request of the whole service: an answer, or a problem that is the caller's."""
    method, path = REQUESTS[data[0] % len(REQUESTS)] if data else REQUESTS[0]
    given, query, body = path.encode(), b"", data[1:]
    if method in ("GET", "DELETE"):
        rest, _, query = data[1:].partition(b"?")
        given, body = given + rest if path.endswith("/") else given, b""
    status, headers, content = _service().ask(method, given, query, body)
    assert status < 500 or status == 503, (status, content[:300])
    assert headers[b"x-content-type-options"] == b"nosniff"
    if status >= 400:
        assert headers[b"content-type"].split(b";")[0] == PROBLEM_JSON.encode()
        problem = json.loads(content)
        sentence(problem["detail"])
        assert problem["status"] == status
    elif headers.get(b"content-type", b"") == b"application/json":
        json.loads(content, parse_constant=_refused)


def _refused(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
