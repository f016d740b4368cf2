"""Which pairs to have judged: what runs return that nobody rated, mixed with rated pairs that check the judge.

In: rankings and judgements. Out: :class:`Pair`, in an order that gives nothing away: queries shuffled, each query's pairs
shuffled, the hidden ones among them drawn where there are open ones as far as they reach, every rating as often as can be.
Knows nothing of judges.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evals.evalsets import Qrels

__all__ = ["Pair", "mixed_pairs", "unjudged_pairs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A product to rate for a query; ``known`` is the rating it already has, for a pair that checks the judge."""

    qid: str
    product_id: str
    known: int | None = None


def unjudged_pairs(rankings: Iterable[Mapping[str, Sequence[str]]], qrels: Qrels, depth: int) -> list[Pair]:
    """Return the pairs without a rating among the first ``depth`` of any ranking, by query and product id."""
    pairs = {
        (qid, product)
        for run in rankings
        for qid, ranking in run.items()
        for product in ranking[:depth]
        if product not in qrels.get(qid, {})
    }
    return [Pair(qid, product) for qid, product in sorted(pairs)]


def mixed_pairs(unjudged: Sequence[Pair], qrels: Qrels, hidden: int, seed: int = 0) -> list[Pair]:
    """Return the pairs with ``hidden`` rated ones among them, or as many as there are, in an order to judge them in."""
    rng = random.Random(seed)
    asked = {pair.qid for pair in unjudged}
    rated = [Pair(qid, product, rating) for qid, ratings in sorted(qrels.items()) for product, rating in sorted(ratings.items())]
    rng.shuffle(rated)
    rated.sort(key=lambda pair: pair.qid not in asked)  # stable: those of queries asked anyway come first
    by_rating: dict[int, list[Pair]] = {}
    for pair in rated:
        by_rating.setdefault(pair.known or 0, []).append(pair)
    chosen: list[Pair] = []
    while len(chosen) < hidden and any(by_rating.values()):
        for rating in sorted(by_rating):
            if by_rating[rating] and len(chosen) < hidden:
                chosen.append(by_rating[rating].pop(0))
    pairs = [*unjudged, *chosen]
    rng.shuffle(pairs)
    place = {qid: rng.random() for qid in sorted({pair.qid for pair in pairs})}
    return sorted(pairs, key=lambda pair: place[pair.qid])
