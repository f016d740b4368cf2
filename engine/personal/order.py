"""A person's order of a match set: the first hits moved up and down by how they fit, and how far each was moved.

In: a ranking and how well its first hits fit. Out: the same hits in another order, with the places they gained. No hit comes in
and none is lost; hits that bear a code of the query stay first. Knows nothing of tastes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.rank import Ranking, taken

__all__ = ["moved"]


def moved(ranking: Ranking, fits: NDArray[np.float32], weight: float) -> tuple[Ranking, NDArray[np.int64]]:
    """Return the ranking with its first ``len(fits)`` hits in the order of score and fit, and how many places each hit of that
    order is above its place before, int64 ``(len(fits),)``. ``fits`` are from -1 to 1."""
    first = len(fits)
    scores = ranking.fused[:first].astype(np.float64) + weight * fits
    order = np.lexsort((np.arange(first), -scores, ~ranking.code[:first]))
    places = np.concatenate([order, np.arange(first, len(ranking.rows))])
    return taken(ranking, places), order - np.arange(first)
