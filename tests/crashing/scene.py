"""What every scene is made of: a store, feeds, events, and questions about what is left.

Knows nothing of what is done in any scene, and nothing of crashes.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from engine.engine import Engine
from engine.events import Event, EventLog
from engine.index.snapshot import list_snapshots
from engine.schema import SearchRequest
from engine.settings import Settings
from shop import random_products, toy_settings, write_feed

__all__ = [
    "DAY_MS", "NOW_MS", "Scene", "clicks", "feed", "nothing_left", "opened", "orders", "products_of", "say", "settings_of", "whose",
]  # fmt: skip

DAY_MS = 86_400_000
NOW_MS = int(time.time() * 1000) // DAY_MS * DAY_MS
SIZES = {"old": 40, "new": 50, "few": 6}


class Scene:
    """One thing that is done."""

    def prepare(self, store: Path) -> None:
        """Make the store as it is before."""
        store.mkdir(parents=True)

    def act(self, store: Path) -> None:
        """Do it, in the process that is watched."""
        raise NotImplementedError

    def drive(self, store: Path, process: subprocess.Popen[bytes]) -> None:
        """Do what has to be done from outside while it runs."""

    def check(self, store: Path, said: bytes) -> None:
        """Check what a crash left: first what is there, then that the next run works."""
        raise NotImplementedError


def settings_of(store: Path, **changes: object) -> Settings:
    """Return the settings of a watched store."""
    return toy_settings(store, device="cpu", consent="assumed", min_buyers=2, **changes)


def feed(store: Path, name: str) -> Path:
    """Return a feed of so many products beside a store."""
    path = store.parent / f"{store.name}.{name}.jsonl"
    return write_feed(random_products(SIZES[name], seed=SIZES[name]), path)


def products_of(store: Path) -> int:
    """Return how many products a store serves, all of them found; 0 where it never served."""
    if not (store / "CURRENT").exists():
        return 0
    with closing(Engine.open(settings_of(store))) as engine:
        found = engine.search(SearchRequest(q="", per_page=0)).found
        assert found == engine.product_count
        assert engine.search(SearchRequest(q="waterproof jacket")).hits
        return engine.product_count


def nothing_left(store: Path) -> None:
    """Check that no work folder or draft is left, and no snapshot without a manifest."""
    assert not list(store.glob("*.tmp"))
    assert {p.name for p in (store / "snapshots").iterdir()} == set(list_snapshots(store))


def orders() -> list[Event]:
    """Return purchases of six people in two months."""
    return [
        Event("purchase", NOW_MS - (n % 2) * 40 * DAY_MS, user_id=f"u{n % 6}", products=(f"P{n % 7:05d}",), order_id=f"o{n % 9}", event_id=f"e{n}")
        for n in range(24)
    ]


def clicks(batch: int) -> list[Event]:
    """Return five clicks in two months."""
    return [
        Event("click", NOW_MS - (n % 2) * 40 * DAY_MS, client_id=f"device-{batch}-{n}", products=(f"P{n:05d}",), event_id=f"c{batch}-{n}")
        for n in range(5)
    ]


def whose(batch: int) -> set[str]:
    """Return the devices of a batch."""
    return {event.client_id for event in clicks(batch)}


@contextmanager
def opened(store: Path) -> Iterator[EventLog]:
    """Open the event log of a store."""
    with closing(EventLog.open(settings_of(store))) as log:
        yield log


def say(text: str) -> None:
    """Say something at once, past any buffer."""
    os.write(1, text.encode())
