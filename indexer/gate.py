"""The last look before a snapshot may serve.

In: what was read, what was built and what serves now. Out: nothing, or :class:`~engine.errors.GateError` with the
numbers and the way round. Knows nothing of how to build or publish.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.engine import Engine
from engine.errors import DaogouError, GateError
from engine.index.engines import open_vectors
from engine.index.snapshot import Manifest, Part, Snapshot, open_snapshot
from engine.schema import SearchRequest
from engine.settings import Settings
from indexer.spool import Spool

__all__ = ["MIN_RECALL", "check_counts", "check_snapshot", "check_vectors"]

MIN_RECALL = 0.9
"""Share of the true neighbours the vector index has to find."""
_PROBES = 50
_FOUND = 0.9
_ROUNDING = 0.01


def check_counts(spool: Spool, before: int, settings: Settings, *, allow_shrink: bool, rejects: Path) -> None:
    """Refuse a feed with nothing usable in it, with too many bad rows, or with far fewer products than ``before``.

    Raises:
        GateError: with the numbers; what serves keeps serving.
    """
    kept, refused = len(spool.ids), sum(spool.rejected.values())
    serving = "Nothing was published; the current snapshot keeps serving." if before else "Nothing was published."
    if not kept:
        where = f" The reason of each is in {rejects}." if refused else ""
        raise GateError(f"None of the feed's {spool.rows:,} rows is a usable product. {serving}{where}")
    if refused > settings.max_rejected * spool.rows:
        raise GateError(
            f"{refused:,} of {spool.rows:,} rows were rejected, more than the allowed {settings.max_rejected:.0%}. "
            f"{serving} The reason of each is in {rejects}. Mend the feed, or raise the setting max_rejected."
        )
    if not allow_shrink and kept < (1 - settings.max_shrink) * before:
        raise GateError(
            f"The feed has {kept:,} products; the current snapshot has {before:,}. That is {1 - kept / before:.0%} "
            f"fewer, more than the allowed {settings.max_shrink:.0%}. {serving} If it is meant, index again with "
            "--allow-shrink."
        )


def check_vectors(part: Part, settings: Settings, recall: float) -> None:
    """Refuse vectors that do not find themselves, or an index that misses too many neighbours.

    Raises:
        GateError: with the figures.
    """
    if recall < MIN_RECALL:
        raise GateError(
            f"The vector index finds {recall:.1%} of the true neighbours; at least {MIN_RECALL:.0%} are needed. Nothing "
            "was published. Index with another model."
        )
    index = open_vectors(part, settings)
    rows = np.unique(np.linspace(0, index.size - 1, min(_PROBES, index.size)).astype(np.int64))
    probes = index.vectors(rows)
    # Products may share a vector, so the probe's own score must be among the best, not its own row.
    best = [index.search(probe, min(10, index.size)).scores for probe in probes]
    own = [float(probe @ probe) for probe in probes]
    found = sum(bool((scores >= score - _ROUNDING).any()) for scores, score in zip(best, own, strict=True))
    if found < _FOUND * len(rows):
        raise GateError(
            f"Only {found} of {len(rows)} products are found by their own vector. Nothing was published. Index with "
            "another model."
        )


def check_snapshot(store: Path, manifest: Manifest, settings: Settings, verified: Snapshot | None = None) -> None:
    """Refuse a finished snapshot of ``store`` that does not open as a server opens it, or lists other products. Files it
    shares with one that was ``verified`` are not read again.

    Raises:
        GateError: with what went wrong.
    """
    quiet = settings.model_copy(update={"generator": "template", "threads": 1})
    try:
        engine = Engine(open_snapshot(store, manifest.id, verified), quiet)
        listed = engine.search(SearchRequest(q="", per_page=1)).found
        engine.close()
    except DaogouError as error:
        raise GateError(f"The new snapshot does not open, so nothing was published. {error}") from error
    if listed != manifest.products:
        raise GateError(
            f"The new snapshot lists {listed:,} products instead of {manifest.products:,}. Nothing was published. Index "
            "again, and report it if it happens twice."
        )
