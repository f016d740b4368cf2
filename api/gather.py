"""Searches that arrive together are answered together.

Encoding queries in one batch costs half of encoding them one by one, so what reached the server while it was busy is
given to the engine as one batch. Nobody waits for company: a lone search starts as soon as it is understood. Answers
leave one by one as they are found. Lives on the event loop, without a thread or a lock. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio

from api.reload import Engines
from engine.schema import Answer, SearchRequest

__all__ = ["Gatherer"]

MOST = 16
"""Searches of one batch; more gains nothing and makes the first wait."""


class Gatherer:
    """Gathers searches for the engine that serves."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._waiting: list[tuple[SearchRequest, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def search(self, request: SearchRequest) -> Answer:
        """Return the engine's answer.

        Raises:
            NotReadyError: no snapshot has been opened yet.
            FilterError: ``filter_by``, ``sort_by`` or ``facet_by`` is wrong.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="searches")
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._answer([(request, future) for request, future in batch if not future.done()])
        finally:
            self._task = None

    async def _answer(self, batch: list[tuple[SearchRequest, asyncio.Future[Answer]]]) -> None:
        """Answer a batch from one engine, which stays open meanwhile. A caller that has gone gets no answer."""
        try:
            with self._engines.lease() as engine:
                answers = engine.search_many([request for request, _ in batch])
                for (_, future), answer in zip(batch, answers, strict=True):
                    if isinstance(answer, Exception):
                        _fail(future, answer)
                    elif not future.done():
                        future.set_result(answer)
                    await asyncio.sleep(0)  # lets the answer leave, and others in
        except Exception as error:
            for _, future in batch:
                _fail(future, error)


def _fail(future: asyncio.Future[Answer], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
