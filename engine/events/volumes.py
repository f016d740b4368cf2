"""The files of an event log by the period they cover: which there are, which is an event's, a few of them open.

Knows nothing of what is in them.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import EventLogError
from engine.events.volume import Volume

__all__ = ["Volumes"]

_log = logging.getLogger("daogou.events")

_OPEN = 64
"""Files held open; the longest unused one is closed for the next."""
_NAME = re.compile(r"\d{4}-\d{2}(?:-\d{2})?\.sqlite")
_DAY_MS = 86_400_000


class Volumes:
    """Files of a folder, one for each ``rotation``, ``month`` or ``day``. One thread at a time."""

    def __init__(self, folder: Path, rotation: str) -> None:
        self._folder = folder
        self._formats = ("%Y-%m", "%Y-%m-%d") if rotation == "month" else ("%Y-%m-%d", "%Y-%m")
        self._open: OrderedDict[str, Volume] = OrderedDict()
        self._told: set[str] = set()

    def names(self) -> list[str]:
        """Return the periods there are files of, the earliest first."""
        return sorted(path.stem for path in self._folder.iterdir() if _NAME.fullmatch(path.name))

    def name_of(self, time_ms: int) -> str:
        """Return the period of an event: where the rotation was another once, the file that was begun goes on."""
        own, other = (datetime.fromtimestamp(time_ms / 1000, UTC).strftime(form) for form in self._formats)
        return other if not self._path(own).exists() and self._path(other).exists() else own

    def beside(self, time_ms: int) -> list[str]:
        """Return the other periods there are files of that are less than a day from a time."""
        own = self.name_of(time_ms)
        near = {self.name_of(time_ms - _DAY_MS), self.name_of(time_ms + _DAY_MS)} - {own}
        return [name for name in sorted(near) if self._path(name).exists()]

    def ends_before(self, name: str, time_ms: int) -> bool:
        """Return whether a whole period, and a day more, is before a time."""
        return name < datetime.fromtimestamp(time_ms / 1000 - 86_400, UTC).strftime("%Y-%m-%d")[: len(name)]

    def get(self, name: str) -> Volume:
        """Return a file, opened.

        Raises:
            EventLogError: it is damaged, or of another format.
        """
        volume = self._open.get(name)
        if volume is None:
            volume = self._open[name] = Volume(self._path(name))
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(name)
        return volume

    def sound(self) -> list[str]:
        """Return the periods whose files can be opened; of others it is logged that they cannot, once."""
        found = []
        for name in self.names():
            try:
                self.get(name)
                found.append(name)
            except EventLogError as error:
                if name not in self._told:
                    _log.error("file=%s reason=%s", name, error)
                self._told.add(name)
        return found

    def remove(self, name: str) -> None:
        """Delete a file and what is beside it."""
        if name in self._open:
            self._open.pop(name).close()
        for ending in ("", "-wal", "-shm"):
            self._path(name).with_name(f"{name}.sqlite{ending}").unlink(missing_ok=True)

    def close(self) -> None:
        """Close every file."""
        for volume in self._open.values():
            volume.close()
        self._open.clear()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.sqlite"
