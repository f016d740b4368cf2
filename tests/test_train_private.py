"""Differential privacy that is true: the account, the bound on one user, the probe, and every refusal."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, logsumexp

from engine.encoder.source import find_source, load_original
from engine.errors import TrainingError
from engine.train.accounting import cost, noise_for
from engine.train.examples import Example, ExampleSet
from engine.train.private import (
    Privacy,
    _biases_and_norms,
    clipped_sum,
    coupled_loss,
    probe,
    train_private,
    user_loss,
)
from evals.examples import Gathering
from evals.training import train_and_measure, train_privately
from indexer.logs import LoggedAction, LoggedQuery, SearchLog
from shop import random_products
from test_train_encoder import TEXTS
from tiny_models import save_model

pytestmark = pytest.mark.slow

PRODUCTS = sorted(TEXTS)
CHOICES = [
    Example(TEXTS[p].split()[0], p, 1.0, "choices", "", f"user{u:03d}")
    for u in range(120)
    for p in random.Random(u).sample(PRODUCTS, 1 + u % 4)
]
PRIVACY = Privacy(4.0, users=20, steps=3, negatives=3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    return str(save_model(tmp_path_factory.mktemp("models") / "tiny"))


def loaded(name: str):
    return load_original(find_source(name), max_tokens=32)


def renyi_epsilon(noise: float, rate: float, steps: int, delta: float) -> float:
    """An upper bound from the literature: Mironov, Talwar and Zhang, *Rényi Differential Privacy of the Sampled Gaussian
    Mechanism*, 2019, equation (6) for whole orders, turned into (ε, δ) by Canonne, Kamath and Steinke, 2020, proposition 12."""

    def at(order: int) -> float:
        k = np.arange(order + 1)
        terms = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1) + k * math.log(rate) + (order - k) * math.log1p(-rate)
        rdp = steps * float(logsumexp(terms + k * (k - 1) / (2 * noise**2))) / (order - 1)
        return rdp + math.log1p(-1 / order) - math.log(delta * order) / (order - 1)

    return min(at(order) for order in range(2, 200))


def gaussian_delta(noise: float, epsilon: float) -> float:
    """Balle and Wang, 2018: the exact δ of one Gaussian mechanism of sensitivity 1."""
    phi = lambda x: 0.5 * math.erfc(-x / math.sqrt(2))  # noqa: E731
    return phi(0.5 / noise - epsilon * noise) - math.exp(epsilon) * phi(-0.5 / noise - epsilon * noise)


@pytest.mark.parametrize(("noise", "rate", "steps"), [(0.8, 0.02, 100), (1.0, 0.1, 50), (2.0, 0.3, 300), (5.0, 0.05, 1000)])
def test_both_accountants_lie_just_below_the_bound_of_the_literature(noise: float, rate: float, steps: int) -> None:
    found, bound = cost(noise, rate, steps, 1e-5), renyi_epsilon(noise, rate, steps, 1e-5)
    assert found.by_pld == pytest.approx(found.by_prv, rel=0.02)
    assert 0.7 * bound < found.epsilon <= bound


def test_one_step_of_everyone_costs_what_the_gaussian_mechanism_costs() -> None:
    exact = minimize_scalar(lambda e: (math.log(gaussian_delta(1.5, e)) - math.log(1e-5)) ** 2, bounds=(0.1, 20), method="bounded").x
    assert cost(1.5, 1.0, 1, 1e-5).epsilon == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(0.5, 0.05, 100), (1.0, 0.01, 300), (4.0, 0.3, 20), (10.0, 0.1, 200)])
def test_the_noise_for_an_epsilon_keeps_it_and_is_not_wasted(epsilon: float, rate: float, steps: int) -> None:
    noise = noise_for(epsilon, rate, steps, 1e-5)
    assert cost(noise, rate, steps, 1e-5).epsilon <= epsilon
    if noise > 0.35:
        assert cost(noise * 0.95, rate, steps, 1e-5).epsilon > epsilon * 0.97


def groups(n: int) -> list[list[Example]]:
    users: dict[str, list[Example]] = {}
    for e in CHOICES:
        users.setdefault(e.user, []).append(e)
    return list(users.values())[:n]


def test_one_user_changes_a_step_by_no_more_than_the_noise_is_made_for(tiny: str) -> None:
    model = loaded(tiny)
    learned = _biases_and_norms(model)
    loss = user_loss(model, TEXTS, PRIVACY, 32)
    for clip in (0.01, 1.0):
        assert probe(learned, loss, groups(6), clip) <= clip * 1.001
    # and everyone together is everyone alone
    together = clipped_sum(learned, loss, groups(5), 0.5)
    alone = [clipped_sum(learned, loss, [own], 0.5) for own in groups(5)]
    for i, part in enumerate(together):
        assert np.allclose(part.numpy(), sum(one[i] for one in alone).numpy(), atol=1e-5)


def test_negatives_from_other_users_are_refused(tiny: str) -> None:
    model = loaded(tiny)
    learned = _biases_and_norms(model)
    with pytest.raises(TrainingError, match="compares users with each other"):
        probe(learned, coupled_loss(model, TEXTS, 32), groups(6), 0.05)


def test_the_change_one_user_makes_grows_with_the_batch_only_where_losses_couple(tiny: str, monkeypatch) -> None:
    import engine.train.private as module

    monkeypatch.setattr(module, "_SLACK", 1e9)  # only measured here
    model = loaded(tiny)
    learned = _biases_and_norms(model)
    apart = [probe(learned, user_loss(model, TEXTS, PRIVACY, 32), groups(n), 0.05) for n in (4, 16)]
    coupled = [probe(learned, coupled_loss(model, TEXTS, 32), groups(n), 0.05) for n in (4, 16)]
    assert max(apart) <= 0.05 * 1.001
    assert min(coupled) > 0.05
    assert coupled[1] > coupled[0]


def test_an_account_is_given_and_only_biases_and_norms_move(tiny: str) -> None:
    model = loaded(tiny)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    told = train_private(model, CHOICES, TEXTS, PRIVACY, max_tokens=32)
    assert told["unit"] == "user"
    assert told["users"] == 120
    assert told["epsilon"] <= 4.0
    assert told["epsilon"] == pytest.approx(cost(told["noise"], told["rate"], 3, told["delta"]).epsilon, rel=0.02)
    moved = {name for name, value in model.state_dict().items() if not (value == before[name]).all()}
    assert moved
    assert all(name.endswith(".bias") or "norm" in name.lower() for name in moved)
    again = loaded(tiny)
    train_private(again, CHOICES, TEXTS, PRIVACY, max_tokens=32)
    # the noise is nobody's to repeat
    assert any(not (model.state_dict()[name] == again.state_dict()[name]).all() for name in moved)


@pytest.mark.parametrize(
    ("examples", "changes", "says"),
    [
        ([replace(e, source="clicks") for e in CHOICES], {}, "put together over users"),
        ([replace(e, user="") for e in CHOICES], {}, "name no user"),
        (CHOICES[:50], {}, "too few to hide"),
        (CHOICES, {"delta": 0.01}, "given away whole"),
        (CHOICES, {"epsilon": 0.0}, "above 0"),
        (CHOICES, {"epsilon": 1e-6, "steps": 1000}, "more noise than"),
    ],
)
def test_an_epsilon_that_would_be_false_is_refused_with_the_reason(tiny: str, examples, changes, says) -> None:
    with pytest.raises(TrainingError, match=says):
        train_private(loaded(tiny), examples, TEXTS, replace(PRIVACY, **changes), max_tokens=32)


def test_the_card_shows_nothing_the_account_does_not_cover(tiny: str, tmp_path: Path) -> None:
    judged = [Example("red jacket", "red-jacket", 1.0, "judgements"), Example("blue lamp", "blue-lamp", 1.0, "judgements")]
    card = train_privately(tiny, ExampleSet(TEXTS, CHOICES, judged), tmp_path / "m", PRIVACY)
    assert {"loss", "shares_tried"}.isdisjoint(card)
    assert {row["gain"]["n"] for row in card["test"]} == {2}
    assert json.loads((tmp_path / "m" / "training.json").read_text())["privacy"] == card["privacy"]
    assert not (tmp_path / "m" / "training.png").exists()
    with pytest.raises(TrainingError, match="no ε covers"):
        train_privately(tiny, ExampleSet(TEXTS, CHOICES, CHOICES[:3]), tmp_path / "n", PRIVACY)
    with pytest.raises(TrainingError, match="name users"):
        train_and_measure(tiny, ExampleSet(TEXTS, CHOICES, []), tmp_path / "n", None)  # type: ignore[arg-type]


def test_choices_are_kept_by_user_and_the_whole_catalogue_comes_along() -> None:
    products = {p.id: p for p in random_products(30)}
    queries = [LoggedQuery(f"q{i}", f"u{i % 3}", "Red Jacket" if i % 2 else "ring me at 555 123 4567", ()) for i in range(12)]
    actions = [LoggedAction(q.query_id, q.user, "click", "P00001", 1) for q in queries] + [
        LoggedAction("q1", "", "click", "P00002", 1), LoggedAction("q1", "u1", "view", "P00003", 1), LoggedAction("q1", "u1", "click", "gone", 1),
    ]  # fmt: skip
    made = Gathering(products)
    made.add_users(SearchLog(queries, actions))
    found = made.finish(None, {})
    assert {(e.user, e.query, e.product, e.source) for e in found.train} == {(f"u{i}", "red jacket", "P00001", "choices") for i in range(3)}
    assert set(found.texts) == set(products)
    assert found.card["left_out"]["log"] == {
        "choice of nobody in particular": 1,
        "choice of a product that is not in the catalogue": 1,
        "query that may hold something personal": 3,
    }
