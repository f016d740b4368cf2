"""Searches that arrive together are answered together.

Encoding queries in one batch costs half of encoding them one by one, so what reached the server while it was busy is
given to the engine as one batch. Nobody waits for company: a lone search starts as soon as it is understood. Answers
leave one by one as they are found. Only so many wait, and none longer than it may: who would, is told so at once, since work on
what nobody waits for any more is taken from the others. Lives on the event loop, without a thread or a lock. Knows nothing of
HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from api.reload import Engines
from engine.errors import DaogouError
from engine.schema import Answer, SearchRequest

__all__ = ["BusyError", "Gatherer"]

_Stage = tuple[str, int, int]
_Waiting = tuple[SearchRequest, asyncio.Future[Answer], float, list[_Stage]]
"""A search, where its answer goes, until when it may wait, and where it is written down how long its stages took."""

_TOGETHER = frozenset({"understand", "encode", "nearest"})
"""Stages that a batch goes through as one."""

MOST = 16
"""Searches of one batch; more gains nothing and makes the first wait."""


class BusyError(DaogouError):
    """More is asked than can be answered in time."""

    status = 429
    title = "Too many searches"


class Gatherer:
    """Gathers searches for the engine that serves: ``most`` wait, each for at most ``deadline_s`` seconds."""

    def __init__(
        self, engines: Engines, most: int = 256, deadline_s: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engines, self._most, self._deadline_s, self._clock = engines, most, deadline_s, clock
        self.on_stages: Callable[[list[_Stage]], None] | None = None
        """Is told the stages of each search that was answered, in the context of whoever asked."""
        self._stages: list[_Stage] = []
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether no other search may wait."""
        return len(self._waiting) >= self._most

    async def search(self, request: SearchRequest) -> Answer:
        """Return the engine's answer.

        Raises:
            NotReadyError: no snapshot has been opened yet.
            FilterError: ``filter_by``, ``sort_by`` or ``facet_by`` is wrong.
            BusyError: too many wait already, or it has waited too long.
        """
        if self.busy:
            raise BusyError(f"{self._most} searches wait already. Repeat the request in a moment.")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        stages: list[_Stage] = []
        self._waiting.append((request, future, self._clock() + self._deadline_s, stages))
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="searches")
        answer = await future
        if self.on_stages:
            self.on_stages(stages)
        return answer

    def stage(self, name: str, seconds: float) -> None:
        """Take in that a stage of what is being answered has ended."""
        ended = time.time_ns()
        self._stages.append((name, ended - int(1e9 * seconds), ended))

    async def _work(self) -> None:
        try:
            while self._waiting:
                if batch := self._batch():
                    await self._answer(batch)
        finally:
            self._task = None

    def _batch(self) -> list[_Waiting]:
        """Take the next searches, without those whose caller has gone or who have waited too long."""
        now = self._clock()
        taken = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        for _, future, until, _ in taken:
            if now > until:
                _fail(future, BusyError(f"The search has waited for {self._deadline_s:g} s. Repeat the request in a moment."))
        return [waiting for waiting in taken if not waiting[1].done()]

    async def _answer(self, batch: list[_Waiting]) -> None:
        """Answer a batch from one engine, which stays open meanwhile. A caller that has gone gets no answer."""
        try:
            with self._engines.lease() as engine:
                answers = engine.search_many([request for request, *_ in batch])
                together: list[_Stage] = []
                self._stages = []
                for (_, future, _, stages), answer in zip(batch, answers, strict=True):
                    together += [stage for stage in self._stages if stage[0] in _TOGETHER]
                    stages += together + [stage for stage in self._stages if stage[0] not in _TOGETHER]
                    self._stages = []
                    if isinstance(answer, Exception):
                        _fail(future, answer)
                    elif not future.done():
                        future.set_result(answer)
                    await asyncio.sleep(0)  # lets the answer leave, and others in
        except Exception as error:
            for _, future, *_ in batch:
                _fail(future, error)


def _fail(future: asyncio.Future[Answer], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
