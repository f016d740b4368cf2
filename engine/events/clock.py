"""Whether the time of day may be believed by what deletes for good.

A clock that leaps ahead, after a flat battery or by a mistake, would make every event look past its time. So the log writes down
when it last looked. A leap by more than :data:`LEAP_MS` is believed once the clock is :data:`TRIAL_MS` past where it leapt to;
until then nothing more is old. A shop whose server was off for longer waits as long. A clock put back makes nothing old. Knows
nothing of events.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import orjson

from engine.lasting import sync

__all__ = ["LEAP_MS", "TRIAL_MS", "Clock"]

_DAY_MS = 86_400_000
LEAP_MS = 7 * _DAY_MS
"""A clock that is looked at every hour does not get on by more."""
TRIAL_MS = _DAY_MS
"""How long a clock that has leapt must go on before it is believed."""
_FILE = "clock.json"


@dataclass(frozen=True, slots=True)
class _Seen:
    """The time last believed, and where the clock leapt to from there, 0 where it did not."""

    believed_ms: int
    leapt_ms: int = 0


class Clock:
    """What is known of the clock, in a file of ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def believed(self, now_ms: int) -> int:
        """Return ``now_ms`` where it may be believed, else the last time that could be; write down that it was seen.

        Raises:
            OSError: it cannot be written down.
        """
        before = self._read()
        after = _judged(before, now_ms) if before else _Seen(now_ms)
        if after != before:
            self._write(after)
        return after.believed_ms

    def believe(self, now_ms: int) -> int:
        """Return ``now_ms``, and write down that it is the time.

        Raises:
            OSError: it cannot be written down.
        """
        self._write(_Seen(now_ms))
        return now_ms

    def _read(self) -> _Seen | None:
        """Return what was seen, ``None`` where nothing was. What cannot be read is a clock that has just leapt."""
        try:
            return _Seen(*map(int, orjson.loads(self._path.read_bytes())))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return _Seen(0)

    def _write(self, seen: _Seen) -> None:
        draft = self._path.with_suffix(".tmp")
        draft.write_bytes(orjson.dumps([seen.believed_ms, seen.leapt_ms]))
        sync(draft)
        os.replace(draft, self._path)
        sync(self._path.parent)


def _judged(before: _Seen, now_ms: int) -> _Seen:
    """Return what is known after a look at the clock."""
    if now_ms <= before.believed_ms + LEAP_MS or 0 < before.leapt_ms <= now_ms - TRIAL_MS:
        return _Seen(now_ms)
    return before if 0 < before.leapt_ms <= now_ms else _Seen(before.believed_ms, now_ms)
