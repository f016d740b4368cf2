"""What is done to a store while it is watched, and what must be true of whatever is left of it.

A scene prepares a store, acts on it in a process of its own, and checks a folder that a crash left, given what the process had
said until then on standard output and over sockets. ``python -m crashing.scenes NAME STORE`` acts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from crashing.answering import Served
from crashing.indexing import FirstIndex, Reindex, Rollback, Update
from crashing.logging_events import Consent, Erase, Events, Import, Prune
from crashing.scene import Scene, say

__all__ = ["CARELESS", "SCENES", "Scene", "scene_of"]


class Careless(Scene):
    """A file is replaced without being synced: what must be found where anything is looked for."""

    def act(self, store: Path) -> None:
        """Replace it, and say so."""
        for n in range(3):
            (store / "draft").write_text(f"version {n}")
            (store / "draft").replace(store / "file")
            say(f"wrote {n};")

    def check(self, store: Path, said: bytes) -> None:
        """The last version that was said to be written is there."""
        if n := said.count(b"wrote "):
            assert (store / "file").read_text() in (f"version {n - 1}", f"version {n}")


SCENES: Mapping[str, Scene] = {
    "first-index": FirstIndex(),
    "reindex": Reindex(),
    "update": Update(),
    "rollback": Rollback(),
    "events": Events(),
    "import": Import(),
    "erase": Erase(),
    "prune": Prune(),
    "consent": Consent(),
    "server": Served(),
}

CARELESS = "careless"
"""No scene of the product's, but one that shows that what is wrong is found."""


def scene_of(name: str) -> Scene:
    """Return a scene by its name."""
    return Careless() if name == CARELESS else SCENES[name]


if __name__ == "__main__":
    scene_of(sys.argv[1]).act(Path(sys.argv[2]))
