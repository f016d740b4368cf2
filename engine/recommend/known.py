"""What orders say of rows to one history, all of it looked up at once, so that a recommendation can say what it rests on.

In: the model, what was bought, rows. Out: :class:`Known`. Knows nothing of how rows were chosen.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.recommend.model import Bought, Model

__all__ = ["Known"]


class Known:
    """What orders say of rows, and of those they are like, to a history. ``counts`` float32 ``(h,)`` grow with how much of each
    product was bought, in the order of their rows."""

    def __init__(self, model: Model, told: Mapping[int, Bought], rows: NDArray[np.int64]) -> None:
        columns = np.unique(np.concatenate([rows, *(model.lenders_of(row) for row in rows.tolist())]).astype(np.int64))
        self.told, self._rows = told, np.array(sorted(told), np.int64)
        self._weights, self._buyers = model.pairs(self._rows, columns)
        self._place = {row: place for place, row in enumerate(columns.tolist())}
        self.counts = np.log2(1 + np.array([told[row].orders for row in self._rows.tolist()], np.float32))

    def fresh(self, row: int) -> bool:
        """Return whether a row itself was bought."""
        return row in self.told and self.told[row].fresh > 0

    def strongest(self, row: int, counts: NDArray[np.float32] | None = None) -> tuple[float, int, int] | None:
        """Return the weight of the product of the history that speaks most for a row, that product's row, and how many bought
        both; each weight counting as much as its product was bought where ``counts`` ``(h,)`` are given."""
        at = self._place[row]
        weights = self._weights[:, at] * (self._rows != row)
        strength = weights if counts is None else weights * counts
        if not len(strength) or strength.max() <= 0:
            return None
        best = int(np.argmax(strength))
        return float(weights[best]), int(self._rows[best]), int(self._buyers[best, at])
