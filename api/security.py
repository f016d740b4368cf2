"""What guards the service: response headers for browsers, size limits, and requests a client may make.

Pure ASGI, because a middleware that runs the rest of the application in a task of its own costs more than a search
route. :class:`HeadersMiddleware` is outermost, :class:`GuardMiddleware` innermost; neither looks at what is asked.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.draining import leaving
from api.keys import Caller, Keys
from api.problems import problem_response
from engine.errors import SettingsError
from engine.settings import ApiKey

__all__ = ["CONTENT_SECURITY_POLICY", "MAX_HEAD_BYTES", "GuardMiddleware", "HeadersMiddleware", "RateLimit", "Rates"]

MAX_HEAD_BYTES = 32_768
"""Largest request line and headers together."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' https: data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""No inline script or style, nothing from elsewhere but product pictures, and no framing."""

_HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]

_LAST = [(b"connection", b"close")]

_SEARCH = "/v1/search"
_BUSY = "As many searches wait as may. Repeat the request in a moment."


class HeadersMiddleware:
    """Adds the security headers to every response, so that no route can forget them; a process that leaves ends its connections."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def add_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS, *(_LAST if leaving() else ())]
            await send(message)

        await self.app(scope, receive, add_headers)


class RateLimit:
    """How many requests of ``/v1`` one client may make, in a sliding window. Each worker process counts for itself."""

    def __init__(self, limit: str) -> None:
        try:
            self._item: RateLimitItem = parse(limit)
        except ValueError:
            raise SettingsError(
                f"rate_limit: {limit!r} is no rate. Write a number and a time, like `100/second` or `2000/minute`."
            ) from None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def wait_s(self, client: str, name: str = "") -> int:
        """Count one request of ``client``, or of the key of this ``name``, and return 0, or how many seconds it has to wait."""
        key = f"key {name}" if name else _network(client)
        if self._limiter.hit(self._item, key):
            return 0
        reset: float = self._limiter.get_window_stats(self._item, key).reset_time
        return max(1, math.ceil(reset - time.time()))

    def __str__(self) -> str:
        return str(self._item)


class Rates:
    """The rate of everybody, and those of keys that have their own.

    Raises:
        SettingsError: one of them is no rate.
    """

    def __init__(self, everybody: str, keys: Mapping[str, ApiKey]) -> None:
        self._everybody = RateLimit(everybody) if everybody else None
        self._own = {name: RateLimit(key.rate_limit) for name, key in keys.items() if key.rate_limit}

    def of(self, caller: Caller | None) -> RateLimit | None:
        """Return the rate of whoever asks, ``None`` where there is none."""
        return self._own.get(caller.name, self._everybody) if caller else self._everybody

    def refusal(self, scope: Scope, caller: Caller | None) -> Response | None:
        """Count a request, and return why it comes too soon, ``None`` where it does not."""
        rate = self.of(caller)
        wait_s = rate.wait_s(scope["client"][0] if scope.get("client") else "", caller.name if caller else "") if rate else 0
        if not wait_s:
            return None
        detail = f"This client may make {rate}. Wait {wait_s} s and repeat the request."
        return problem_response(429, "Too many requests", detail, {"retry-after": str(wait_s)})


class GuardMiddleware:
    """Refuses what is too large, who may not ask and who asks too often, before any route sees it.

    Whoever has a key is counted by it, at its own rate where it has one; everybody else, those whose key is wrong too, by
    address.
    """

    def __init__(
        self, app: ASGIApp, max_body_bytes: int, keys: Keys, rates: Rates, busy: Callable[[], bool] = lambda: False
    ) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.keys, self.rates, self._busy = keys, rates, busy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refuse(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if scope["method"] == "GET":
            await self.app(scope, receive, send)
            return
        size = 0

        async def measured() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_body_bytes:
                raise HTTPException(413, self._too_large(), {"connection": "close"})
            return message

        await self.app(scope, measured, send)

    def _refuse(self, scope: Scope) -> Response | None:
        head, declared = len(scope["query_string"]) + len(scope.get("raw_path") or b""), 0
        for name, value in scope["headers"]:
            head += len(name) + len(value) + 4
            if name == b"content-length" and value.isdigit():
                declared = int(value[:18])
        if head > MAX_HEAD_BYTES:
            detail = f"Address and headers take {head} bytes; at most {MAX_HEAD_BYTES} are read."
            return problem_response(431, "Request header fields too large", detail)
        if declared > self.max_body_bytes:
            return problem_response(413, "Content too large", self._too_large(), {"connection": "close"})
        caller = self.keys.caller(scope["headers"])
        if scope["path"].startswith("/v1/") and (refusal := self.rates.refusal(scope, caller)):
            return refusal
        if refusal := self.keys.refusal(scope, caller):
            return refusal
        if scope["path"] == _SEARCH and self._busy():  # before anything is read: refusing has to cost next to nothing
            return problem_response(429, "Too many searches", _BUSY, {"retry-after": "1"})
        return None

    def _too_large(self) -> str:
        return f"The body of a request may have at most {self.max_body_bytes} bytes."


def _network(client: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 network an IPv6 customer is given."""
    try:
        address: Any = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
