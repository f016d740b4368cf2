"""A file of the event log read through: which rows are as they were written, and whether its indexes know them all.

In: a volume. Out: :class:`Checked`. Knows nothing of what events mean.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import EventLogError
from engine.events.rows import stored
from engine.events.volume import Volume

__all__ = ["Checked", "checked"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in the file of a period.

    ``whole`` rows are as they were written, ``unchecked`` ones are of before there were checksums and can be read, ``damaged`` are
    the numbers of the others. ``problem`` is what else is wrong with the file, empty where nothing is.
    """

    period: str
    whole: int = 0
    unchecked: int = 0
    damaged: tuple[int, ...] = ()
    problem: str = ""


def checked(period: str, volume: Volume, *, mend: bool = False) -> Checked:
    """Return what is found in a file; with ``mend`` its indexes are made anew where they are damaged, and damaged rows removed."""
    whole = unchecked = 0
    damaged: list[int] = []
    try:
        for row in volume.all():
            if stored(row) is None:
                damaged.append(row[-1])
            elif row[-2] is None:
                unchecked += 1
            else:
                whole += 1
        if mend:
            volume.mend(damaged)
        return Checked(period, whole, unchecked, tuple(damaged), volume.problem())
    except EventLogError as error:
        return Checked(period, whole, unchecked, tuple(damaged), str(error))
