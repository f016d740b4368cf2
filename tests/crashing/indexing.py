"""Scenes of the indexer: a first index, the next one, changes beside it, and the way back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from crashing.scene import Scene, feed, nothing_left, orders, products_of, say, settings_of
from engine.events import EventLog
from engine.index.snapshot import current_id, list_snapshots
from indexer.publish import rollback
from indexer.reindex import reindex
from indexer.update import update

__all__ = ["FirstIndex", "Reindex", "Rollback", "Update"]

_GONE = ["P00010", "P00011"]


class FirstIndex(Scene):
    """A store is made."""

    def act(self, store: Path) -> None:
        """Index the old feed."""
        reindex(feed(store, "old"), settings_of(store))
        say("published")

    def check(self, store: Path, said: bytes) -> None:
        """It serves all of the feed or was never there; the next run makes it."""
        assert products_of(store) in ({40} if b"published" in said else {0, 40})
        reindex(feed(store, "old"), settings_of(store))
        assert products_of(store) == 40
        nothing_left(store)


class Reindex(Scene):
    """A feed is indexed into a store that serves and knows orders; only one snapshot is kept."""

    def prepare(self, store: Path) -> None:
        """Index the old feed, with the orders of six people in the event log."""
        reindex(feed(store, "old"), settings_of(store))
        with closing(EventLog.open(settings_of(store))) as log:
            log.add(orders(), lambda product: True)

    def act(self, store: Path) -> None:
        """Index the new feed."""
        reindex(feed(store, "new"), settings_of(store, keep_snapshots=2))
        say("published")

    def check(self, store: Path, said: bytes) -> None:
        """The old snapshot or the new one serves, whole; the events are there; the next run brings the new one."""
        assert products_of(store) in ({50} if b"published" in said else {40, 50})
        with closing(EventLog.open(settings_of(store))) as log:
            assert log.count()["purchase"] == len(orders())
        reindex(feed(store, "new"), settings_of(store, keep_snapshots=2))
        assert products_of(store) == 50
        nothing_left(store)


class Update(Scene):
    """A few products change and two go, published beside the rest; then so many change that all is built into one."""

    def prepare(self, store: Path) -> None:
        """Index the old feed."""
        reindex(feed(store, "old"), settings_of(store))

    def act(self, store: Path) -> None:
        """Update twice."""
        update(feed(store, "few"), settings_of(store, compact_share=1.0), delete=_GONE)
        say("once;")
        update(feed(store, "new"), settings_of(store))
        say("twice;")

    def check(self, store: Path, said: bytes) -> None:
        """What was there, the delta beside it or the one made of all serves, whole; the same again brings the last one."""
        assert products_of(store) in ({50} if b"twice" in said else {38, 50} if b"once" in said else {40, 38})
        update(feed(store, "few"), settings_of(store, compact_share=1.0), delete=_GONE)
        assert products_of(store) in {38, 48}
        update(feed(store, "new"), settings_of(store))
        assert products_of(store) == 50
        nothing_left(store)


class Rollback(Scene):
    """The shop goes back to the snapshot before."""

    def prepare(self, store: Path) -> None:
        """Index both feeds."""
        for name in ("old", "new"):
            reindex(feed(store, name), settings_of(store))

    def act(self, store: Path) -> None:
        """Go back."""
        rollback(store)
        say("went back")

    def check(self, store: Path, said: bytes) -> None:
        """Either serves; going to a named one works."""
        assert products_of(store) in ({40} if b"went back" in said else {40, 50})
        for name in list_snapshots(store):
            if name != current_id(store):
                rollback(store, name)
        assert products_of(store) in {40, 50}
