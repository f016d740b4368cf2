"""A learned order of the first hundred hits: LambdaMART over what is known of each.

In: a ranking and its features. Out: the same hits in another order, or the folder that :mod:`evals.learn` writes. Optional:
without the setting ``ranker`` nothing here runs, and without the extra ``ltr`` nothing here can. Burges, *From RankNet to
LambdaRank to LambdaMART: An Overview*, 2010; trees by LightGBM, whose model is a text file, so that opening one runs no code.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import SettingsError
from engine.fit import Evidence
from engine.match import MatchSet
from engine.query import ParsedQuery
from engine.rank import APART, Ranking, taken

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["DEPTH", "FEATURES", "Ranker", "features"]

DEPTH = APART
"""How many hits are put in order; those after them stay where they are."""
FEATURES = (
    "place", "fused", "lexical", "semantic", "code", "relevance", "near", "agrees", "differs", "other", "price", "price_rank",
    "words", "found", "best",
)  # fmt: skip
"""What is known of a hit, in the order of columns. A change here is a change of version: a ranker names its features."""


def features(
    query: ParsedQuery, ranking: Ranking, found: MatchSet, evidence: Evidence, prices: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the features of the first :data:`DEPTH` hits, float32 ``(m, 15)``, NaN where something is not known.

    ``prices`` float64 ``(n,)`` are those of the catalogue in one currency.
    """
    rows = ranking.rows[:DEPTH]
    m = len(rows)
    price = prices[rows]
    known = np.flatnonzero(~np.isnan(price))
    place = np.full(m, np.nan)
    place[known[np.argsort(price[known], kind="stable")]] = np.arange(len(known)) / max(len(known) - 1, 1)
    columns: list[Any] = [
        np.arange(m) / DEPTH, ranking.fused[:m], ranking.lexical[:m], ranking.semantic[:m], ranking.code[:m],
        found.relevance[rows], found.near[rows], evidence.agrees[rows], evidence.differs[rows], evidence.other[rows],
        np.log1p(np.maximum(price, 0)), place, np.full(m, len(query.words)), np.full(m, np.log1p(len(found.rows))),
        np.full(m, found.best),
    ]  # fmt: skip
    return np.stack([np.asarray(column, np.float32) for column in columns], axis=1)


class Ranker:
    """A learned order. Thread-safe: nothing on it changes."""

    def __init__(self, folder: Path) -> None:
        self._model = _booster(folder)

    def reorder(self, ranking: Ranking, given: NDArray[np.float32]) -> Ranking:
        """Return the ranking with its first hits in the order learned, ties as they were; ``given`` are their features.

        Products that bear a code of the query stay before the others, whatever was learned. The first hit has the highest of their
        scores and so on, so that what goes by scores after this keeps the order.
        """
        if not len(given):
            return ranking
        scores = np.asarray(self._model.predict(given, num_threads=1), np.float64)
        first = np.lexsort((-scores, ~ranking.code[: len(given)]))
        learned = taken(ranking, np.concatenate([first, np.arange(len(given), len(ranking.rows))]))
        return replace(learned, fused=np.concatenate([-np.sort(-ranking.fused[: len(given)]), ranking.fused[len(given) :]]))


def _booster(folder: Path) -> Booster:
    try:
        from lightgbm import Booster
    except ImportError as error:
        raise SettingsError("`ranker` is set, but LightGBM is not installed. Install it: pip install 'daogou[ltr]'.") from error
    try:
        card = json.loads((folder / "ranker.json").read_text("utf-8"))
        text = (folder / "ranker.txt").read_text("utf-8")
        named = tuple(card["features"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{folder} holds no ranker: {error}. Make one with `daogou learn`, or unset `ranker`.") from error
    if named != FEATURES:
        raise SettingsError(f"The ranker in {folder} knows other features than this version. Make it anew with `daogou learn`.")
    try:
        return Booster(model_str=text)
    except Exception as error:  # LightGBM's own, of no common kind
        raise SettingsError(f"The ranker in {folder} is damaged. Make it anew with `daogou learn`.") from error
