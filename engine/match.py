"""The match set: what counts as found. Hits, totals, facets and pages all come from this one set.

Every product gets a calibrated probability of being relevant. Where no product of the shop is likely enough, it has
nothing suitable and the set is empty; else the set is those that reach a lower threshold, which ends its tail.

The probability is logistic in what the words, the meaning and the traits say. Cosines count from what chance reaches
on the shop's own catalogue (:func:`background_threshold`), since every model spreads them differently, which is what
lets one calibration serve other catalogues too. Knows nothing of order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.fit import Evidence
from engine.index.vectors import Neighbours
from engine.retrieve import Candidates

__all__ = ["SPOKEN", "Calibration", "MatchSet", "background_threshold", "match", "nearness"]

BACKGROUND_QUANTILE = 0.975
_CODE = 0.99
_PAGE = 10
SPOKEN = 0.6
"""How near in meaning all the words of a query count where its meaning is not known."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Weights of the log odds of being relevant.

    ``meaning`` weighs how far a cosine is above chance (0 to 1), ``words`` the share of the query's words by rarity,
    ``agrees`` and ``differs`` the share of its traits that a product has or contradicts, ``other`` that it is an
    accessory where a device is wanted or the other way round. The defaults were fitted by ``daogou tune`` on two
    catalogues together, each being predicted by the other alone before (see evals/LOG.md).
    """

    bias: float = -3.99
    meaning: float = 4.94
    words: float = 3.34
    agrees: float = 0.53
    differs: float = -3.00
    other: float = -1.41

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights in the order of the setting ``calibration``."""
        return (self.bias, self.meaning, self.words, self.agrees, self.differs, self.other)

    def probability(
        self, nearness: NDArray[np.float32], coverage: NDArray[np.float32], evidence: Evidence
    ) -> NDArray[np.float32]:
        """Return the probability of each product, float32 ``(n,)``, from its nearness and its coverage ``(n,)``."""
        return np.asarray(1 / (1 + np.exp(-self.odds(nearness, coverage, evidence))), np.float32)

    def odds(
        self, nearness: NDArray[np.float32], coverage: NDArray[np.float32], evidence: Evidence
    ) -> NDArray[np.float32]:
        """Return the logarithm of the odds of each product, float32 ``(n,)``."""
        odds = self.bias + self.meaning * nearness + self.words * coverage
        if evidence.traits:
            odds += self.agrees * evidence.agrees + self.differs * evidence.differs
        if evidence.kinds:
            odds += self.other * evidence.other
        return np.asarray(odds, np.float32)

    def most(self, nearness: np.float32, evidence: Evidence) -> float:
        """Return the most that the odds of a product without a word of the query can be."""
        traits = max(self.agrees, self.differs, 0.0) if evidence.traits else 0.0
        return self.bias + self.meaning * float(nearness) + traits + (max(self.other, 0.0) if evidence.kinds else 0.0)


class _Given(NamedTuple):
    """What is known of the products that share words or meaning with a query, each float32 ``(m,)``."""

    near: NDArray[np.float32]
    coverage: NDArray[np.float32]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class MatchSet:
    """``rows`` int64 in row order; ``mask`` bool ``(n,)``; ``relevance`` float32 ``(n,)`` is the probability of every
    product, found or not, and ``near`` how near in meaning it is; ``best`` is the likeliest product's probability, traits
    it contradicts forgiven; ``complete`` is false when more may match by meaning."""

    rows: NDArray[np.int64]
    mask: NDArray[np.bool_]
    relevance: NDArray[np.float32]
    near: NDArray[np.float32]
    best: float
    complete: bool


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


def nearness(cosines: NDArray[np.float32], background: float) -> NDArray[np.float32]:
    """Return how far cosines are above chance: 0 up to ``background``, 1 for the same text."""
    return np.asarray(np.clip((cosines - background) / max(1 - background, 1e-6), 0, 1), np.float32)


