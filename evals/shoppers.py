"""Simulated shoppers whose wishes are known, for finding out what can be learned from clicks.

In: judged queries and what a shop shows for each, one time and another. Out: the records of a UBI log. A shopper looks at a
place with a probability that falls with its rank and clicks what they see by how well it answers (position-based model:
Richardson et al., *Predicting Clicks*, WWW 2007; gains as in Chapelle et al., *Expected Reciprocal Rank*, CIKM 2009), now and
then by mistake. A good hit is bought more often than it is clicked by mistake. Drawn from a seed. Knows nothing of engines or
models.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.errors import EvaluationError
from evals.evalsets import Qrels

__all__ = ["simulated_log"]

_FIRST_TIME_S = 1_700_000_000
_BETWEEN_S = 45.0
_BUYS = 0.3


def simulated_log(
    queries: Mapping[str, str],
    qrels: Qrels,
    shown: Mapping[str, Sequence[list[str]]],
    *,
    shoppers: int = 1000,
    searches: int = 20,
    pull: float = 1.0,
    mistakes: float = 0.03,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield a record for each search of each shopper and each thing they do.

    ``shown`` are lists of products for each query, best first: the first list is shown to everybody's first search, the second to
    their second, and so on, and then the first again. A place ``r`` is looked at with probability ``r ** -pull``, and what does not
    answer at all is clicked with probability ``mistakes`` when seen.

    Raises:
        EvaluationError: no query has anything shown for it.
    """
    asked = sorted(qid for qid in queries if any(shown.get(qid, ())))
    if not asked:
        raise EvaluationError("No query has a product that is shown for it, so nobody can click. Index a catalogue that has some.")
    highest = max((rating for rated in qrels.values() for rating in rated.values()), default=0)
    chance = random.Random(seed)
    # queries of a shop are asked unequally often: the n-th most common one 1/n as often as the first (Zipf)
    popular = chance.sample(asked, len(asked))
    weights = [1 / (place + 1) for place in range(len(popular))]
    time_s = float(_FIRST_TIME_S)
    number = 0
    for turn in range(searches):
        for shopper in range(shoppers):
            number += 1
            time_s += _BETWEEN_S * (0.5 + chance.random())
            (qid,) = chance.choices(popular, weights)
            stamp, who = round(time_s * 1000), f"shopper-{shopper}"
            query_id = f"{turn}-{number}"
            listed = shown[qid][turn % len(shown[qid])]
            yield {
                "user_query": queries[qid],
                "query_id": query_id,
                "client_id": who,
                "timestamp": stamp,
                "query_response_object_ids": list(listed),
            }
            for place, product in enumerate(listed, 1):
                if chance.random() >= place**-pull:
                    continue
                gain = (2 ** max(0, qrels.get(qid, {}).get(product, 0)) - 1) / 2**highest
                if chance.random() >= mistakes + (1 - mistakes) * gain:
                    continue
                done = "purchase" if chance.random() < _BUYS * gain else "click"
                yield {
                    "action_name": done,
                    "query_id": query_id,
                    "client_id": who,
                    "timestamp": stamp + 1000 * place,
                    "event_attributes": {"object": {"object_id": product}, "position": {"ordinal": place}},
                }
