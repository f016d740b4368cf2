"""The last look before a snapshot may serve.

In: what was built and what serves now. Out: nothing, or :class:`~engine.errors.GateError` with the numbers and the
way round. Knows nothing of how to build or publish.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.errors import GateError
from engine.index.faiss_index import FaissVectors
from engine.index.snapshot import Snapshot
from engine.settings import Settings
from indexer.spool import Spool

__all__ = ["check_counts", "check_vectors"]

MIN_RECALL = 0.9
_PROBES = 50


def check_counts(spool: Spool, previous: Snapshot | None, settings: Settings, allow_shrink: bool) -> None:
    """Refuse a feed with nothing usable in it, with too many bad rows, or with far fewer products than before.

    Raises:
        GateError: with the numbers; the current snapshot keeps serving.
    """
    kept, refused = len(spool.places), sum(spool.rejected.values())
    serving = "Nothing was published" + (f"; {previous.manifest.id} keeps serving." if previous else ".")
    if not kept:
        raise GateError(f"None of the feed's {spool.rows} rows is a usable product. {serving} See the rejected rows.")
    if refused > settings.max_rejected * spool.rows:
        raise GateError(
            f"{refused} of {spool.rows} rows were rejected, more than the allowed {settings.max_rejected:.0%}. {serving} "
            "Mend the feed, or raise the setting max_rejected."
        )
    before = previous.manifest.products if previous else 0
    if not allow_shrink and kept < (1 - settings.max_shrink) * before:
        raise GateError(
            f"The feed has {kept} products; the current snapshot has {before}. That is {1 - kept / before:.0%} fewer, more "
            f"than the allowed {settings.max_shrink:.0%}. {serving} If it is meant, index again with --allow-shrink."
        )


def check_vectors(folder: Path, recall: float) -> None:
    """Refuse vectors that do not find themselves, or an index that misses too many neighbours.

    Raises:
        GateError: with the figures.
    """
    if recall < MIN_RECALL:
        raise GateError(
            f"The vector index finds {recall:.1%} of the true neighbours; at least {MIN_RECALL:.0%} are needed. Nothing was "
            "published. Please report this with the model and the number of products."
        )
    index = FaissVectors(folder / "vectors")
    rows = np.unique(np.linspace(0, index.size - 1, min(_PROBES, index.size)).astype(np.int64))
    probes = index.vectors(rows)
    best = [index.search(v, min(10, index.size)) for v in probes]
    # A duplicate may stand in a product's place, so its own score must be reached, not its own row found.
    found = sum(float(b.scores[0]) >= float(v @ v) - 0.01 for b, v in zip(best, probes, strict=True))
    if found < 0.9 * len(rows):
        raise GateError(f"Only {found} of {len(rows)} products are found by their own vector. Nothing was published.")
