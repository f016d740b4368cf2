"""What must be embedded: a product whose text the encoder has not read yet.

In: the products' content hashes and the current snapshot. Out: :class:`Plan`. Full and incremental reindexing are
one path; only the plan differs. Price and stock are not in the hash, so changing them plans nothing. Knows nothing
of feeds or models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.index.arrays import map_array
from engine.index.faiss_index import create_vectors, map_vectors
from engine.index.snapshot import Snapshot
from engine.text import TEXT_VERSION

__all__ = ["Plan", "make_plan"]

_AT_A_TIME = 65_536


@dataclass(frozen=True, slots=True)
class Plan:
    """``vectors`` float16 ``(n, d)``, on disk, with known rows filled in; ``missing`` int64 are the rows to embed."""

    vectors: NDArray[np.float16]
    missing: NDArray[np.int64]
    reused: int


def make_plan(hashes: NDArray[np.uint8], encoder: str, dimension: int, previous: Snapshot | None, folder: Path) -> Plan:
    """Return which rows to embed. Vectors are taken over by content hash uint8 ``(n, 32)``, from a snapshot of the same
    encoder, into a new file of vectors in ``folder``."""
    vectors = create_vectors(folder, len(hashes), dimension)
    missing = np.arange(len(hashes))
    for part in previous.parts if previous and _alike(previous, encoder, dimension) else ():
        at = _known(hashes[missing], map_array(part.folder / "hashes.npy"))
        old = map_vectors(part.folder / "vectors")
        for start in range(0, len(at), _AT_A_TIME):
            places = at[start : start + _AT_A_TIME]
            kept = np.flatnonzero(places >= 0)
            vectors[missing[start + kept]] = old[places[kept]]
        missing = missing[at < 0]
    return Plan(vectors, missing, len(hashes) - len(missing))


def _alike(previous: Snapshot, encoder: str, dimension: int) -> bool:
    manifest = previous.manifest
    return (manifest.encoder, manifest.text_version, manifest.dimension) == (encoder, TEXT_VERSION, dimension)


def _known(hashes: NDArray[np.uint8], old: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the row of ``old`` that is each of ``hashes``, -1 where none is."""
    found = np.full(len(hashes), -1, np.int64)
    # Found by their first eight bytes; the others decide, and one that differs is embedded again.
    first = np.ascontiguousarray(old[:, :8]).view(np.uint64).ravel()
    order = np.argsort(first, kind="stable")
    if not len(order) or not len(hashes):
        return found
    wanted = np.ascontiguousarray(hashes[:, :8]).view(np.uint64).ravel()
    places = order[np.minimum(np.searchsorted(first[order], wanted), len(order) - 1)]
    for start in range(0, len(places), _AT_A_TIME):
        some = places[start : start + _AT_A_TIME]
        same = (old[some] == hashes[start : start + _AT_A_TIME]).all(axis=1)
        found[start : start + _AT_A_TIME][same] = some[same]
    return found
