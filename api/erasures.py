"""An erasure that another process was asked for reaches this one's memory too.

Watches the list of erasures of the store; when it grows, remembered queries and what was written for them go. Knows nothing of
people.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from api.reload import Engines, NotReadyError
from engine.events import EventLog
from engine.settings import Settings

__all__ = ["forget_words", "watch_erasures"]


def forget_words(engines: Engines) -> None:
    """Let the engine that serves go of what it remembers of anybody's words."""
    with suppress(NotReadyError), engines.lease() as engine:
        engine.forget_words()


async def watch_erasures(settings: Settings, engines: Engines) -> None:
    """Look at the list as often as at the snapshot's pointer, for ever."""
    seen = EventLog.erasures(settings)
    while True:
        await asyncio.sleep(settings.reload_interval_s)
        found = EventLog.erasures(settings)
        if found != seen:
            seen = found
            forget_words(engines)
