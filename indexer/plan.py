"""What must be embedded: a product whose text the encoder has not read yet.

In: the products' content hashes and the current snapshot. Out: :class:`Plan`. Full and incremental reindexing are
one path; only the plan differs. Price and stock are not in the hash, so changing them plans nothing. Knows nothing
of feeds or models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.index.snapshot import Snapshot
from engine.text import TEXT_VERSION

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """``vectors`` float16 ``(n, d)`` with known rows filled in; ``missing`` are the rows to embed."""

    vectors: NDArray[np.float16]
    missing: list[int]
    reused: int


def make_plan(hashes: list[bytes], encoder: str, dimension: int, previous: Snapshot | None) -> Plan:
    """Return which rows to embed. Vectors are taken over by content hash, from a snapshot of the same encoder."""
    vectors = np.zeros((len(hashes), dimension), np.float16)
    known = _known(previous, encoder, dimension)
    missing = [row for row, h in enumerate(hashes) if h not in known]
    if previous is not None and len(missing) < len(hashes):
        old = np.load(previous.file("vectors/vectors.npy"), mmap_mode="r", allow_pickle=False)
        kept = [row for row, h in enumerate(hashes) if h in known]
        vectors[kept] = old[[known[hashes[row]] for row in kept]]
    return Plan(vectors, missing, len(hashes) - len(missing))


def _known(previous: Snapshot | None, encoder: str, dimension: int) -> dict[bytes, int]:
    if previous is None:
        return {}
    manifest = previous.manifest
    if (manifest.encoder, manifest.text_version, manifest.dimension) != (encoder, TEXT_VERSION, dimension):
        return {}
    rows = np.load(previous.file("hashes.npy"), allow_pickle=False)
    return {row.tobytes(): number for number, row in enumerate(rows)}
