"""Crashes of every scene, at every step, and what was found after each.

In: scenes. Out: a :class:`Tally` for each: at how many steps it was killed and the power was cut, and what was not as it must be.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crashing.disk import Disk
from crashing.scenes import Scene, scene_of
from crashing.trace import Step, read_steps, traced

__all__ = ["Tally", "crash", "recorded"]

_HERE = Path(__file__).parents[2]
_UNSEEN = (".sqlite-shm",)
"""Written through a shared map, and made anew from the log beside it by whoever opens the file next."""


@dataclass(slots=True)
class Tally:
    """``points`` are steps after which something else was on the disk."""

    scene: str
    points: int = 0
    kills: int = 0
    cuts: int = 0
    wrong: list[str] = field(default_factory=list)


def recorded(name: str, folder: Path) -> tuple[Path, list[Step]]:
    """Act a scene under watch in ``folder``; return the store as it was before, and the steps.

    Raises:
        AssertionError: the steps do not make of the store what the process made of it.
    """
    store, before, log = folder / "store", folder / "before", folder / "trace"
    scene = scene_of(name)
    scene.prepare(store)
    shutil.copytree(store, before)
    env = {**os.environ, "PYTHONPATH": f"{_HERE}:{_HERE / 'tests'}", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = traced([sys.executable, "-m", "crashing.scenes", name, str(store)], log, env)
    scene.drive(store, process)
    _, told = process.communicate(timeout=300)
    assert process.returncode in (0, -signal.SIGTERM), (process.returncode, told.decode())
    steps = list(read_steps(log, store))
    disk = Disk(before)
    for step in steps:
        disk.apply(step)
    different = [path for path in disk.differences(store) if not path.endswith(_UNSEEN)]
    assert not different, f"the trace does not tell all: {different}"
    return before, steps


def crash(
    name: str, folder: Path, *, most: int = 0, chances: int = 2, seed: int = 0, note: Callable[[str], None] = lambda line: None
) -> Tally:
    """Crash a scene after each step, or after ``most`` of them at equal distances: killed, by a power cut that keeps nothing
    unsynced, and by ``chances`` that keep some of it; and return what was found."""
    before, steps = recorded(name, folder)
    tally, rng, disk, said = Tally(name), random.Random(seed), Disk(before), b""
    changing = [n for n, step in enumerate(steps) if step.call != "said"]
    every = max(1, len(changing) // most) if most else 1
    chosen = {*changing[seed % every :: every], changing[-1]}
    for n, step in enumerate(steps):
        disk.apply(step)
        if step.call == "said":
            said += step.data
        elif n in chosen:
            tally.points += 1
            for kind, left in _left(disk, rng, chances):
                problem = _tried(scene_of(name), left, said)
                tally.kills += kind == "killed"
                tally.cuts += kind != "killed"
                if problem:
                    tally.wrong.append(f"{name}, {kind} after step {n} ({step.call} {step.path}): {problem}")
                    note(tally.wrong[-1])
    return tally


def _left(disk: Disk, rng: random.Random, chances: int) -> Iterator[tuple[str, Callable[[Path], None]]]:
    yield "killed", disk.killed
    yield "power cut", disk.cut
    for _ in range(chances):
        own = random.Random(rng.random())
        yield "power cut, some of it kept", lambda target, own=own: disk.cut(target, own)  # type: ignore[misc]


def _tried(scene: Scene, left: Callable[[Path], None], said: bytes) -> str:
    """Return what is wrong with what was left, empty where nothing is."""
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        store = Path(folder) / "store"
        left(store)
        try:
            scene.check(store, said)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
    return ""


def summed(tallies: Sequence[Tally]) -> dict[str, int]:
    """Return the sums of all scenes."""
    return {
        "points": sum(t.points for t in tallies),
        "kills": sum(t.kills for t in tallies),
        "power cuts": sum(t.cuts for t in tallies),
        "wrong": sum(len(t.wrong) for t in tallies),
    }
