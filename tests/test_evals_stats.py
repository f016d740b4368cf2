import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EvaluationError
from evals.stats import bootstrap_mean, holm, paired_difference, randomisation_test

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=10).map(np.array)


def test_interval_matches_the_normal_approximation() -> None:
    """The bootstrap distribution of a mean tends to a normal one with the plug-in standard error."""
    values = np.random.default_rng(1).beta(2, 1, size=400)
    half = 1.959964 * values.std() / math.sqrt(len(values))
    estimate = bootstrap_mean(values)
    assert estimate.mean == pytest.approx(values.mean())
    assert estimate.n == 400
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.06 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.06 * half)


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    trials = 400
    covered = 0
    for trial in range(trials):
        estimate = bootstrap_mean(rng.uniform(size=60), resamples=600, seed=trial)
        covered += estimate.low <= 0.5 <= estimate.high
    # 0.95 less the small-sample loss of the percentile method, plus and minus four standard errors.
    assert 0.89 <= covered / trials <= 0.99


@given(SCORES, st.integers(0, 5))
def test_interval_is_seeded_and_inside_the_range(values: np.ndarray, seed: int) -> None:
    estimate = bootstrap_mean(values, resamples=200, seed=seed)
    assert estimate == bootstrap_mean(values, resamples=200, seed=seed)
    assert values.min() - 1e-12 <= estimate.low <= estimate.high <= values.max() + 1e-12


def test_blocks_change_nothing_but_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).uniform(size=50)
    other = np.random.default_rng(4).uniform(size=50)
    whole = bootstrap_mean(values), randomisation_test(values, other)
    monkeypatch.setattr("evals.stats._BLOCK", 7_000)
    assert bootstrap_mean(values) == whole[0]
    assert randomisation_test(values, other) == pytest.approx(whole[1], abs=0.02)


@given(SCORES)
def test_small_randomisation_test_equals_enumeration(values: np.ndarray) -> None:
    values = np.round(values, 3)  # closer together than that, the slacks for rounding decide
    other = np.round(values[::-1] * 4) / 4
    differences = (other - values).tolist()
    observed = abs(sum(differences))
    patterns = list(product((1, -1), repeat=len(differences)))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in patterns]
    expected = sum(total >= observed - 1e-9 for total in sums) / len(patterns)
    assert randomisation_test(values, other) == pytest.approx(expected)


@pytest.mark.parametrize("n", [10, 20], ids=["exact", "drawn"])
def test_randomisation_test_is_uniform_when_nothing_differs(n: int) -> None:
    rng = np.random.default_rng(5)
    trials = 400
    p = np.array([randomisation_test(rng.uniform(size=n), rng.uniform(size=n), resamples=500) for _ in range(trials)])
    for level in (0.05, 0.1, 0.25, 0.5, 0.75):
        assert abs((p <= level).mean() - level) <= 4 * math.sqrt(level * (1 - level) / trials) + 2 / 500


def test_randomisation_test_finds_a_planted_effect_both_ways() -> None:
    rng = np.random.default_rng(6)
    a = rng.uniform(0, 0.8, size=60)
    b = a + rng.normal(0.08, 0.1, size=60)
    assert randomisation_test(a, b) < 0.001
    assert randomisation_test(a, b) == pytest.approx(randomisation_test(b, a), abs=0.001)
    assert paired_difference(a, b).low > 0
    assert paired_difference(b, a).high < 0
    assert paired_difference(a, b).mean == pytest.approx(b.mean() - a.mean())


def test_pairing_is_used() -> None:
    """Hard and easy queries differ far more than the systems do; only a paired interval can be this narrow."""
    a = np.linspace(0, 0.9, 50)
    b = a + 0.02
    estimate = paired_difference(a, b)
    assert (estimate.low, estimate.high) == pytest.approx((0.02, 0.02))


def test_equal_runs_have_p_one() -> None:
    for n in (5, 40):
        values = np.linspace(0, 1, n)
        assert randomisation_test(values, values) == 1.0


def test_unusable_scores_are_sentences() -> None:
    with pytest.raises(EvaluationError, match="no score"):
        bootstrap_mean(np.array([]))
    with pytest.raises(EvaluationError, match="1 of 2 scores are not finite"):
        bootstrap_mean(np.array([0.1, np.nan]))
    with pytest.raises(EvaluationError, match="2 scores cannot be paired with 3"):
        randomisation_test(np.zeros(2), np.zeros(3))
    with pytest.raises(EvaluationError, match="confidence level of 95"):
        bootstrap_mean(np.zeros(2), level=95)
    with pytest.raises(EvaluationError, match="0 resamples"):
        bootstrap_mean(np.zeros(2), resamples=0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(values: list[float]) -> None:
    """A hypothesis falls when every set of hypotheses that it is in falls by Bonferroni."""
    n = range(len(values))
    sets = [s for size in range(1, len(values) + 1) for s in combinations(n, size)]
    expected = [max(min(1.0, len(s) * min(values[i] for i in s)) for s in sets if place in s) for place in n]
    assert holm(values) == pytest.approx(expected)


def test_holm_refuses_what_is_no_probability() -> None:
    with pytest.raises(EvaluationError, match="between 0 and 1"):
        holm([0.5, 1.5])


def test_values_of_one_person_are_resampled_together() -> None:
    rng = np.random.default_rng(0)
    covered = {True: 0, False: 0}
    for trial in range(200):
        people = np.repeat(np.arange(60), rng.integers(1, 6, size=60))
        values = rng.normal(size=60)[people] + 0.1 * rng.normal(size=len(people))
        for clustered in covered:
            estimate = bootstrap_mean(values, resamples=300, seed=trial, clusters=people if clustered else None)
            covered[clustered] += estimate.low <= 0 <= estimate.high
    assert covered[True] >= 180 > covered[False]
    alone = np.arange(40)
    assert bootstrap_mean(values[:40], clusters=alone) == bootstrap_mean(values[:40])
