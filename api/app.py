"""The HTTP service, put together: settings in, an application out.

Outside in: security headers, observation, cross-origin rules where there are any, limits, routes. The engine is opened
when the application starts and replaced while it runs (``api.reload``); without a snapshot ``/v1`` answers 503 until
there is one. Imports ``engine`` only, nothing that writes snapshots or measures them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from api.erasures import forget_words, watch_erasures
from api.gather import Gatherer
from api.identity import Identity
from api.intake import Intake
from api.keys import Keys
from api.metrics import Metrics, ObserveMiddleware
from api.problems import install_problems
from api.published import open_published, published_id, served_store
from api.reload import Engines, NotReadyError
from api.routes.admin import admin_routes
from api.routes.events import event_routes
from api.routes.explain import explain_routes
from api.routes.guide import guide_routes
from api.routes.health import health_routes
from api.routes.page import page_routes, static_files
from api.routes.product import product_routes
from api.routes.recommend import recommend_routes
from api.routes.search import search_routes
from api.routes.similar import similar_routes
from api.routes.suggest import suggest_routes
from api.routes.users import user_routes
from api.security import GuardMiddleware, HeadersMiddleware, Rates
from api.sessions import Sessions, owner_of
from api.tenants import Tenants, settings_of_tenants
from api.tracing import TraceMiddleware, Tracing
from engine.engine import Engine
from engine.errors import DaogouError
from engine.events import EventLog
from engine.experiment import Experiment, Experimenting, checked_changes, read_experiment
from engine.settings import Settings

__all__ = ["create_app", "create_service"]

_DESCRIPTION = """An AI shopping guide a shop can run itself: hybrid search in English and Chinese, one match set for
hits, totals, facets and pages, and explanations that were checked against the catalogue.

Every error is an RFC 9457 problem (`application/problem+json`)."""


EngineFactory = Callable[[Settings, Engine | None], Engine]


def create_app(
    settings: Settings,
    engine_factory: EngineFactory = open_published,
    pointer: Callable[[Settings], str] = published_id,
) -> FastAPI:
    """Return the service as an ASGI application.

    ``engine_factory`` opens the snapshot that ``pointer`` names, given the engine that serves; both are there to be replaced in
    tests.

    Raises:
        SettingsError: the rate limit is not one, or the experiment cannot be tried.
    """
    metrics = Metrics()
    experiment = read_experiment(Path(settings.experiment)) if settings.experiment else None
    for changes in experiment.variants.values() if experiment else ():
        checked_changes(settings, changes)
    engines = Engines(
        lambda serving: _trying(_watched(engine_factory(settings, serving), metrics, gatherer), experiment),
        lambda: pointer(settings),
        settings.reload_interval_s,
        metrics.reload_failure,
    )

    gatherer = Gatherer(engines, settings.search_queue, settings.search_deadline_s)
    tracing = Tracing(settings.otel_endpoint) if settings.otel_endpoint else None
    if tracing:
        gatherer.on_stages = tracing.stages
    identity, sessions = Identity(settings), Sessions()
    rights = Intake(lambda: EventLog.open(settings), _catalogue(engines), lambda: EventLog.exists(settings))
    intake = rights if settings.events else None

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await engines.start()
        if intake and EventLog.exists(settings):
            with suppress(DaogouError):  # searches are answered without it, and whoever sends an event is told
                await asyncio.to_thread(intake.open)
        tasks = [asyncio.create_task(watch_erasures(settings, engines, sessions), name="erasures")]
        tasks += [asyncio.create_task(intake.upkeep(settings.query_days), name="upkeep")] if intake else []
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await rights.close()
            await engines.stop()
            if tracing:
                await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title="daogou",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in (
        search_routes(gatherer, metrics, identity, intake),
        suggest_routes(engines),
        similar_routes(engines),
        product_routes(engines),
        recommend_routes(engines, identity),
        explain_routes(engines, metrics),
        event_routes(intake, identity, metrics),
        user_routes(rights, identity, _forgetting(engines, sessions), takes=settings.events),
        guide_routes(engines, metrics, identity, sessions, keeps=settings.workers == 1),
        admin_routes(engines, served_store(settings), lambda: pointer(settings)),
        health_routes(engines, metrics),
        page_routes(),
    ):
        app.include_router(router)
    app.mount("/static", static_files(), name="static")
    app.state.engines = engines
    install_problems(app)
    _add_middleware(app, settings, metrics, gatherer)
    if tracing:
        app.add_middleware(TraceMiddleware, tracing=tracing)
    return app


def create_service(settings: Settings) -> FastAPI | Tenants:
    """Return the application of one shop, or one for all tenants.

    Raises:
        SettingsError: as :func:`create_app` does, or the tenants cannot be served as they are set.
    """
    if not settings.tenants:
        return create_app(settings)
    return Tenants(settings, {name: create_app(own) for name, own in settings_of_tenants(settings).items()})


def _refusing(gatherer: Gatherer, metrics: Metrics) -> bool:
    """Return whether no other search may wait, and count it."""
    if gatherer.busy:
        metrics.busy()
    return gatherer.busy


def _watched(engine: Engine, metrics: Metrics, gatherer: Gatherer) -> Engine:
    """Have the stages of an engine's searches counted, and traced where there are traces."""

    def both(stage: str, seconds: float) -> None:
        metrics.stage(stage, seconds)
        gatherer.stage(stage, seconds)

    engine.on_stage = both if gatherer.on_stages else metrics.stage
    return engine


def _trying(engine: Engine, experiment: Experiment | None) -> Engine:
    """Return an engine that takes part in an experiment, if there is one."""
    return cast(Engine, Experimenting(engine, experiment)) if experiment else engine


def _catalogue(engines: Engines) -> Callable[[str], bool]:
    """Return what tells the ids of products that the snapshot that serves has."""

    def known(product_id: str) -> bool:
        try:
            with engines.lease() as engine:
                return engine.has_product(product_id)
        except NotReadyError:
            return False

    return known


def _forgetting(engines: Engines, sessions: Sessions) -> Callable[[str, str], None]:
    """Return what lets go of what this process remembers of somebody in memory."""

    def forget(user_id: str, client_id: str) -> None:
        for owner in (owner_of(user_id, ""), owner_of("", client_id)):
            sessions.erase_of(owner)
        forget_words(engines)

    return forget


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics, gatherer: Gatherer) -> None:
    """Wrap the routes, innermost first."""
    app.add_middleware(
        GuardMiddleware,
        max_body_bytes=settings.max_body_bytes,
        keys=Keys(settings.api_keys, all_closed=bool(settings.tenants)),
        rates=Rates(settings.rate_limit, settings.api_keys),
        busy=lambda: _refusing(gatherer, metrics),
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["authorization", "content-type", "x-api-key"],
            expose_headers=["retry-after"],
        )
    app.add_middleware(ObserveMiddleware, metrics=metrics)
    app.add_middleware(HeadersMiddleware)
