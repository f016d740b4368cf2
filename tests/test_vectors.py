"""Every vector search of every engine against brute force, over filters from everything to one in a thousand.

Milvus is its small version in a file, or the server that ``DAOGOU_TEST_MILVUS`` names (see test_milvus_server).
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import SnapshotError
from engine.index.faiss_index import FaissVectors, create_vectors, factory_for, map_vectors, save_index
from engine.index.vectors import ExactVectors, VectorIndex
from indexer.build import tied_recall
from milvus_parts import a_milvus, collected
from shop import random_products

N, D = 10_000, 32
PRODUCTS = random_products(400)


def clustered(n: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(40, D))
    points = centres[rng.integers(0, 40, n)] + 0.5 * rng.normal(size=(n, D))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def half() -> NDArray[np.float16]:
    return clustered(N, 1).astype(np.float16)


@pytest.fixture(scope="module", params=["", "PQ16x4fs", "IVF64,PQ16x4fs", "milvus"])
def index(request: pytest.FixtureRequest, half: NDArray[np.float16], tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    folder = tmp_path_factory.mktemp("vectors")
    if request.param == "milvus":
        with a_milvus(folder) as milvus:
            create_vectors(folder / "vectors", *half.shape)[:] = half
            yield collected(milvus, folder, [replace(p, id=f"P{i:05d}") for i in range(N // 400) for p in PRODUCTS])
        return
    saved(half, folder, request.param)
    yield FaissVectors(folder)


def saved(half: NDArray[np.float16], folder: Path, factory: str | None = None) -> None:
    create_vectors(folder, *half.shape)[:] = half
    save_index(folder, factory=factory)


def brute_force(half: NDArray[np.float16], query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_]) -> list[int]:
    scores = half.astype(np.float64) @ query.astype(np.float64)
    rows = np.flatnonzero(allowed)
    return sorted(rows.tolist(), key=lambda r: (-scores[r], r))[:k]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.2, 0.06, 0.04, 0.01, 0.001])
@pytest.mark.parametrize("correlated", [False, True])
def test_filtered_search_finds_the_true_neighbours(
    index: VectorIndex, half: NDArray[np.float16], share: float, correlated: bool
) -> None:
    rng = np.random.default_rng(3)
    queries = clustered(20, 2)
    for query in queries:
        key = -(half.astype(np.float32) @ query) if correlated else rng.random(N)
        allowed = np.zeros(N, bool)
        allowed[np.argsort(key)[:: -1 if correlated else 1][: int(share * N)]] = True
        got = index.search(query, 10, allowed if share < 1 else None)
        assert len(got.rows) == 10
        assert allowed[got.rows].all()
        assert (np.diff(got.scores) <= 0).all()
        want = brute_force(half, query, 10, allowed)
        if share < 1:  # exact whenever there is a filter; half-precision sums may swap near ties
            np.testing.assert_allclose(np.sort(half[got.rows].astype(np.float32) @ query), np.sort(half[want].astype(np.float32) @ query), atol=2e-3)
            assert len(set(got.rows.tolist()) & set(want)) >= 9
        else:
            assert len(set(got.rows.tolist()) & set(want)) >= 5


@pytest.mark.parametrize("k", [0, 1, 10, 300, N // 2, 2 * N])
def test_many_queries_together_find_what_they_find_alone(index: VectorIndex, k: int) -> None:
    queries = clustered(7, 4)
    for query, together in zip(queries, index.search_many(queries, k), strict=True):
        alone = index.search(query, k)
        np.testing.assert_allclose(together.scores, alone.scores, atol=1e-6)
        # scores of one value may trade places: compare what is clearly above the last one
        clear = alone.scores > alone.scores[-1] + 1e-6 if k else np.zeros(0, bool)
        assert set(alone.rows[clear]) <= set(together.rows)
    assert index.search_many(queries[:0], k) == []


def test_recall_without_a_filter(index: VectorIndex, half: NDArray[np.float16]) -> None:
    queries = clustered(50, 5)
    worst = np.array([near.scores[-1] for near in ExactVectors(half).search_many(queries, 10)])
    assert tied_recall(index, queries, worst) >= 0.9


def test_it_is_never_short_and_never_invents_rows(index: VectorIndex) -> None:
    query = clustered(1, 9)[0]
    few = np.zeros(N, bool)
    few[[3, 77]] = True
    assert sorted(index.search(query, 10, few).rows.tolist()) == [3, 77]
    assert len(index.search(query, 10, np.zeros(N, bool)).rows) == 0
    everything = index.search(query, 2 * N)
    assert sorted(everything.rows.tolist()) == list(range(N))


def test_what_is_not_finite_is_refused(index: VectorIndex, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="not finite"):
        index.search(np.full(D, np.nan, np.float32), 3)
    with pytest.raises(SnapshotError, match="row 1"):
        saved(np.array([[1, 0], [np.inf, 0]], np.float16), tmp_path)


def test_the_index_follows_the_size() -> None:
    assert factory_for(1_000, 384) == ""
    assert factory_for(20_000, 384) == "PQ192x4fs"
    assert factory_for(1_000_000, 384) == "IVF2000,PQ192x4fs"


def test_the_index_follows_the_memory() -> None:
    assert factory_for(1_000_000, 384, 100_000_000) == "IVF2000,PQ192x4fs"
    assert factory_for(1_000_000, 384, 60_000_000) == "IVF2000,PQ96x4fs"
    assert factory_for(1_000_000, 384, 1_000_000) == ""


def test_one_file_serves_numpy_and_faiss(half: NDArray[np.float16], tmp_path: Path) -> None:
    saved(half[:100], tmp_path, "")
    assert np.array_equal(map_vectors(tmp_path), half[:100])
    read = faiss.read_index(str(tmp_path / "vectors.faiss"))
    assert read.ntotal == 100
    assert np.array_equal(read.reconstruct_n(0, 100), half[:100].astype(np.float32))


@pytest.mark.parametrize("k", [1, 10, 3_000])
def test_many_exact_searches_read_the_rows_once(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.index.vectors._CHUNK", 999)
    vectors = clustered(2_500, 3)
    vectors[1_000:1_010] = vectors[5]
    exact, queries = ExactVectors(vectors), np.concatenate([clustered(5, 6), vectors[5:6]])
    for query, together in zip(queries, exact.search_many(queries, k), strict=True):
        alone = exact.search(query, k)
        np.testing.assert_allclose(together.scores, alone.scores, atol=1e-6)
        assert len(set(together.rows.tolist())) == min(k, 2_500)


def test_ties_break_by_row() -> None:
    same = np.tile(np.array([1, 0], np.float32), (50, 1))
    assert ExactVectors(same).search(np.array([1, 0], np.float32), 5).rows.tolist() == [0, 1, 2, 3, 4]


def test_half_precision_is_read_exactly() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)][:, None]
    read = ExactVectors(finite).vectors(np.arange(len(finite)))
    assert read.dtype == np.float32
    assert np.array_equal(read, finite.astype(np.float32))
    assert np.array_equal(np.signbit(read), np.signbit(finite))
