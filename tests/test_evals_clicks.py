"""Judgements from clicks: recovered from simulated shoppers, whose clicks fall off with the place."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from engine.errors import EvaluationError
from evals import clicks
from evals.clicks import _rates, click_judgements
from indexer.logs import LoggedAction, LoggedQuery, SearchLog

PRODUCTS = [f"p{i}" for i in range(10)]
ATTRACTIVE = {p: 0.8 if i in (7, 8, 9) else 0.05 for i, p in enumerate(PRODUCTS)}


def simulated(searches: int, seed: int = 0) -> SearchLog:
    """Shoppers of a position-based model: good products are mostly shown low, and looked at less there."""
    rng = np.random.default_rng(seed)
    log = SearchLog()
    for n in range(searches):
        order = list(PRODUCTS)
        if rng.random() < 0.3:
            rng.shuffle(order)
        log.queries.append(LoggedQuery(str(n), f"u{n}", "Tent" if n % 2 else " tent", tuple(order)))
        for place, product in enumerate(order):
            if rng.random() < ATTRACTIVE[product] / (1 + place):
                log.actions.append(LoggedAction(str(n), f"u{n}", "click" if n % 5 else "purchase", product, place + 1))
    return log


def test_what_is_good_is_found_from_the_places_below() -> None:
    found = click_judgements(simulated(4000))
    assert list(found.queries.values()) == [" tent"]
    (ratings,) = found.qrels.values()
    assert all(ratings[p] == 3 for p in ("p7", "p8", "p9"))
    assert all(ratings[p] <= 1 for p in PRODUCTS[:7])
    log = simulated(4000)
    raw = {p: sum(a.product == p for a in log.actions) for p in PRODUCTS}
    assert raw["p0"] > 3 * raw["p6"]  # no better, but shown first
    assert ratings["p0"] == ratings["p6"]


def test_what_was_hardly_seen_is_not_judged() -> None:
    log = simulated(4000)
    log.queries.append(LoggedQuery("x", "u", "lamp", ("p1", "p2")))
    log.queries.append(LoggedQuery("y", "u", "lamp", ()))
    found = click_judgements(log)
    assert "lamp" in found.queries.values()
    assert len(found.qrels) == 1
    assert sorted(found.kinds.values()) == ["head", "tail"]
    assert found.skipped["product shown too seldom for a query"] == 2
    assert found.skipped["search that does not say what it showed"] == 1


def test_a_log_without_clicks_on_what_was_shown_is_refused() -> None:
    log = SearchLog([LoggedQuery("1", "u", "tent", ("a",))], [LoggedAction("1", "u", "click", "EAN of a", 1)])
    with pytest.raises(EvaluationError, match="was clicked"):
        click_judgements(log)


def shown_in_turn(searches: int, seed: int = 0, moved: float = 0.2) -> SearchLog:
    """Shoppers of ten queries; the one good product of each is shown first but for the ``moved`` share of searches, so first
    places are clicked for two reasons."""
    rng = np.random.default_rng(seed)
    log = SearchLog()
    for n in range(searches):
        good = f"good{n % 10}"
        order = [f"p{i}" for i in range(5)]
        order.insert(0 if rng.random() >= moved else int(rng.integers(1, 6)), good)
        log.queries.append(LoggedQuery(str(n), f"u{n}", f"need {n % 10}", tuple(order)))
        for place, product in enumerate(order):
            if rng.random() < (0.5 if product == good else 0.1) / (1 + place):
                log.actions.append(LoggedAction(str(n), f"u{n}", "click", product, place + 1))
    return log


def test_a_first_place_is_not_thought_better_for_having_had_better_products(monkeypatch) -> None:
    log = shown_in_turn(6000)
    found = click_judgements(log)
    for qid, text in found.queries.items():
        ratings = found.qrels[qid]
        assert ratings[f"good{text.split()[1]}"] == 3
        assert all(rating < 3 for product, rating in ratings.items() if product.startswith("p"))
    monkeypatch.setattr(clicks, "_TURNS", 1)  # clicks over the clicks of a place, whatever was shown there
    naive = click_judgements(log)
    assert sum(3 in ratings.values() for ratings in naive.qrels.values()) < 3


@pytest.mark.parametrize("moved", [0.2, 0.0])
def test_rates_and_worth_are_the_likeliest(moved: float) -> None:
    from scipy.optimize import minimize

    log = shown_in_turn(400, seed=3, moved=moved)
    clicked = {(a.query_id, a.product) for a in log.actions}
    places: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    got, of_place = Counter[tuple[str, str]](), Counter[int]()
    for query in log.queries:
        for place, product in enumerate(query.shown):
            places[query.text, product][place] += 1
            acted = int((query.query_id, product) in clicked)
            got[query.text, product] += acted
            of_place[place] += acted
    rates = _rates(places, got, of_place)
    pairs, n = list(places), len(of_place)
    shown = np.array([[places[pair][k] for k in range(n)] for pair in pairs], float)
    had = np.array([got[pair] for pair in pairs], float)
    total = np.array([of_place[k] for k in range(n)], float)

    def unlikely(logs: np.ndarray) -> float:
        rate, worth = np.exp(logs[:n]), np.exp(logs[n:])
        return float(worth @ shown @ rate - total @ logs[:n] - had @ logs[n:] + np.sum(worth - logs[n:]))

    best = minimize(unlikely, np.concatenate([np.log(total / shown.sum(0)), np.zeros(len(pairs))]), method="BFGS").x
    fitted = np.exp(best[:n])
    assert [rates[k] / rates[0] for k in range(n)] == pytest.approx(fitted / fitted[0], rel=0.02)


def test_a_product_listed_twice_was_shown_once() -> None:
    log = SearchLog([LoggedQuery(str(n), "u", "tent", ("a", "a", "b")) for n in range(40)])
    log.actions = [LoggedAction(str(n), "u", "click", "ab"[n % 2], 1) for n in range(40)]
    (ratings,) = click_judgements(log, least_expected=0.0).qrels.values()
    assert set(ratings) == {"a", "b"}
