"""Which engine holds the vectors of a snapshot: FAISS beside them, or Milvus elsewhere.

In: the parts of a snapshot. Out: one :class:`~engine.index.vectors.VectorIndex` over all of them. The snapshot says which it is;
the settings say where Milvus is. A delta is small and always lies beside its snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import SettingsError
from engine.index.faiss_index import FaissVectors
from engine.index.joined import JoinedVectors
from engine.index.milvus_index import COLLECTION, Milvus, MilvusVectors
from engine.index.snapshot import Part
from engine.index.table import Table
from engine.index.vectors import VectorIndex
from engine.settings import Settings

__all__ = ["connect", "open_all_vectors", "open_vectors"]


def connect(settings: Settings) -> Milvus:
    """Return a connection to the Milvus of the settings.

    Raises:
        SettingsError: none is named.
        VectorEngineError: it does not answer.
    """
    if not settings.milvus_uri:
        raise SettingsError("The vectors of this snapshot lie in Milvus. Name it with the setting milvus_uri, or index again.")
    return Milvus(settings.milvus_uri, settings.milvus_token)


def open_vectors(part: Part, settings: Settings) -> FaissVectors | MilvusVectors:
    """Return the vectors of one part."""
    folder = part.folder / "vectors"
    if (folder / COLLECTION).exists():
        return MilvusVectors(folder, connect(settings), Table([part], settings.exchange_rates))
    return FaissVectors(folder, threads=settings.threads)


def open_all_vectors(parts: Sequence[Part], dead: NDArray[np.int64], settings: Settings) -> VectorIndex:
    """Return the vectors of all parts as one index, without the ``dead`` rows."""
    base, *delta = (open_vectors(part, settings) for part in parts)
    return JoinedVectors(base, delta[0] if delta else None, dead) if delta or len(dead) else base
