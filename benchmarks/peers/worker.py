"""Measures one peer for one round, in a process of its own: ``python -m benchmarks.peers.worker NAME CATALOGUE STORE OUT``.

In: the folder that :mod:`benchmarks.bench_peers` wrote. Out: a JSON file with the seconds it took to build and one cell for each
kind of search, filter and number of clients. Clients are threads of this process, the same for every peer. Whole searches embed
the query with the snapshot's encoder; each is a query that the peer was never asked before.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Known, known, make
from benchmarks.peers.protocol import Folders, MissingError, TextPeer, VectorPeer
from engine.encoder import Encoder, open_encoder
from engine.index.snapshot import open_snapshot

__all__ = ["TOP", "VECTORS", "WARMING", "WHOLE", "Cell", "Given", "Limit", "Plan", "agreement", "measure", "read_given"]

TOP = 10
VECTORS, WHOLE = "vectors", "whole"
WARMING = 10
_LEAST = 30
"""Searches of a cell that are made however long they take."""
_TIE = 1e-5
"""Cosines in single precision differ by less, however they are summed."""
_WARMING_S = 0.5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limit:
    """A filter: products that cost at most ``price``, or all; ``share`` of the catalogue passes, ``busy`` asks it from clients."""

    name: str
    price: float | None
    share: float
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: ``searches`` in each cell, or as many as ``seconds`` allow; then ``clients`` at the same time."""

    limits: tuple[Limit, ...]
    searches: int
    seconds: float
    clients: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement. ``short`` answers had fewer than ten products though more passed; ``recall`` is of single searches."""

    kind: str
    limit: str
    clients: int
    p50_ms: float
    p95_ms: float
    per_s: float
    searches: int
    recall: float | None = None
    short: int = 0


@dataclass(frozen=True, slots=True)
class Given:
    """The products, distinct queries in the order they are asked, and those whose vectors are asked."""

    vectors: NDArray[np.float32]
    prices: NDArray[np.float64]
    texts: list[str]
    queries: list[str]
    vector_queries: list[str]


def agreement(
    found: Sequence[Sequence[int]], queries: NDArray[np.float32], vectors: NDArray[np.float32], allowed: NDArray[np.bool_]
) -> tuple[float, int]:
    """Return the recall@10 of ``found``, and how many answers were short.

    A row counts once, if it is allowed and as near as the true tenth: products with one text have one vector, and whichever of
    them is found is right.
    """
    rows = np.flatnonzero(allowed)
    wanted = min(TOP, len(rows))
    if wanted == 0:
        return 1.0, 0
    right, short = 0, 0
    for ids, query in zip(found, queries, strict=True):
        scores = vectors[rows] @ query if len(rows) < len(vectors) else vectors @ query
        worst = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
        own = np.array(sorted(set(ids)), np.int64)
        right += min(wanted, int(np.count_nonzero(allowed[own] & (vectors[own] @ query >= worst - _TIE))))
        short += len(own) < wanted
    return right / (wanted * len(found)), short


def measure(peer: Known, plan: Plan, given: Given, store: Path) -> dict[str, Any]:
    """Build the peer, measure it and close it.

    Raises:
        MissingError: what it needs is not here.
    """
    encoder = open_encoder(open_snapshot(store).path / "encoder")
    queries = itertools.cycle(given.queries)
    with tempfile.TemporaryDirectory(prefix="daogou-peer-", ignore_cleanup_errors=True) as scratch:
        this = make(peer, Folders(Path(scratch), store))
        started = time.monotonic()
        try:
            this.build(given.vectors, given.prices, given.texts)
            built = time.monotonic() - started
            cells: list[Cell] = []
            if isinstance(this, VectorPeer):
                vectors = _encoded(encoder, given.vector_queries)
                cells += _vector_cells(peer, this, plan, given, vectors)
            cells += _whole_cells(peer, this, plan, given, encoder, queries)
        finally:
            this.close()
    return {"build_s": round(built, 2), "about": this.about, "cells": [asdict(cell) for cell in cells]}


def _vector_cells(peer: Known, this: VectorPeer, plan: Plan, given: Given, vectors: NDArray[np.float32]) -> Iterator[Cell]:
    for limit in plan.limits:
        ask = partial(_rows_near, this, limit.price)
        for vector in vectors[plan.searches :]:
            ask(vector)
        times, found = _one_by_one(ask, vectors[: plan.searches], plan.seconds)
        yield _cell(VECTORS, limit, times, found, vectors[: len(found)], given)
        if peer.server and limit.busy:
            yield _together(VECTORS, limit, ask, itertools.cycle(vectors), plan)


def _whole_cells(
    peer: Known, this: VectorPeer | TextPeer, plan: Plan, given: Given, encoder: Encoder, queries: Iterator[str]
) -> Iterator[Cell]:
    for limit in plan.limits:
        ask = partial(_rows_for, this, encoder, limit.price)
        for query in itertools.islice(queries, WARMING):
            ask(query)
        asked = list(itertools.islice(queries, plan.searches))
        times, found = _one_by_one(ask, asked, plan.seconds)
        yield _cell(WHOLE, limit, times, found, _encoded(encoder, asked[: len(found)]) if peer.nearest else None, given)
    for limit in plan.limits:
        if peer.server and limit.busy:
            yield _together(WHOLE, limit, partial(_rows_for, this, encoder, limit.price), queries, plan)


def _rows_near(this: VectorPeer, price: float | None, vector: NDArray[np.float32]) -> list[int]:
    return this.search(vector, TOP, price)


def _rows_for(this: VectorPeer | TextPeer, encoder: Encoder, price: float | None, query: str) -> list[int]:
    """Search for what a shopper typed; where a peer cannot read, the query is embedded first."""
    if isinstance(this, TextPeer):
        return [row for row, _ in this.answer(query, TOP, price)]
    return [row for row, _ in this.products(encoder.encode_queries([query])[0], TOP, price)]


def _encoded(encoder: Encoder, queries: Sequence[str]) -> NDArray[np.float32]:
    """Embed one by one, as a search does: an encoder of eight bits gives a batch slightly other vectors."""
    return np.concatenate([encoder.encode_queries([query]) for query in queries])


def _cell(
    kind: str, limit: Limit, times: list[float], found: list[list[int]], vectors: NDArray[np.float32] | None, given: Given
) -> Cell:
    recall, short = None, 0
    if vectors is not None:
        allowed = np.ones(len(given.prices), bool) if limit.price is None else given.prices <= limit.price
        recall, short = agreement(found, vectors, given.vectors, allowed)
    p50, p95 = np.percentile(times, (50, 95)) * 1000
    return Cell(kind, limit.name, 1, p50, p95, len(times) / sum(times), len(times), recall, short)


def _one_by_one(ask: Callable[[T], list[int]], items: Sequence[T], seconds: float) -> tuple[list[float], list[list[int]]]:
    """Ask one after the other, and return the seconds each took and the answers."""
    times: list[float] = []
    found: list[list[int]] = []
    for item in items:
        if len(times) >= _LEAST and sum(times) > seconds:
            break
        at = time.perf_counter()
        answer = ask(item)
        times.append(time.perf_counter() - at)
        found.append(answer)
    return times, found


def _together(kind: str, limit: Limit, ask: Callable[[Any], list[int]], items: Iterable[Any], plan: Plan) -> Cell:
    """Ask from as many threads as there are clients, each after its last answer, and count after a while."""
    shared, lock = iter(items), threading.Lock()
    times: list[list[tuple[float, float]]] = [[] for _ in range(plan.clients)]
    failures: list[BaseException] = []
    started = time.perf_counter()
    counted, ends = started + _WARMING_S, started + _WARMING_S + plan.seconds

    def client(own: list[tuple[float, float]]) -> None:
        try:
            while (at := time.perf_counter()) < ends and not failures:
                with lock:
                    item = next(shared)
                ask(item)
                own.append((at, time.perf_counter()))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=client, args=(own,)) for own in times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    within = [after - at for own in times for at, after in own if counted <= after <= ends]
    p50, p95 = np.percentile(within, (50, 95)) * 1000
    return Cell(kind, limit.name, plan.clients, p50, p95, len(within) / plan.seconds, len(within))


def read_given(folder: Path) -> tuple[Plan, Given]:
    """Return what is measured, and over what."""
    written = json.loads((folder / "plan.json").read_text("utf-8"))
    limits = tuple(Limit(**limit) for limit in written.pop("limits"))
    vectors, prices = np.load(folder / "vectors.npy"), np.load(folder / "prices.npy")
    lists = (json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("texts", "queries", "vector_queries"))
    return Plan(limits, **written), Given(vectors, prices, *lists)


def main(name: str, catalogue: str, store: str, out: str) -> int:
    """Measure the peer of that name and write what was found, or why nothing was, to ``out``."""
    (peer,) = known([name])
    try:
        found = measure(peer, *read_given(Path(catalogue)), Path(store))
    except MissingError as error:
        found = {"missing": str(error)}
    Path(out).write_text(json.dumps(found), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
