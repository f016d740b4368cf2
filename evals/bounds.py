"""How far unrated products leave a score open.

In: a ranking and the ratings of its query. Out: the lowest and highest score over every way of giving each unrated product
in the first ten either 0 or the highest rating of the set, the ideal ranking changing with it. What no search returned
counts as irrelevant, as it always does. After the residual of Moffat and Zobel (*Rank-Biased Precision for Measurement of
Retrieval Effectiveness*, TOIS 2008), carried over to the measures used here.

nDCG needs no search over the ways: with c unrated products taken as relevant the ideal is fixed, and the most (the least)
is gained where they are those ranked first (last).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evals.evalsets import Qrels

__all__ = ["CUTOFF", "bounds"]

CUTOFF = 10
_DISCOUNT = 1 / np.log2(np.arange(2, CUTOFF + 2))


def bounds(
    measure: str, qids: Sequence[str], rankings: Mapping[str, Sequence[str]], qrels: Qrels, min_rel: int
) -> NDArray[np.float64] | None:
    """Return the lowest and highest score of each query, float64 ``(q, 2)``, or ``None`` where the measure has no bounds.

    ``measure`` is a name of :func:`evals.measures.standard_measures`. nDCG, RR and P at ten have bounds; recall counts
    rated products alone, and Judged@10 is certain.
    """
    name, _, cutoff = measure.partition("@")
    of = {"nDCG": _ndcg, "RR": _reciprocal_rank, "P": _precision}.get(name.partition("(")[0])
    if of is None or cutoff != str(CUTOFF):
        return None
    top = max((rating for ratings in qrels.values() for rating in ratings.values()), default=0)
    rows = [of(list(rankings.get(qid, ()))[:CUTOFF], qrels[qid], top, min_rel) for qid in qids]
    return np.array(rows, np.float64).reshape(len(qids), 2)


def _ndcg(ranking: Sequence[str], ratings: Mapping[str, int], top: int, min_rel: int) -> tuple[float, float]:
    known = sorted((max(r, 0) for r in ratings.values()), reverse=True)
    open_places = _DISCOUNT[[i for i, product in enumerate(ranking) if product not in ratings]]
    sure = sum(max(ratings.get(product, 0), 0) * _DISCOUNT[i] for i, product in enumerate(ranking))
    scores = []
    for taken in range(len(open_places) + 1):
        ideal = sorted([*known, *[top] * taken], reverse=True)[:CUTOFF]
        most = float(np.dot(ideal, _DISCOUNT[: len(ideal)]))
        gains = (open_places[:taken].sum(), open_places[len(open_places) - taken :].sum())
        scores += [(sure + top * gain) / most if most > 0 else 0.0 for gain in gains]
    return min(scores), max(scores)


def _reciprocal_rank(ranking: Sequence[str], ratings: Mapping[str, int], top: int, min_rel: int) -> tuple[float, float]:
    found = [1 / rank for rank, product in enumerate(ranking, 1) if ratings.get(product, 0) >= min_rel]
    maybe = [1 / rank for rank, product in enumerate(ranking, 1) if ratings.get(product, top) >= min_rel]
    return max(found, default=0.0), max(maybe, default=0.0)


def _precision(ranking: Sequence[str], ratings: Mapping[str, int], top: int, min_rel: int) -> tuple[float, float]:
    found = sum(ratings.get(product, 0) >= min_rel for product in ranking)
    maybe = sum(ratings.get(product, top) >= min_rel for product in ranking)
    return found / CUTOFF, maybe / CUTOFF
