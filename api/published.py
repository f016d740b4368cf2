"""What is published, and an engine over it: from the store, or from object storage through a checked copy, ``STORE/copy``.

In: the settings. Out: the id of the snapshot that should serve, and the engine that serves it. While the storage does not answer,
the copy that is there serves on. Knows nothing of HTTP.
"""

from __future__ import annotations

import logging
from pathlib import Path

from engine.engine import Engine
from engine.errors import RemoteError, SnapshotError
from engine.index.remote import Remote
from engine.index.snapshot import current_id, open_snapshot
from engine.settings import Settings

__all__ = ["open_published", "published_id", "served_store"]

_log = logging.getLogger("daogou.published")


def published_id(settings: Settings) -> str:
    """Return the id of the snapshot that should serve, or ``""`` when none was published yet."""
    if settings.remote:
        try:
            return Remote(settings.remote).current()
        except RemoteError as error:
            _log.warning("storage does not answer, the copy serves on reason=%s", error)
    return current_id(served_store(settings))


def open_published(settings: Settings, serving: Engine | None) -> Engine:
    """Return an engine over the snapshot that should serve; files it shares with ``serving`` are not verified again.

    Raises:
        RemoteError: it is not here and cannot be fetched.
        SnapshotError: there is none, or it is damaged.
        EncoderError: the model is not the one the vectors were made with.
    """
    if not settings.remote:
        return Engine.open(settings, sharing=serving)
    name, copy = published_id(settings), served_store(settings)
    if not name:
        raise SnapshotError(f"No snapshot was published at {settings.remote} yet. Run `daogou index FEED` with the same setting.")
    remote, verified = Remote(settings.remote), serving.snapshot if serving else None
    remote.fetch(name, copy)
    try:
        snapshot = open_snapshot(copy, name, verified)
    except SnapshotError:  # the copy is damaged: another is fetched
        remote.forget(name, copy)
        remote.fetch(name, copy)
        snapshot = open_snapshot(copy, name, verified)
    engine = Engine(snapshot, settings)
    remote.tidy(copy, name, serving.snapshot_id if serving else "")  # the last requests of what served are being answered
    return engine


def served_store(settings: Settings) -> Path:
    """Return the store that is served: the shop's own, or the copy of what lies on object storage."""
    return Path(settings.store) / "copy" if settings.remote else Path(settings.store)
