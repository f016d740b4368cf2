"""Our own service over HTTP, with its default settings and two workers."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import threading
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.protocol import Folders, MissingError, Product
from benchmarks.servers import serving
from engine.index.documents import Documents
from engine.index.snapshot import open_snapshot
from engine.index.table import Table

__all__ = ["Server"]

_HELPING = ("DAOGOU_FEEDBACK", "DAOGOU_MIN_RELEVANCE", "DAOGOU_TAIL_RELEVANCE")


class Server:
    """Searches as a shop would: ``alpha`` 1 is by meaning alone, ``None`` is what the settings say.

    ``bare`` turns off what a vector engine does not do: reading the query, moving it towards its best products, and ending the list
    where nothing more is suitable.
    """

    def __init__(self, folders: Folders, alpha: float | None = None, bare: bool = False) -> None:
        self._store, self._mine, self._running = folders.store, threading.local(), contextlib.ExitStack()
        self._settings = dict.fromkeys(_HELPING, "0") if bare else {}
        self._asked = "/v1/search?q={q}&facet_by=&per_page={k}" + ("" if alpha is None else f"&alpha={alpha:g}")
        self._asked += "&understand=false&correct=false" if bare else ""
        self.about = ""

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Start the server; its store is indexed already."""
        snapshot = open_snapshot(self._store)
        priced = Table(snapshot.parts).fields.get("price", ())
        self._currency = max(priced, key=lambda column: len(column.rows)).unit if priced else ""
        self._rows = {name: row for row, name in enumerate(Documents(snapshot.parts).ids)}
        environment = {"DAOGOU_STORE": str(self._store.resolve()), "DAOGOU_PORT": "{port}", "DAOGOU_WORKERS": "2"}
        environment |= self._settings
        command = (sys.executable, "-m", "api.server")
        self._base = urlsplit(self._running.enter_context(serving(command, environment, "/readyz")).base).netloc

    def answer(self, query: str, k: int, price_limit: float | None) -> list[Product]:
        """Return the hits of one search."""
        connection: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = http.client.HTTPConnection(self._base, timeout=60)
        path = self._asked.format(q=quote(query, safe=""), k=k)
        path += "" if price_limit is None else f"&filter_by=price:%3C={price_limit!r}{self._currency}"
        connection.request("GET", path)
        with connection.getresponse() as response:
            if response.status != 200:
                raise MissingError(f"The server answers {response.status} to {path}.")
            hits = json.load(response)["hits"]
        return [(self._rows[hit["document"]["id"]], hit["document"]["title"]) for hit in hits]

    def close(self) -> None:
        """End the server."""
        self._running.close()
