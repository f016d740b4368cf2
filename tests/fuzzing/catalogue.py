"""The shop that readers are tried on: the demonstration catalogue, indexed with the toy encoder, once for a process."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from engine.engine import Engine
from indexer.reindex import reindex
from shop import toy_settings

__all__ = ["FEED", "desk", "shop"]

FEED = Path(__file__).parents[2] / "examples" / "demo" / "catalogue.tsv"


@cache
def desk() -> Path:
    """Return a folder for files that readers are given; it goes when the process ends, or is its parent's."""
    if given := os.environ.get("FUZZING_DESK"):
        return Path(given)
    folder = Path(tempfile.mkdtemp(prefix="fuzzing-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def shop() -> Engine:
    """Return an engine over the catalogue."""
    settings = toy_settings(desk() / "shop", generator="template")
    reindex(FEED, settings)
    return Engine.open(settings)
