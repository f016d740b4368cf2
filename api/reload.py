"""The engine that serves, replaced while it serves.

:class:`Engines` polls the store's ``CURRENT`` pointer, opens a newly published snapshot in a thread, and swaps one
reference. Requests hold a lease; an engine that was replaced is closed once its last lease ended, by the poller and
never inside a request. What fails to open is logged once per snapshot, counted, and tried again after a growing pause;
the old engine keeps serving.

Knows nothing of HTTP, and of an engine only how to open it, what it is called and how to close it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from engine.errors import DaogouError, SnapshotError

if TYPE_CHECKING:
    from engine.engine import Engine

__all__ = ["Engines", "Lease", "NotReadyError"]

_log = logging.getLogger("daogou.reload")

_NONE = "No snapshot is served yet. Publish one with `daogou index FEED`; it is picked up by itself."
_UNREADABLE = (
    "No snapshot is served yet, because the one that is published cannot be opened. The server's log says why; "
    "`daogou rollback` or `daogou index FEED` publishes another."
)

LONGEST_PAUSE_S = 60.0
"""Longest pause between two attempts to open a snapshot that does not open."""


class NotReadyError(SnapshotError):
    """No snapshot has been opened yet, so nothing can be answered."""

    shown = True


class Lease:
    """One engine and how many use it. Entering counts a user, leaving ends it: ``with engines.lease() as engine``."""

    __slots__ = ("_lock", "engine", "users")

    def __init__(self, engine: Engine, lock: threading.Lock) -> None:
        self.engine = engine
        self.users = 0
        self._lock = lock

    def __enter__(self) -> Engine:
        return self.engine

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._lock:
            self.users -= 1


class Engines:
    """Opens, lends, replaces and closes engines. :meth:`lease` is safe from any thread.

    ``open_engine`` opens what the pointer names, and is given the engine that serves, whose files it may share; ``current``
    reads the pointer (``""`` when there is none);
    ``on_failure`` is told of every attempt that failed.
    """

    def __init__(
        self,
        open_engine: Callable[[Engine | None], Engine],
        current: Callable[[], str],
        interval_s: float,
        on_failure: Callable[[], None],
    ) -> None:
        self._open_engine = open_engine
        self._current = current
        self._interval_s = interval_s
        self._on_failure = on_failure
        self._lock, self._refreshing = threading.Lock(), threading.Lock()
        self._serving: Lease | None = None
        self._replaced: list[Lease] = []
        self._failed = ""
        self._failures = 0
        self._retry_at = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether a snapshot serves."""
        return self._serving is not None

    def lease(self) -> Lease:
        """Return a lease on the engine that serves now; it has to be entered, with ``with``.

        Raises:
            NotReadyError: no snapshot has been opened yet.
        """
        with self._lock:
            lease = self._serving
            if lease is None:
                raise NotReadyError(_UNREADABLE if self._failed else _NONE)
            lease.users += 1
            return lease

    async def start(self) -> None:
        """Open what is published now, if anything is, and begin to poll."""
        await asyncio.to_thread(self.refresh)
        self._task = asyncio.create_task(self._poll(), name="snapshot reload")

    async def stop(self) -> None:
        """End polling and close every engine that is not in use."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self._retire, None)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            # A thread that opens an engine cannot be cancelled: shielded, so that stop() waits for it.
            refresh = asyncio.ensure_future(asyncio.to_thread(self.refresh))
            try:
                await asyncio.shield(refresh)
            except asyncio.CancelledError:
                await refresh
                raise

    async def reload(self) -> None:
        """Serve what the pointer names, now."""
        self._failed = ""  # what failed before is tried again
        await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Serve what the pointer names, and close what is no longer used. One caller at a time, others wait; never raises."""
        with self._refreshing:
            self._refresh()

    def _refresh(self) -> None:
        wanted = ""
        try:
            wanted = self._current()
            serving = self._serving.engine.snapshot_id if self._serving else ""
            if wanted and wanted != serving and (wanted != self._failed or time.monotonic() >= self._retry_at):
                self._retire(self._open_engine(self._serving.engine if self._serving else None))
                self._failed, self._failures = "", 0
        except Exception as error:
            self._note_failure(wanted or "CURRENT", error)
        self._close_unused()

    def _note_failure(self, name: str, error: Exception) -> None:
        self._failures = self._failures + 1 if name == self._failed else 1
        pause_s = min(self._interval_s * 2.0**self._failures, LONGEST_PAUSE_S)
        self._retry_at = time.monotonic() + pause_s
        self._on_failure()
        if name != self._failed:
            self._failed = name
            reason = str(error) if isinstance(error, DaogouError) else f"{type(error).__name__}: {error}"
            _log.error("snapshot not opened id=%s serving=%s reason=%s", name, self._name(), reason)

    def _retire(self, engine: Engine | None) -> None:
        """Serve ``engine`` from now on (``None``: nothing), and set aside what served before."""
        lease = Lease(engine, self._lock) if engine is not None else None
        with self._lock:
            if self._serving is not None:
                self._replaced.append(self._serving)
            self._serving = lease
        if engine is not None:
            _log.info("snapshot serves id=%s products=%d", engine.snapshot_id, engine.product_count)
        self._close_unused()

    def _close_unused(self) -> None:
        with self._lock:
            unused = [lease for lease in self._replaced if lease.users == 0]
            self._replaced = [lease for lease in self._replaced if lease.users > 0]
        for lease in unused:
            try:
                lease.engine.close()
            except Exception as error:
                _log.error("snapshot not closed id=%s type=%s", lease.engine.snapshot_id, type(error).__name__)

    def _name(self) -> str:
        return self._serving.engine.snapshot_id if self._serving else "nothing"
