"""How well an encoder alone finds what examples say, before and after training.

In: an encoder's vectors and examples kept back. Out: :class:`EncoderScores`, nDCG@10 of each query in two tasks: ``ranking``
puts the rated products of a query in order, ``retrieval`` looks for them among a pool, in which what nobody rated counts as
wrong. Knows nothing of training or snapshots.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.train.examples import Example
from evals.measures import DECIDING, score_queries
from evals.stats import holm, paired_difference, randomisation_test

__all__ = ["TASKS", "Encode", "EncoderScores", "compare_scores", "rated_products", "score_encoder"]

TASKS = ("ranking", "retrieval")
_POOL = 3000
_MOST_QUERIES = 1000
_DEEP = 100
_STEPS = 3

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class EncoderScores:
    """nDCG@10 of each of ``queries`` by task, float64 ``(q,)``; ``kinds`` names the kind of each query.

    There is no ``ranking`` where no query has products of two ratings.
    """

    queries: tuple[str, ...]
    kinds: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]


def rated_products(examples: Iterable[Example]) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """Return the ratings of each query's products, from 0 to 3 as everywhere, and each query's kind; a grade that is not 0 is
    a rating that is not."""
    rated: defaultdict[str, dict[str, int]] = defaultdict(dict)
    kinds: dict[str, str] = {}
    for e in examples:
        rating = max(1, round(_STEPS * e.grade)) if e.grade > 0 else 0
        rated[e.query][e.product] = max(rating, rated[e.query].get(e.product, 0))
        kinds.setdefault(e.query, e.kind)
    return dict(rated), kinds


def score_encoder(
    encode_queries: Encode, encode_products: Encode, examples: Sequence[Example], texts: Mapping[str, str], seed: int = 0
) -> EncoderScores:
    """Score an encoder on the queries of ``examples`` that have an answer, at most a thousand of them.

    The pool is every product rated for them and enough others to make three thousand, drawn from the seed.
    """
    rated, kinds = rated_products(examples)
    chance = random.Random(seed)
    answerable = sorted(q for q, found in rated.items() if any(found.values()))
    queries = sorted(chance.sample(answerable, min(_MOST_QUERIES, len(answerable))))
    needed = sorted({p for q in queries for p in rated[q]})
    others = sorted(set(texts) - set(needed))
    pool = needed + sorted(chance.sample(others, max(0, min(_POOL - len(needed), len(others)))))
    place = {product: i for i, product in enumerate(pool)}
    scores = encode_queries(queries) @ encode_products([texts[p] for p in pool]).T
    qrels = {q: rated[q] for q in queries}
    rankings: dict[str, dict[str, list[str]]] = {task: {} for task in TASKS}
    for row, query in enumerate(queries):
        own = sorted(rated[query], key=lambda p: (-scores[row, place[p]], p))
        rankings["ranking"][query] = own
        rankings["retrieval"][query] = [pool[i] for i in np.argsort(-scores[row], kind="stable")[:_DEEP]]
    values = {}
    for task, found in rankings.items():
        if task == "ranking" and all(len(set(own.values())) < 2 for own in qrels.values()):
            continue  # each query has products of one rating alone, in whatever order
        values[task] = score_queries(found, qrels, min_rel=1).column(DECIDING)  # by query in sorted order, as they are
    return EncoderScores(tuple(queries), tuple(kinds[q] for q in queries), values)


def compare_scores(before: EncoderScores, after: EncoderScores, seed: int = 0) -> list[dict[str, Any]]:
    """Return, for each task and kind of query and for all together, the means, the gain with its interval, and the p value
    of none, by Holm's procedure over all lines."""
    rows: list[dict[str, Any]] = []
    for task in before.values:
        one, other = before.values[task], after.values[task]
        for kind in ("", *sorted(set(before.kinds) - {""})):
            chosen = np.array([kind in ("", own) for own in before.kinds])
            if not chosen.any():
                continue
            gain = paired_difference(one[chosen], other[chosen], seed=seed)
            rows.append(
                {
                    "task": task,
                    "kind": kind or "all",
                    "before": round(float(one[chosen].mean()), 4),
                    "after": round(float(other[chosen].mean()), 4),
                    "gain": {name: round(value, 4) for name, value in gain.to_dict().items()},
                    "p": randomisation_test(one[chosen], other[chosen], seed=seed),
                }
            )
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p"] = round(p, 4)
    return rows
