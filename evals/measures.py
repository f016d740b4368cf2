"""Score rankings query by query, through ``ir_measures``.

In: rankings (query id → product ids, best first) and judgements. Out: :class:`QueryScores`, one row a judged query.
Knows nothing of files, engines, averages over queries or intervals.

* nDCG@10 has linear gains (the rating itself, negative ratings count as 0) and a log2 discount, as in trec_eval.
* RR@10, P@10 and R@100 call a product relevant from rating ``min_rel`` up, 2 on the 0-3 scale; the printed name
  says so, ``RR(rel=2)@10``, and ``ir_measures`` reads it back.
* Judged@10 is the share of the first ten (or fewer, where fewer were returned) that carry a rating.
* A judged query the rankings miss or leave empty scores 0 in every measure: dropping a hard query gains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from numpy.typing import NDArray

from engine.errors import EvaluationError
from evals.evalsets import Qrels

__all__ = ["DECIDING", "MIN_REL", "Measure", "QueryScores", "condense", "score_queries", "standard_measures"]

DECIDING = "nDCG@10"
"""The measure to decide by."""
MIN_REL = 2
"""Smallest rating of a relevant product on the 0-3 scale."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure by its printable name. ``needs`` is the rating a query must have somewhere to score above 0."""

    name: str
    needs: int | None

    def possible(self, ratings: Mapping[str, int]) -> bool:
        """Say whether any ranking of products with these ratings could score above 0."""
        return self.needs is None or any(rating >= self.needs for rating in ratings.values())


def standard_measures(min_rel: int = MIN_REL) -> tuple[Measure, ...]:
    """Return the five measures always reported, the one to decide by first and Judged@10 last.

    Raises:
        EvaluationError: ``min_rel`` is below 1.
    """
    if min_rel < 1:
        raise EvaluationError(f"A relevant product cannot start at rating {min_rel}. Use 1 or more.")
    rel = "" if min_rel == 1 else f"(rel={min_rel})"
    return (
        Measure(DECIDING, 1),
        Measure(f"RR{rel}@10", min_rel),
        Measure(f"P{rel}@10", min_rel),
        Measure(f"R{rel}@100", min_rel),
        Measure("Judged@10", None),
    )


@dataclass(frozen=True, slots=True)
class QueryScores:
    """Scores of every judged query.

    ``values`` is float64 (q, m), a row a query of ``qids`` and a column a measure. ``possible`` is bool (q, m): whether
    the query has a product that lets the measure leave 0. ``answered`` is bool (q,): whether a ranking was given.
    """

    qids: tuple[str, ...]
    measures: tuple[Measure, ...]
    values: NDArray[np.float64]
    possible: NDArray[np.bool_]
    answered: NDArray[np.bool_]

    def column(self, name: str) -> NDArray[np.float64]:
        """Return one measure's score of every query, in the order of ``qids``."""
        return self.values[:, [measure.name for measure in self.measures].index(name)]


def condense(ranking: Sequence[str], ratings: Mapping[str, int]) -> tuple[str, ...]:
    """Return the ranking with the unrated products taken out, order kept (Sakai, SIGIR 2007, condensed lists)."""
    return tuple(product for product in ranking if product in ratings)


def score_queries(
    rankings: Mapping[str, Sequence[str]], qrels: Qrels, min_rel: int = MIN_REL, condensed: bool = False
) -> QueryScores:
    """Score every judged query, in sorted order of query id.

    Rankings of queries without judgements are left alone; naming them is the caller's work.

    Raises:
        EvaluationError: there is no judgement, or none reaches ``min_rel``.
    """
    measures = standard_measures(min_rel)
    highest = max((rating for ratings in qrels.values() for rating in ratings.values()), default=None)
    if highest is None:
        raise EvaluationError("There is no judgement to score with. Judge at least one product for one query.")
    if highest < min_rel:
        raise EvaluationError(
            f"No judgement reaches rating {min_rel}, the least a relevant product has: the highest is {highest}. "
            "On a scale of 0 and 1, score with a threshold of 1."
        )
    qids = tuple(sorted(qid for qid, ratings in qrels.items() if ratings))
    kept = {qid: tuple(rankings.get(qid, ())) for qid in qids}
    if condensed:
        kept = {qid: condense(ranking, qrels[qid]) for qid, ranking in kept.items()}
    return QueryScores(
        qids,
        measures,
        _values(kept, qrels, measures),
        np.array([[measure.possible(qrels[qid]) for measure in measures] for qid in qids], dtype=np.bool_),
        np.array([bool(rankings.get(qid)) for qid in qids], dtype=np.bool_),
    )


def _values(rankings: Mapping[str, Sequence[str]], qrels: Qrels, measures: Sequence[Measure]) -> NDArray[np.float64]:
    parsed = {ir_measures.parse_measure(measure.name): column for column, measure in enumerate(measures)}
    rows = {qid: row for row, qid in enumerate(rankings)}
    # Scores count down in whole numbers: trec_eval keeps them as 32-bit floats and breaks ties by id, backwards.
    run = {
        qid: {product: float(len(ranking) - rank) for rank, product in enumerate(ranking)}
        for qid, ranking in rankings.items()
        if ranking
    }
    values = np.zeros((len(rows), len(measures)), dtype=np.float64)
    evaluator = ir_measures.evaluator(list(parsed), {qid: dict(qrels[qid]) for qid in rows})
    for metric in evaluator.iter_calc(run):
        values[rows[metric.query_id], parsed[metric.measure]] = metric.value
    return values
