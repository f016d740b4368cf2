"""A learned order: found where there is one, refused where there is none, served as it was learned."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from engine.engine import Engine
from engine.errors import EvaluationError, SettingsError
from engine.ranker import DEPTH, FEATURES
from engine.schema import SearchRequest
from evals.learn import LEAST_QUERIES, learn, save_ranker
from shop import WORDS, random_products, toy_engine

QUERIES = {f"q{n}": " ".join(four) for n, four in enumerate(itertools.islice(itertools.combinations(WORDS, 4), 0, 2040, 2))}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return toy_engine(tmp_path_factory.mktemp("store"), random_products(80))


def cheap_is_good(engine: Engine) -> dict[str, dict[str, int]]:
    """Shoppers of this shop want what costs least, whatever they type."""
    prices = {p.id: p.price.major if p.price and p.price.currency == "USD" else None for p in engine.products()}
    known = sorted(v for v in prices.values() if v is not None)
    limits = known[len(known) // 4], known[len(known) // 2]
    ratings = {i: 0 if v is None else 3 if v < limits[0] else 1 if v < limits[1] else 0 for i, v in prices.items()}
    return dict.fromkeys(QUERIES, ratings)


def test_an_order_is_learned_and_served(engine: Engine, tmp_path: Path) -> None:
    learned = learn(engine, QUERIES, cheap_is_good(engine), folds=3)
    assert learned.kept
    assert learned.after > learned.before + 0.2
    assert learned.weights["price"] + learned.weights["price_rank"] > 0.5
    save_ranker(learned, tmp_path / "ranker")
    served = Engine.open(engine.settings.model_copy(update={"ranker": str(tmp_path / "ranker")}))
    plain = engine.search(SearchRequest(q="waterproof jacket", per_page=100))
    other = served.search(SearchRequest(q="waterproof jacket", per_page=100))
    assert {h.document["id"] for h in plain.hits} == {h.document["id"] for h in other.hits}
    assert plain.found == other.found
    prices = [h.document["price"]["amount"] for h in other.hits if h.document.get("price", {}).get("currency") == "USD"]
    assert np.mean(prices[:5]) < np.mean(prices) / 2
    scores = [h.scores.fused for h in other.hits]
    assert scores == sorted(scores, reverse=True)
    apart = served.tuned(near_duplicates=1e-6).search(SearchRequest(q="waterproof jacket", per_page=5))  # holds nothing back
    assert [h.document["id"] for h in apart.hits] == [h.document["id"] for h in other.hits[:5]]
    code = next(p.mpn for p in engine.products() if p.mpn)
    assert served.search(SearchRequest(q=f"waterproof {code}", per_page=1)).hits[0].document["mpn"] == code
    pages = [h.document["id"] for page in (1, 2, 3) for h in served.search(
        SearchRequest(q="waterproof jacket", per_page=7, page=page)).hits]  # fmt: skip
    assert pages == [h.document["id"] for h in other.hits][:21]


def test_luck_is_refused(engine: Engine) -> None:
    rng = np.random.default_rng(0)
    ids = [p.id for p in engine.products()]
    random = {qid: dict(zip(ids, rng.integers(0, 4, len(ids)).tolist(), strict=True)) for qid in QUERIES}
    assert not learn(engine, QUERIES, random, folds=3).kept


def test_too_few_queries_are_refused(engine: Engine) -> None:
    few = dict(itertools.islice(QUERIES.items(), LEAST_QUERIES - 1))
    with pytest.raises(EvaluationError, match="999 queries"):
        learn(engine, few, cheap_is_good(engine))


def test_features_are_those_named(engine: Engine) -> None:
    ids, given = engine.features("waterproof jacket")
    assert given.shape == (len(ids), len(FEATURES))
    assert len(ids) <= DEPTH
    hits = engine.search(SearchRequest(q="waterproof jacket", per_page=100)).hits
    assert [h.document["id"] for h in hits] == ids
    assert given[:, FEATURES.index("fused")] == pytest.approx([h.scores.fused for h in hits], abs=1e-5)
    assert given[:, FEATURES.index("relevance")] == pytest.approx([h.scores.relevance for h in hits], abs=1e-4)
    assert engine.features("qzvx qzvx")[1].shape[1] == len(FEATURES)


@pytest.mark.parametrize(
    ("card", "text"),
    [(None, ""), ('{"features": ["place"]}', "tree"), ("{", "tree"), ("[]", "tree"), (f'{{"features": {list(FEATURES)!r}}}'.replace("'", '"'), "no tree")],
)  # fmt: skip
def test_a_ranker_that_cannot_be_used_is_said(engine: Engine, tmp_path: Path, card: str | None, text: str) -> None:
    if card is not None:
        (tmp_path / "ranker.json").write_text(card)
        (tmp_path / "ranker.txt").write_text(text)
    with pytest.raises(SettingsError, match="daogou learn"):
        Engine.open(engine.settings.model_copy(update={"ranker": str(tmp_path)}))
