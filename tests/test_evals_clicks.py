"""Judgements from clicks: recovered from simulated shoppers, whose clicks fall off with the place."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import EvaluationError
from evals.clicks import click_judgements
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
