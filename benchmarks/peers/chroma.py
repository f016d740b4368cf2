"""Chroma: in process, and its server over HTTP."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
from chromadb.config import Settings
from numpy.typing import NDArray

from benchmarks.peers.protocol import (
    BREADTH,
    BUILD_BREADTH,
    LINKS,
    Folders,
    MissingError,
    Product,
    finite,
    plain_environment,
)
from benchmarks.servers import free_port

__all__ = ["Chroma", "ChromaServer"]

_AT_A_TIME = 1_000
_PATIENCE_S = 60
_QUIET = Settings(anonymized_telemetry=False)


class Chroma:
    """A collection on the disk, in this process."""

    def __init__(self, folders: Folders) -> None:
        self._scratch = folders.scratch
        self.about = ""

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Add all products to a collection."""
        graph = {"space": "ip", "ef_construction": BUILD_BREADTH, "max_neighbors": LINKS, "ef_search": BREADTH}
        client = self._connected(self._scratch)
        self._collection = client.create_collection("products", configuration={"hnsw": graph}, embedding_function=None)
        priced = finite(prices)
        for start in range(0, len(vectors), _AT_A_TIME):
            rows = range(start, min(start + _AT_A_TIME, len(vectors)))
            self._collection.add(
                ids=[str(i) for i in rows],
                embeddings=vectors[rows.start : rows.stop],
                metadatas=[{"price": priced[i]} for i in rows],
                documents=texts[rows.start : rows.stop],
            )

    def search(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[int]:
        """Return the rows of the nearest."""
        return [int(name) for name in self._ask(vector, k, price_limit, [])["ids"][0]]

    def products(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[Product]:
        """Return the nearest with their texts."""
        found = self._ask(vector, k, price_limit, ["documents"])
        return [(int(name), text) for name, text in zip(found["ids"][0], found["documents"][0], strict=True)]

    def close(self) -> None:
        """Nothing runs."""

    def _connected(self, scratch: Path) -> Any:
        return chromadb.PersistentClient(str(scratch / "chroma"), settings=_QUIET)

    def _ask(self, vector: NDArray[np.float32], k: int, price_limit: float | None, include: list[str]) -> Any:
        where: Any = None if price_limit is None else {"price": {"$lte": price_limit}}
        return self._collection.query(query_embeddings=vector[None], n_results=k, where=where, include=include)


class ChromaServer(Chroma):
    """The same, asked over HTTP."""

    def _connected(self, scratch: Path) -> Any:
        port = free_port()
        program = Path(sys.executable).with_name("chroma")
        if not program.exists():
            raise MissingError("The program `chroma` is not beside Python.")
        command = [program, "run", "--path", scratch / "chroma", "--host", "127.0.0.1", "--port", str(port)]
        with (scratch / "chroma.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, env=plain_environment(), cwd=scratch, stdout=log, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + _PATIENCE_S
        while True:
            with contextlib.suppress(Exception):
                client = chromadb.HttpClient("127.0.0.1", port, settings=_QUIET)
                client.heartbeat()
                return client
            if time.monotonic() > until or self._process.poll() is not None:
                raise MissingError("Chroma's server did not start: " + (scratch / "chroma.log").read_text()[-300:])
            time.sleep(0.2)

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(30)
