"""What somebody bought, by row, from their events: a click or a basket says a little of the same. Knows nothing of scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from engine.events import StoredEvent
from engine.recommend.model import AGAIN_HALF_LIFE_DAYS, Bought

__all__ = ["DID", "read_history"]

DID = {"purchase": 1.0, "cart": 0.5, "click": 0.25}
"""How much of an order each action says."""
_DAY_MS = 86_400_000.0


def read_history(
    events: Sequence[StoredEvent], row_of: Callable[[str], int | None], now_ms: int
) -> tuple[dict[int, Bought], dict[int, str]]:
    """Return what was bought of each row, and the strongest thing done with it."""
    orders: defaultdict[int, dict[str, float]] = defaultdict(dict)
    looked: defaultdict[int, float] = defaultdict(float)
    did: dict[int, str] = {}
    for event in events:
        row = row_of(event.products[0]) if event.kind in DID and event.products else None
        if row is None:
            continue
        if event.kind == "purchase":
            orders[row][event.order or str(event.time_ms)] = max(0.0, (now_ms - event.time_ms) / _DAY_MS)
        else:
            looked[row] = max(looked[row], DID[event.kind])
        if row not in did or DID[event.kind] > DID[did[row]]:
            did[row] = event.kind
    found = {}
    for row in did:
        ages = list(orders[row].values())
        fresh = sum(0.5 ** (age / AGAIN_HALF_LIFE_DAYS) for age in ages)
        found[row] = Bought(len(ages) + (0.0 if ages else looked[row]), fresh)
    return found, did
