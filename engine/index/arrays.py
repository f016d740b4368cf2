"""Arrays of a snapshot, read in place.

In: a ``.npy`` file that passed the snapshot's SHA-256 check. Out: a read-only array over its memory map. Knows nothing
of what the numbers mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["map_array"]


def map_array(path: Path) -> NDArray[Any]:
    """Return the array in ``path``, memory-mapped, never unpickled.

    A plain array, not numpy's ``memmap``, which runs Python code at every slice.
    """
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
