"""An erasure that another process was asked for reaches this one's memory too.

Watches the list of erasures of the store; when it grows, remembered queries, what was written for them, and kept conversations of
those on it go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress

from api.reload import Engines, NotReadyError
from api.sessions import Owner, Sessions
from engine.events import EventLog
from engine.settings import Settings

__all__ = ["forget_words", "watch_erasures"]


def forget_words(engines: Engines) -> None:
    """Let the engine that serves go of what it remembers of anybody's words."""
    with suppress(NotReadyError), engines.lease() as engine:
        engine.forget_words()


async def watch_erasures(settings: Settings, engines: Engines, sessions: Sessions) -> None:
    """Look at the list as often as at the snapshot's pointer, for ever."""
    seen = EventLog.erasures(settings)
    while True:
        await asyncio.sleep(settings.reload_interval_s)
        found = EventLog.erasures(settings)
        if found != seen:
            seen = found
            sessions.erase_where(await asyncio.to_thread(_listed, settings))
            forget_words(engines)


def _listed(settings: Settings) -> Callable[[Owner], bool]:
    """Return what says whether somebody was ever erased."""
    with closing(EventLog.open(settings)) as log:
        keys, gone = log.keys, {erasure.person for erasure in log.people.forgotten()}
    return lambda owner: keys.hashed(*owner).hex() in gone
