"""Make what was written to a file, or renamed in a folder, outlive a power cut. Knows nothing of what it is."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["sync"]


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, last."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
