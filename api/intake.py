"""Events on their way to the disk: what arrives together is written together.

A commit that is synced costs as much for one event as for hundreds, so what arrives while one is being written waits for the
next. Whoever sent an event is answered when it is on the disk. Lives on the event loop; the log is written by one thread. A
queue that grows faster than the disk is refused, not kept. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from engine.errors import DaogouError, EventLogError
from engine.events import Added, Event, EventLog, Pruned

__all__ = ["BusyError", "Intake"]

_log = logging.getLogger("daogou.events")

_MOST_WAITING = 20_000
_MOST_AT_ONCE = 2_000
_UPKEEP_S = 3600.0


Result = TypeVar("Result")


class BusyError(EventLogError):
    """More events wait than there is room for."""

    shown = True


@dataclass(slots=True)
class _Parcel:
    events: Sequence[Event]
    future: asyncio.Future[list[str]]


class Intake:
    """Takes events in for a log, which is opened, and its folder made, when there is something to keep.

    ``known_product`` says which product ids are the catalogue's at that moment, ``exists`` whether anything is kept yet.
    """

    def __init__(
        self,
        open_log: Callable[[], EventLog],
        known_product: Callable[[str], bool],
        exists: Callable[[], bool] = lambda: True,
    ) -> None:
        self._open_log = open_log
        self.exists = exists
        self._known_product = known_product
        self._log: EventLog | None = None
        self._lock = threading.Lock()
        self._waiting: list[_Parcel] = []
        self._events = 0
        self._task: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def open(self) -> EventLog:
        """Return the log, opened. From any thread.

        Raises:
            EventLogError: it cannot be opened.
        """
        with self._lock:
            if self._log is None:
                self._log = self._open_log()
            return self._log

    @property
    def log(self) -> EventLog | None:
        """The log, ``None`` while nothing was kept."""
        return self._log

    async def add(self, events: Sequence[Event]) -> list[str]:
        """Keep events; return why each was refused, empty for those that are on the disk.

        Raises:
            BusyError: too many wait.
            EventLogError: the disk takes none.
        """
        return await self._put(events)

    def note(self, events: Sequence[Event]) -> None:
        """Keep events that nobody waits for, as far as there is room."""
        with contextlib.suppress(EventLogError):
            self._put(events).add_done_callback(_seen)

    async def upkeep(self, query_days: int) -> None:
        """Let go, now and every hour, of what has had its time."""
        while True:
            try:
                gone = await self._run(lambda: self._prune(query_days))
                if gone and (gone.events or gone.queries):
                    _log.info("pruned events=%d queries=%d", gone.events, gone.queries)
                if gone and gone.disbelieved_ms:
                    _log.warning("clock leapt to_ms=%d, nothing more is pruned for a day", gone.disbelieved_ms)
            except Exception as error:
                _log.error("pruning failed=%s", type(error).__name__)
            await asyncio.sleep(_UPKEEP_S)

    async def close(self) -> None:
        """Write what waits, then close the log."""
        while self._task is not None:
            await asyncio.wait([self._task])
        if self._thread is not None:
            self._thread.shutdown()
        if self._log is not None:
            self._log.close()
        self._thread = self._log = None

    def _run(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        """Have the one thread that writes do something."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _prune(self, query_days: int) -> Pruned | None:
        return self._log.prune(query_days) if self._log is not None else None

    def _keep(self, events: Sequence[Event]) -> Added:
        return self.open().add(events, self._known_product)

    def _put(self, events: Sequence[Event]) -> asyncio.Future[list[str]]:
        if self._events + len(events) > _MOST_WAITING:
            raise BusyError("More events arrive than the disk takes. Send them again in a few seconds.")
        future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Parcel(events, future))
        self._events += len(events)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="events")
        return future

    async def _work(self) -> None:
        try:
            while self._waiting:
                parcels, count = [], 0
                while self._waiting and count < _MOST_AT_ONCE:
                    parcels.append(self._waiting.pop(0))
                    count += len(parcels[-1].events)
                await self._write(parcels)
                self._events -= count
        finally:
            self._task = None

    async def _write(self, parcels: Sequence[_Parcel]) -> None:
        events = [event for parcel in parcels for event in parcel.events]
        try:
            done = await self._run(lambda: self._keep(events))
        except Exception as error:
            _log.error("events=%d lost=%s", len(events), type(error).__name__)
            failed = error if isinstance(error, DaogouError) else EventLogError("The events could not be written. Send them again.")
            for parcel in parcels:
                if not parcel.future.done():
                    parcel.future.set_exception(failed)
            return
        refused, place = dict(done.refused), 0
        for parcel in parcels:
            reasons = [refused.get(n, "") for n in range(place, place + len(parcel.events))]
            place += len(parcel.events)
            if not parcel.future.done():
                parcel.future.set_result(reasons)


def _seen(future: asyncio.Future[list[str]]) -> None:
    """Look at what became of events nobody waits for, so that a failure, which was logged, is not reported again."""
    if not future.cancelled():
        future.exception()
