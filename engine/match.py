"""The match set: what counts as found. Hits, totals, facets and pages all come from this one set.

A product matches when it bears a code of the query, or has enough of its words by rarity, or is near enough in
meaning. Near enough is measured on the shop's own catalogue when it is indexed (:func:`background_threshold`), since
every model spreads its cosines differently. Knows nothing of order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.retrieve import Candidates

__all__ = ["MatchSet", "background_threshold", "match"]

BACKGROUND_QUANTILE = 0.975
_RELAXED = (0.5, 0.25)


@dataclass(frozen=True, slots=True)
class MatchSet:
    """``rows`` int64 in row order; ``mask`` bool ``(n,)``; ``complete`` is false when more may match by meaning."""

    rows: NDArray[np.int64]
    mask: NDArray[np.bool_]
    complete: bool
    relaxed: bool


def background_threshold(queries: NDArray[np.float32], products: NDArray[np.floating]) -> float:
    """Return the cosine that only one product in forty reaches for a word taken at random from the catalogue.

    ``queries`` float32 ``(m, d)`` are single words of product titles: their cosines spread as those of the short
    queries people type do, while longer pieces of titles come much nearer to products than any query.
    ``products`` ``(n, d)`` are the vectors of the catalogue.
    """
    if len(queries) == 0 or len(products) == 0:
        return 0.0
    sample = products[np.linspace(0, len(products) - 1, min(len(products), 4096)).astype(np.int64)]
    cosines = queries.astype(np.float32) @ sample.astype(np.float32).T
    return float(np.quantile(cosines, BACKGROUND_QUANTILE))


def match(
    candidates: Candidates, *, min_coverage: float, min_similarity: float, depth: int, relax: bool
) -> MatchSet:
    """Return what counts as found. ``relax`` lowers the share of words step by step while nothing is found."""
    near = candidates.dense.scores >= min_similarity
    mask = np.zeros(len(candidates.lexical.score), bool)
    mask[candidates.dense.rows[near]] = True
    mask[candidates.codes] = True
    mask |= candidates.lexical.coverage >= np.float32(min_coverage - 1e-6)
    relaxed = False
    for share in _RELAXED if relax else ():
        if mask.any() or share >= min_coverage:
            break
        mask |= candidates.lexical.coverage >= np.float32(share)
        relaxed = bool(mask.any())
    complete = not (len(near) >= depth and bool(near.all()))
    return MatchSet(np.flatnonzero(mask), mask, complete, relaxed)
