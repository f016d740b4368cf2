"""Other engines over our products: which there are, and what each needs to be installed.

A peer is a small class in a module of its own, made by :func:`make`. Importing this package imports none of them, so that those
which are not installed can be named instead of failing. Knows nothing of measuring.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers.protocol import Folders, TextPeer, VectorPeer

__all__ = ["PEERS", "Known", "known", "make", "versions_of"]


@dataclass(frozen=True, slots=True)
class Known:
    """A peer by name: the class ``made_by`` of the module, called with ``given``. ``packages`` have to be installed.

    ``ours`` marks what daogou itself does, ``server`` what clients talk to from outside, ``alone`` a server that listens on every
    address and so has to run in a network of its own. ``nearest``: what it answers are the nearest vectors, so it has a recall.
    """

    name: str
    module: str
    made_by: str
    packages: tuple[str, ...]
    given: dict[str, Any] = field(default_factory=dict)
    ours: bool = False
    server: bool = False
    alone: bool = False
    nearest: bool = True
    what: str = ""


_OURS = ("daogou", "faiss-cpu")
_DENSE = {"alpha": 1.0}
_HTTP = "HTTP, two workers, default settings"
_BARE = "the same as a bare vector search: query not read, feedback and the end of the list off"
_MILVUS = ("milvus", "pymilvus")
_POSTGRES = ("psycopg", "pgvector")
PEERS: tuple[Known, ...] = (
    Known("daogou", "ours", "Ours", _OURS, ours=True, what="the index that the default settings choose"),
    Known("daogou, scan", "ours", "Ours", _OURS, {"factory": ""}, ours=True, what="exact, from half precision"),
    Known("faiss flat", "plain_faiss", "Flat", ("faiss-cpu",), what="IndexFlatIP"),
    Known("faiss HNSW", "plain_faiss", "Graph", ("faiss-cpu",), what="IndexHNSWFlat"),
    Known("qdrant-edge", "qdrant", "Qdrant", ("qdrant-edge-py",), what="HNSW, price indexed"),
    Known("qdrant-edge, exact", "qdrant", "Qdrant", ("qdrant-edge-py",), {"exact": True}, what="no graph, price indexed"),
    Known("milvus-lite", "milvus", "Lite", ("milvus-lite", "pymilvus"), {"index": "HNSW"}, what="HNSW in a file"),
    Known("milvus-lite, flat", "milvus", "Lite", ("milvus-lite", "pymilvus"), {"index": "FLAT"}, what="exact, in a file"),
    Known("LanceDB", "lance", "Lance", ("lancedb",), what="IVF_HNSW_SQ, refined 5 ×, price indexed"),
    Known("LanceDB, flat", "lance", "Lance", ("lancedb",), {"flat": True}, what="no index, as it begins"),
    Known("Chroma", "chroma", "Chroma", ("chromadb",), what="HNSW, in process"),
    Known("txtai", "txtai_peer", "Txtai", ("txtai", "faiss-cpu"), what="its default FAISS index, SQLite"),
    Known("tantivy", "words", "Tantivy", ("tantivy",), nearest=False, what="BM25 alone: words, no vectors"),
    Known("daogou server, bare", "ours_server", "Server", _OURS, {**_DENSE, "bare": True}, ours=True, server=True, what=_BARE),
    Known("daogou server, dense", "ours_server", "Server", _OURS, _DENSE, ours=True, server=True, nearest=False, what=_HTTP),
    Known("daogou server, hybrid", "ours_server", "Server", _OURS, ours=True, server=True, nearest=False, what=_HTTP),
    Known("pgvector", "postgres", "Postgres", _POSTGRES, server=True, what="HNSW, price indexed, socket"),
    Known("pgvector, exact", "postgres", "Postgres", _POSTGRES, {"exact": True}, server=True, what="price indexed, socket"),
    Known("Milvus server", "milvus", "Server", _MILVUS, {"index": "HNSW"}, server=True, alone=True, what="standalone, HNSW, gRPC"),
    Known("Milvus server, flat", "milvus", "Server", _MILVUS, {"index": "FLAT"}, server=True, alone=True, what="standalone, gRPC"),
    Known("Chroma server", "chroma", "ChromaServer", ("chromadb",), server=True, what="HNSW, HTTP"),
)


def known(names: Sequence[str]) -> list[Known]:
    """Return the peers of these names, in the order of :data:`PEERS`; all of them where no name is given.

    Raises:
        ValueError: there is no such peer.
    """
    if wrong := sorted(set(names) - {peer.name for peer in PEERS}):
        raise ValueError(f"There is no peer {wrong[0]!r}. There are: {'; '.join(peer.name for peer in PEERS)}.")
    return [peer for peer in PEERS if not names or peer.name in names]


def versions_of(peer: Known) -> str:
    """Return the versions of what a peer needs.

    Raises:
        PackageNotFoundError: one of them is not installed.
    """
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in peer.packages)


def make(peer: Known, folders: Folders) -> VectorPeer | TextPeer:
    """Return the peer, empty; it may write below ``folders.scratch``.

    Raises:
        MissingError: what it needs is not here.
    """
    made = getattr(importlib.import_module(f"benchmarks.peers.{peer.module}"), peer.made_by)(folders, **peer.given)
    assert isinstance(made, VectorPeer | TextPeer)
    return made
