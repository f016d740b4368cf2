"""Near duplicates are held back, no hit is lost, and the order is that of a plain loop over the definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.index.vectors import ExactVectors
from engine.rank import APART, Ranking, apart


def ranking(rows: np.ndarray, fused: np.ndarray) -> Ranking:
    zero = np.zeros(len(rows), np.float32)
    return Ranking(rows, fused, zero, zero, np.zeros(len(rows), bool))


def slow(rows: list[int], fused: list[float], cosine: np.ndarray, groups: np.ndarray, held_back: float) -> list[int]:
    waiting, order = list(range(min(len(rows), APART))), []
    while waiting:
        def worth(i: int) -> float:
            twin = any(
                cosine[rows[i], rows[j]] >= 0.95 or (groups[rows[i]] >= 0 and groups[rows[i]] == groups[rows[j]]) for j in order
            )
            return fused[i] - held_back * twin
        best = max(waiting, key=lambda i: (worth(i), -i))
        waiting.remove(best)
        order.append(best)
    return [rows[i] for i in order] + rows[APART:]


@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.3, 2.0]), st.sampled_from([0, 3, 20, APART + 20]))
def test_the_order_is_that_of_the_definition(seed: int, held_back: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    n = APART + 40
    vectors = rng.normal(size=(n, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = np.where(rng.uniform(size=n) < 0.4, rng.integers(0, 10, n), -1).astype(np.int32)
    rows = rng.permutation(n)[:count].astype(np.int64)
    fused = np.sort(rng.uniform(size=count).astype(np.float32))[::-1]
    index = ExactVectors(vectors)
    got = apart(ranking(rows, fused), index, groups, held_back).rows
    stored = index.vectors(np.arange(n))
    assert got.tolist() == slow(rows.tolist(), fused.astype(float).tolist(), stored @ stored.T, groups, held_back)