def match(
    everywhere: Candidates,
    within: Neighbours,
    evidence: Evidence,
    allowed: NDArray[np.bool_] | None,
    calibration: Calibration,
    *,
    threshold: float,
    fill: float,
    suitable: float,
    background: float,
    depth: int,
    meant: bool,
) -> MatchSet:
    """Return what counts as found: every product allowed that reaches ``threshold``, once any product of the shop,
    allowed or not, reaches ``suitable``, traits it contradicts forgiven: a shop without red ones still has air fryers.
    Where fewer than ten of the shop do, the ten likeliest count that reach ``fill``, so that a first page is seldom bare;
    no accessory fills the page of a device, nor the other way round.

    ``everywhere`` are the candidates without any filter, ``within`` the nearest of those allowed. A product that is
    among neither counts as no nearer than chance, so that a filter, which brings others among them, never takes a
    product out. Where the query's meaning is not known (``meant`` is false) its words stand in for it.
    """
    coverage = everywhere.lexical.coverage
    near = np.zeros(len(coverage), np.float32) if meant else np.float32(SPOKEN) * coverage
    some = coverage > 0
    some[everywhere.codes] = True
    near[everywhere.dense.rows] = nearness(everywhere.dense.scores, background)
    some[everywhere.dense.rows] = True
    rows = np.flatnonzero(some)
    relevance = np.zeros(len(coverage), np.float32)
    given = _Given(near[rows], coverage[rows], evidence.of(rows))
    relevance[rows] = calibration.probability(*given)
    relevance[everywhere.codes] = np.maximum(relevance[everywhere.codes], _CODE)
    same = evidence.other == 0 if evidence.kinds else None
    # before a filter brings others near, so that it is the same with any
    lower = _ending(relevance[rows] if same is None else relevance[rows[same[rows]]], threshold, fill)
    if within is not everywhere.dense:
        near[within.rows] = nearness(within.scores, background)
        some[within.rows] = True
        closer = calibration.probability(near[within.rows], coverage[within.rows], evidence.of(within.rows))
        relevance[within.rows] = np.maximum(relevance[within.rows], closer)
        rows = np.flatnonzero(some)
        given = _Given(near[rows], coverage[rows], evidence.of(rows))
    best = max(float(relevance.max(initial=0)), _likeliest(calibration, given))
    if best < suitable:
        return MatchSet(np.empty(0, np.int64), np.zeros(len(coverage), bool), relevance, near, best, complete=True)
    mask = some & (relevance >= threshold)
    if lower < threshold:
        mask |= some & (relevance >= lower) if same is None else some & same & (relevance >= lower)
    if allowed is not None:
        mask &= allowed
    complete = True
    if len(within.rows) >= depth:
        beyond = np.float32(near[within.rows].min())
        needed = np.float32(-np.inf if lower <= 0 else np.log(lower) - np.log1p(-min(lower, 1 - 1e-9)))
        if calibration.most(beyond, evidence) < needed:  # no product without a word of the query can reach it
            maybe = np.zeros(len(near), bool)
            maybe[rows] = calibration.odds(np.maximum(given.near, beyond), given.coverage, given.evidence) >= needed
        else:
            maybe = calibration.odds(np.maximum(near, beyond), coverage, evidence) >= needed
        maybe &= ~mask
        complete = not bool((maybe if allowed is None else maybe & allowed).any())
    return MatchSet(np.flatnonzero(mask), mask, relevance, near, best, complete)


def _ending(relevance: NDArray[np.float32], threshold: float, fill: float) -> float:
    """Return where the list ends: at ``threshold``, or lower down to ``fill`` where that leaves fewer than a page."""
    if np.count_nonzero(relevance >= threshold) >= _PAGE:
        return threshold
    some = np.sort(relevance[relevance >= fill])[-_PAGE:]
    return max(min(threshold, float(some[0]) if len(some) == _PAGE else fill), min(threshold, fill))


def _likeliest(calibration: Calibration, given: _Given) -> float:
    """Return the probability of the likeliest product, the traits it contradicts forgiven; 0 where there are none."""
    if not given.evidence.traits:
        return 0.0
    forgiven = replace(given.evidence, differs=np.zeros_like(given.evidence.differs))
    return float(calibration.probability(given.near, given.coverage, forgiven).max(initial=0))
