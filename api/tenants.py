"""Several shops in one service, none of which can see another.

Each has an application of its own over a store of its own: engine, event log, conversations, caches and metrics are all its own,
and the only thing that leads to them is one of its keys. What is here hands a request to the shop whose key it bears. Knows
nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.draining import leaving, leaving_response
from api.keys import Keys, key_needed
from api.problems import problem_response
from api.security import HeadersMiddleware, Rates
from engine.errors import SettingsError
from engine.settings import Settings

__all__ = ["Tenants", "settings_of_tenants"]

_ALIVE = b'{"status":"ok"}'
_READY = b'{"status":"ready","shops":%d}'


def settings_of_tenants(settings: Settings) -> dict[str, Settings]:
    """Return the settings of each tenant: its store and its keys, and everything else as it is.

    Raises:
        SettingsError: a key is of no tenant, a tenant has no key, two share a store, or there are several workers.
    """
    if settings.workers > 1:
        raise SettingsError("tenants: several workers would count their metrics together. Set `workers` to 1.")
    if len({path.absolute() for path in settings.tenants.values()}) < len(settings.tenants):
        raise SettingsError("tenants: two of them have one store. Give each a folder of its own.")
    strays = [name for name, key in settings.api_keys.items() if key.tenant not in settings.tenants]
    if strays:
        raise SettingsError(f"api_keys: {strays[0]!r} is of no tenant. Give it `tenant`, one of {', '.join(settings.tenants)}.")
    out = {}
    for tenant, store in settings.tenants.items():
        keys = {name: key for name, key in settings.api_keys.items() if key.tenant == tenant}
        if not keys:
            raise SettingsError(f"tenants: {tenant!r} has no key, so nobody could reach it. Add one to `api_keys`.")
        out[tenant] = settings.model_copy(update={"store": store, "api_keys": keys, "tenants": {tenant: store}})
    return out


class Tenants:
    """An ASGI application that is one of several for each request."""

    def __init__(self, settings: Settings, apps: Mapping[str, FastAPI]) -> None:
        self._apps = apps
        self._keys = Keys(settings.api_keys)
        self._tenant_of = {name: key.tenant for name, key in settings.api_keys.items()}
        self._rates = Rates(settings.rate_limit, {})
        self._shared: ASGIApp = HeadersMiddleware(self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on to the tenant whose key it bears."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        caller = self._keys.caller(scope["headers"]) if scope["type"] == "http" else None
        app = self._apps[self._tenant_of[caller.name]] if caller else self._shared
        await app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that bears no key."""
        if scope["type"] == "http":
            await self._without_key(scope)(scope, receive, send)

    def _without_key(self, scope: Scope) -> Response:
        if scope["path"] == "/healthz":
            return Response(_ALIVE, media_type="application/json")
        if scope["path"] == "/readyz":
            return self._readiness()
        return self._rates.refusal(scope, None) or key_needed()

    def _readiness(self) -> Response:
        """Say whether every shop answers, and not which there are."""
        if leaving():
            return leaving_response()
        waiting = sum(not app.state.engines.ready for app in self._apps.values())
        if waiting:
            detail = f"{waiting} of {len(self._apps)} shops have no snapshot yet."
            return problem_response(503, "Snapshot unavailable", detail, {"retry-after": "1"})
        return Response(_READY % len(self._apps), media_type="application/json")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Start every tenant's application, and stop it in the end."""
        await receive()
        failed: Message = {"type": "lifespan.startup.failed"}
        async with AsyncExitStack() as running:
            try:
                for app in self._apps.values():
                    await running.enter_async_context(app.router.lifespan_context(app))
            except BaseException:
                await send(failed)
                raise
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
