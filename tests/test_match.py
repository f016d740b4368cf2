"""The match set is calibrated: probabilities are fitted right, and a filter never takes a product out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from engine.errors import EvaluationError
from engine.fit import Evidence
from engine.index.lexical import LexicalScores
from engine.index.vectors import Neighbours
from engine.match import Calibration, match, nearness
from engine.retrieve import Candidates
from evals.calibration import Judged, auroc, fit_calibration, probabilities, score_matching

N = 40
LIMITS = {"threshold": 0.1, "fill": 0.02, "suitable": 0.3, "background": 0.3, "depth": 8, "meant": True}


def planted(n: int = 3000, seed: int = 0) -> Judged:
    rng = np.random.default_rng(seed)
    signals = rng.uniform(0, 1, (n, 5)).astype(np.float32)
    p = probabilities(Calibration(-2, 4, 2, 1, -3, -1), signals)
    return Judged(signals, rng.uniform(size=n) < p, rng.integers(0, 50, n))


def test_a_calibration_is_found_again_from_what_it_made() -> None:
    found = fit_calibration(planted(20_000))
    for name, value in {"bias": -2, "meaning": 4, "words": 2, "agrees": 1, "differs": -3, "other": -1}.items():
        assert getattr(found, name) == pytest.approx(value, abs=0.35)


def test_the_fit_is_that_of_another_library() -> None:
    judged = planted()
    other = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)
    other.fit(judged.signals, judged.relevant, sample_weight=judged.weights)
    found = fit_calibration(judged)
    assert found.bias == pytest.approx(float(other.intercept_[0]), abs=2e-3)
    expected = other.coef_[0].tolist()
    assert [found.meaning, found.words, found.agrees, found.differs, found.other] == pytest.approx(expected, abs=2e-3)


def test_probabilities_hold_where_they_were_not_fitted() -> None:
    report = score_matching(fit_calibration(planted()), planted(seed=1), 0.5)
    assert report.error < 0.04
    assert report.auroc > 0.75
    assert report.f1 == pytest.approx(2 * report.precision * report.recall / (report.precision + report.recall))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_the_area_under_the_curve_is_that_of_another_library(pos: list[int], neg: list[int]) -> None:
    expected = roc_auc_score([1] * len(pos) + [0] * len(neg), [*pos, *neg])
    assert auroc(pos, neg) == pytest.approx(expected)


def test_nothing_can_be_fitted_to_one_class() -> None:
    with pytest.raises(EvaluationError, match="relevant and irrelevant"):
        fit_calibration(Judged(np.zeros((3, 5), np.float32), np.ones(3, bool), np.arange(3)))


def made(seed: int) -> tuple[Candidates, np.ndarray, Evidence]:
    """Return candidates of a small shop, the cosine of every product, and evidence."""
    rng = np.random.default_rng(seed)
    cosines = rng.uniform(-0.2, 0.9, N).astype(np.float32)
    nearest = np.argsort(-cosines)[: LIMITS["depth"]]
    coverage = np.where(rng.uniform(size=N) < 0.5, rng.uniform(size=N), 0).astype(np.float32)
    zero = np.zeros(N, np.float32)
    evidence = Evidence(zero, (rng.uniform(size=N) < 0.2).astype(np.float32), zero, 1)
    dense = Neighbours(nearest.astype(np.int64), cosines[nearest])
    return Candidates(LexicalScores(coverage, coverage), dense, np.empty(0, np.int64)), cosines, evidence


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_filter_only_takes_out_what_it_excludes(seed: int, other: int) -> None:
    everywhere, cosines, evidence = made(seed)
    whole = match(everywhere, everywhere.dense, evidence, None, Calibration(), **LIMITS)  # type: ignore[arg-type]
    allowed = np.random.default_rng(other).uniform(size=N) < 0.4
    rows = np.flatnonzero(allowed)
    near = rows[np.argsort(-cosines[rows])][: LIMITS["depth"]]
    within = Neighbours(near.astype(np.int64), cosines[near])
    part = match(everywhere, within, evidence, allowed, Calibration(), **LIMITS)  # type: ignore[arg-type]
    assert set(whole.rows) & set(rows) <= set(part.rows) <= set(rows)
    if whole.complete and part.complete and len(whole.rows):
        assert set(part.rows) == set(whole.rows) & set(rows)


@given(st.integers(0, 10_000))
def test_the_set_is_empty_only_where_nothing_is_likely(seed: int) -> None:
    everywhere, _, evidence = made(seed)
    found = match(everywhere, everywhere.dense, evidence, None, Calibration(), **LIMITS)  # type: ignore[arg-type]
    assert found.best >= found.relevance.max()
    assert bool(len(found.rows)) <= bool(found.best >= LIMITS["suitable"])
    if found.relevance.max() >= LIMITS["suitable"]:
        assert len(found.rows)
    assert set(found.rows) == set(np.flatnonzero(found.mask))
    if len(found.rows):
        assert found.relevance[found.rows].min() >= np.float32(LIMITS["fill"])


def test_nearness_counts_from_chance() -> None:
    assert nearness(np.array([0.1, 0.3, 0.65, 1.0], np.float32), 0.3).tolist() == pytest.approx([0, 0, 0.5, 1])


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 0.9, 0.99]), st.sampled_from([0.0, 0.02, 0.1]))
def test_a_short_list_is_filled_with_the_likeliest_and_no_further(seed: int, threshold: float, fill: float) -> None:
    everywhere, _, evidence = made(seed)
    limits = LIMITS | {"threshold": threshold, "fill": fill, "suitable": 0.0}
    found = match(everywhere, everywhere.dense, evidence, None, Calibration(), **limits)  # type: ignore[arg-type]
    p = found.relevance
    some = (everywhere.lexical.coverage > 0) | np.isin(np.arange(N), everywhere.dense.rows)
    assert found.mask[some & (p >= threshold)].all()
    assert not found.mask[p < fill].any()
    tenth = np.sort(p)[-10]
    strict = some & (p >= threshold)
    expected = strict if strict.sum() >= 10 else some & (p >= max(tenth, fill))
    assert np.array_equal(found.mask, expected)


@given(st.lists(st.floats(-5, 5), min_size=6, max_size=6), st.floats(0, 1), st.booleans(), st.booleans(), st.integers(0, 1000))
def test_nothing_without_a_word_is_likelier_than_the_most(
    weights: list[float], nearest: float, traits: bool, kinds: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    agrees = rng.uniform(size=N).astype(np.float32)
    differs, other = (1 - agrees) * rng.uniform(size=N).astype(np.float32), (rng.uniform(size=N) < 0.5).astype(np.float32)
    evidence = Evidence(agrees, differs, other, int(traits), kinds)
    near = (nearest * rng.uniform(size=N)).astype(np.float32)
    calibration = Calibration(weights[0], abs(weights[1]), *weights[2:])
    odds = calibration.odds(near, np.zeros(N, np.float32), evidence)
    assert odds.max() <= calibration.most(np.float32(nearest), evidence) + 1e-4
