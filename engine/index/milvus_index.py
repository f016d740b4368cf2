"""The Milvus back-end: the vectors of a snapshot in a collection of their own, for a shop that one machine does not hold.

The snapshot stays the truth: its manifest names the collection, ``vectors/collection.json`` says what is stored there, and the
collection can be made anew from ``vectors.faiss``. A collection is never changed once it is whole, so ``CURRENT`` stays the only
pointer. Filters are pushed down (:mod:`engine.index.pushdown`), what comes back is tested again, and with a filter every list is
looked into, so that filtered search is exact and never short; how many lists are enough without one is measured when the
collection is made. Needs the extra ``milvus``. Knows nothing of products or queries.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import MissingExtraError, SnapshotError, VectorEngineError
from engine.index.faiss_index import Probing, map_vectors
from engine.index.filters import Filter
from engine.index.pushdown import MOST_LABELS, Pushdown, listed
from engine.index.table import Table
from engine.index.vectors import NO_NEIGHBOURS, Neighbours, as_float32, check_finite, order_by_score

__all__ = ["COLLECTION", "Milvus", "MilvusVectors", "save_collection"]

COLLECTION = "collection.json"
"""The file of a snapshot's vectors that says which collection holds them."""
_MOST = 16_384
"""Rows that Milvus returns at most."""
_LISTED = 10_000
"""Rows an expression lists at most."""
_SMALL = 8_192
"""Below so many products nothing but a scan is worth it."""
_INSERTED = 1_000
_BUILT_S = 3_600.0
_T = TypeVar("_T")


