"""Make what was written to a file, or named in a folder, outlive a power cut. Knows nothing of what it is."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["make_folder", "sync", "write_whole"]


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, last."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, and make their names last."""
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file that its owner alone can read, whole or not at all, and make it last; one that is there stays."""
    handle, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
    sync(path.parent)
