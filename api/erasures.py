"""An erasure that another process was asked for reaches this one's memory too.

Watches the list of erasures of the store; when it grows, remembered queries, what was written for them, and kept conversations of
those on it go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress

from api.reload import Engines, NotReadyError
from engine.events import EventLog
from engine.settings import Settings

__all__ = ["forget_words", "watch_erasures"]


def forget_words(engines: Engines) -> None:
    """Let the engine that serves go of what it remembers of anybody's words."""
    with suppress(NotReadyError), engines.lease() as engine:
        engine.forget_words()


async def watch_erasures(settings: Settings, forget: Callable[[Callable[[str, str], bool]], None]) -> None:
    """Look at the list as often as at the snapshot's pointer, for ever. ``forget`` is given what says whether a user or a device
    is on it."""
    seen = EventLog.erasures(settings)
    while True:
        await asyncio.sleep(settings.reload_interval_s)
        found = EventLog.erasures(settings)
        if found != seen:
            seen = found
            forget(await asyncio.to_thread(_listed, settings))


def _listed(settings: Settings) -> Callable[[str, str], bool]:
    """Return what says whether a user or a device was ever erased."""
    with closing(EventLog.open(settings)) as log:
        keys, gone = log.keys, {erasure.person for erasure in log.people.forgotten()}
    return lambda user_id, client_id: keys.hashed("user" if user_id else "client", user_id or client_id).hex() in gone