class Milvus:
    """A connection. What fails there is a :class:`~engine.errors.VectorEngineError`. Thread-safe.

    Raises:
        MissingExtraError: pymilvus is not installed.
        VectorEngineError: nothing answers at ``uri``, or it does not let ``token`` in.
    """

    def __init__(self, uri: str, token: str = "", timeout_s: float = 10.0) -> None:
        try:
            from pymilvus import MilvusClient
        except ImportError as error:
            raise MissingExtraError("The setting milvus_uri needs pymilvus. Run `pip install 'daogou[milvus]'`.") from error
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what it logs is raised as well
        self._uri, self._timeout_s = uri, timeout_s
        self._client: Any = self.asked(lambda: MilvusClient(uri, token=token, timeout=timeout_s))

    def asked(self, call: Callable[[], _T]) -> _T:
        """Return what a call returns.

        Raises:
            VectorEngineError: it failed.
        """
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        try:
            return call()
        except (MilvusException, RpcError, OSError) as error:
            said = " ".join(str(getattr(error, "message", "") or error).split())[:200]
            raise VectorEngineError(
                f"Milvus at {self._uri} did not do what was asked: {said}. See that it runs, and that the setting milvus_uri is "
                "its address."
            ) from error

    def names(self) -> list[str]:
        """Return the names of all collections."""
        return list(self.asked(lambda: self._client.list_collections(timeout=self._timeout_s)))

    def drop(self, name: str) -> None:
        """Remove a collection."""
        self.asked(lambda: self._client.drop_collection(name, timeout=self._timeout_s))

    def count(self, name: str) -> int:
        """Return how many rows a collection has, 0 where it is not there, or whoever made it did not get to its index."""
        if name not in self.names() or not self.asked(lambda: self._client.list_indexes(name)):
            return 0
        self.asked(lambda: self._client.load_collection(name))
        found = self.asked(
            lambda: self._client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")
        )
        return int(found[0]["count(*)"])

    def create(
        self, name: str, dimension: int, lists: int, pushdown: Pushdown, batches: Iterator[list[dict[str, Any]]]
    ) -> None:
        """Make a collection of rows, wait until it is indexed, and load it; one of that name that is there goes first."""
        from pymilvus import DataType

        client = self._client

        def made() -> None:
            if client.has_collection(name):
                client.drop_collection(name)
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("row", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
            schema.add_field("labels", DataType.ARRAY, element_type=DataType.INT32, max_capacity=MOST_LABELS)
            for stored in pushdown.stored:
                if stored.field:
                    schema.add_field(stored.field, DataType.DOUBLE)
            client.create_collection(name, schema=schema)
            for batch in batches:
                client.insert(name, batch)
            client.flush(name)
            index = client.prepare_index_params()
            kind, parameters = ("IVF_FLAT", {"nlist": lists}) if lists else ("FLAT", {})
            index.add_index("vector", index_type=kind, metric_type="IP", params=parameters)
            client.create_index(name, index)
            self._wait(name)
            client.load_collection(name)

        self.asked(made)

    def _wait(self, name: str) -> None:
        """Wait until every row is in the index: until then Milvus searches another one, made in haste."""
        until = time.monotonic() + _BUILT_S
        while time.monotonic() < until:
            state = self._client.describe_index(name, "vector") or {}
            if int(state.get("pending_index_rows") or 0) == 0 and str(state.get("state", "Finished")) == "Finished":
                return
            time.sleep(0.2)
        raise VectorEngineError(f"Milvus at {self._uri} did not finish the index of {name} within {_BUILT_S:.0f} s.")

    def search(
        self, name: str, queries: NDArray[np.float32], k: int, expression: str, lists: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Return rows and inner products of the ``k`` best rows for each query."""
        parameters = {"metric_type": "IP", "params": {"nprobe": lists} if lists else {}}
        answers = self.asked(
            lambda: self._client.search(
                name,
                data=list(queries),
                anns_field="vector",
                limit=k,
                filter=expression,
                search_params=parameters,
                output_fields=[],
                consistency_level="Eventually",  # it never changes, so there is nothing to wait for
                timeout=self._timeout_s,
            )
        )
        out = []
        for hits in answers:
            rows = np.array([hit.get("row", hit.get("id")) for hit in hits], np.int64)
            out.append((rows, np.array([hit["distance"] for hit in hits], np.float32)))
        return out

    def vectors(self, name: str, rows: NDArray[np.int64]) -> dict[int, list[float]]:
        """Return the vector of each row that there is."""
        found = self.asked(
            lambda: self._client.query(
                name, filter=f"row in {listed(rows)}", output_fields=["row", "vector"], timeout=self._timeout_s
            )
        )
        return {int(entity["row"]): entity["vector"] for entity in found}


@dataclass(frozen=True, slots=True)
class _Stored:
    """What ``collection.json`` says."""

    collection: str
    rows: int
    dimension: int
    lists: int
    probing: dict[str, int]
    columns: list[dict[str, Any]]


def save_collection(folder: Path, milvus: Milvus, name: str, table: Table) -> None:
    """Make the collection ``name`` of the vectors in ``folder`` and of the table's columns, unless it is there and whole, and
    write down what it holds."""
    vectors = map_vectors(folder)
    n, dimension = vectors.shape
    pushdown = Pushdown.chosen(table)
    lists = 0 if n < _SMALL else int(4 * n**0.5)

    def batches() -> Iterator[list[dict[str, Any]]]:
        for start in range(0, n, _INSERTED):
            some = as_float32(vectors[start : start + _INSERTED])
            fields = pushdown.fields(start, start + len(some))
            yield [{"row": start + i, "vector": some[i], **fields[i]} for i in range(len(some))]

    if milvus.count(name) != n:
        milvus.create(name, dimension, lists, pushdown, batches())
    probing = asdict(Probing(lists=min(16, lists)))
    _write(folder, _Stored(name, n, dimension, lists, probing, [asdict(column) for column in pushdown.stored]))


def _write(folder: Path, stored: _Stored) -> None:
    (folder / COLLECTION).write_text(json.dumps(asdict(stored), indent=1), "utf-8")


class MilvusVectors:
    """The vectors of a snapshot that lie in Milvus. Thread-safe."""

    def __init__(self, folder: Path, milvus: Milvus, table: Table, *, probing: Probing | None = None) -> None:
        self._folder, self._milvus = folder, milvus
        self._stored = _Stored(**json.loads((folder / COLLECTION).read_text("utf-8")))
        self._name, self.lists = self._stored.collection, self._stored.lists
        self._pushdown = Pushdown.of_json(table, self._stored.columns)
        self.probing = probing or Probing(**self._stored.probing)
        if self._name not in milvus.names():
            raise SnapshotError(f"The collection {self._name} of this snapshot is not in Milvus. Index the feed again.")

    @property
    def size(self) -> int:
        """How many rows there are."""
        return self._stored.rows

    def save_probing(self) -> None:
        """Write down how far searches go."""
        _write(self._folder, _Stored(**{**asdict(self._stored), "probing": asdict(self.probing)}))

    def search(
        self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None, tree: Filter | None = None
    ) -> Neighbours:
        """Return the ``k`` nearest of the ``allowed`` rows; approximate only where nothing is filtered."""
        check_finite(query)
        matching = self.size if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, matching)
        if allowed is None or matching == self.size:
            return self.search_many(query[None], k)[0]
        if k == 0:
            return NO_NEIGHBOURS
        if matching <= _LISTED:
            return self._exact(query, k, f"row in {listed(np.flatnonzero(allowed))}")
        if self.size - matching <= _LISTED:
            return self._exact(query, k, f"row not in {listed(np.flatnonzero(~allowed))}")
        return self._tested(query, k, allowed, self._pushdown.expression(tree))

    def search_many(self, queries: NDArray[np.float32], k: int) -> list[Neighbours]:
        """Return the ``k`` nearest of all rows to each query."""
        check_finite(queries)
        k = min(k, self.size)
        if k == 0 or not len(queries):
            return [NO_NEIGHBOURS for _ in queries]
        if 4 * k > min(self.size, _MOST):
            return [self._exact(query, k, "") for query in queries]
        answers = self._milvus.search(self._name, queries, k, "", self.probing.lists)
        found = [order_by_score(rows, scores, k) for rows, scores in answers]
        # a list that ran short: never return fewer than there are
        return [n if len(n.rows) == k else self._exact(q, k, "") for n, q in zip(found, queries, strict=True)]

    def scores(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the exact cosines float32 ``(m,)`` of the given rows."""
        once, places = np.unique(rows, return_inverse=True)
        found = np.full(len(once), np.nan, np.float32)
        for start in range(0, len(once), _LISTED):
            some = once[start : start + _LISTED]
            near = self._exact(query, len(some), f"row in {listed(some)}")
            found[start + np.searchsorted(some, near.rows)] = near.scores
        self._check_there(once[np.isnan(found)])
        return found[places]

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors float32 ``(m, d)`` of the given rows."""
        once, places = np.unique(rows, return_inverse=True)
        found: dict[int, list[float]] = {}
        for start in range(0, len(once), _INSERTED):
            found |= self._milvus.vectors(self._name, once[start : start + _INSERTED])
        self._check_there(np.array([row for row in once.tolist() if row not in found], np.int64))
        out = np.array([found[row] for row in once.tolist()], np.float32).reshape(len(once), self._stored.dimension)
        return out[places]

    def _check_there(self, missing: NDArray[np.int64]) -> None:
        if len(missing):
            raise SnapshotError(f"Row {missing[0]} is not in the collection {self._name}. Index the feed again.")

    def _exact(self, query: NDArray[np.float32], k: int, expression: str) -> Neighbours:
        """Return the ``k`` best rows that pass an expression, every list looked into; more than Milvus returns come in spans."""
        if k <= _MOST:
            ((rows, scores),) = self._milvus.search(self._name, query[None], k, expression, self.lists)
            return order_by_score(rows, scores, k)
        best = NO_NEIGHBOURS
        for start in range(0, self.size, _MOST):
            span = f"row >= {start} and row < {start + _MOST}"
            near = self._exact(query, _MOST, f"({expression}) and {span}" if expression else span)
            best = _merged(best, near, k)
        return best

    def _tested(self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_], expression: str) -> Neighbours:
        """Return the ``k`` best of the ``allowed`` rows, all of which pass the expression; others may pass it too."""
        wanted = k
        while wanted <= _MOST:
            near = self._exact(query, wanted, expression)
            kept = allowed[near.rows]
            if np.count_nonzero(kept) >= k or len(near.rows) < wanted:
                return Neighbours(near.rows[kept][:k], near.scores[kept][:k])
            wanted = max(wanted + 1, min(4 * wanted, _MOST))
        rows, best = np.flatnonzero(allowed), NO_NEIGHBOURS
        for start in range(0, len(rows), _LISTED):
            some = rows[start : start + _LISTED]
            best = _merged(best, self._exact(query, min(k, len(some)), f"row in {listed(some)}"), k)
        return best


def _merged(one: Neighbours, other: Neighbours, k: int) -> Neighbours:
    return order_by_score(np.concatenate([one.rows, other.rows]), np.concatenate([one.scores, other.scores]), k)
