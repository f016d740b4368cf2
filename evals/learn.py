"""A shop's own order, learned from its judgements by LambdaMART, and refused where its gain could be luck.

In: an engine and judged queries. Out: :class:`Learned`; :func:`save_ranker` writes what the setting ``ranker`` opens. Queries
are dealt into folds by their words, as in :mod:`evals.tune`, and each is scored by trees that never saw it. Fewer than a
thousand judged queries are refused: trees over fifteen features learn fewer by heart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import EvaluationError
from engine.ranker import FEATURES
from engine.train.examples import fold_of
from evals.evalsets import Qrels
from evals.lines import write_text
from evals.measures import DECIDING, score_queries
from evals.tune import Gain, weigh_gain

__all__ = ["LEAST_QUERIES", "Learned", "learn", "save_ranker"]

LEAST_QUERIES = 1000
_TREES = 200
_LEVEL = 0.05


class Featured(Protocol):
    """Anything that says what it knows of its first hits."""

    def features(self, q: str) -> tuple[list[str], NDArray[np.float32]]:
        """Return product ids, best first, and a row of features for each."""
        ...


@dataclass(frozen=True, slots=True)
class Learned(Gain):
    """``model`` is LightGBM's text, of all queries; the gain is that of models that had not seen the query. ``weights`` are
    the shares of the gain in splits by feature."""

    model: str
    weights: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return all but the model as plain JSON values."""
        return Gain.to_dict(self) | {"features": {name: round(weight, 4) for name, weight in self.weights.items()}}


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One query: the hits, their features, and the rating of each, -1 where nobody rated it."""

    qid: str
    ids: list[str]
    given: NDArray[np.float32]
    ratings: NDArray[np.int64]


def learn(
    engine: Featured,
    queries: Mapping[str, str],
    qrels: Qrels,
    *,
    folds: int = 5,
    least: int = LEAST_QUERIES,
    seed: int = 0,
    advance: Callable[[int], None] = lambda n: None,
) -> Learned:
    """Return the learned order and whether its gain holds on queries it has not seen.

    Raises:
        EvaluationError: LightGBM is not installed, or fewer than ``least`` queries have a relevant product among the hits.
    """
    judged = {qid: text for qid, text in queries.items() if any(r > 0 for r in qrels.get(qid, {}).values())}
    if len(judged) < least:
        raise EvaluationError(
            f"{len(judged)} queries have a relevant product; a learned order needs {least}. Until then use `daogou tune`."
        )
    sheets = []
    for qid, text in judged.items():
        ids, given = engine.features(text)
        sheets.append(_Sheet(qid, ids, given, np.array([qrels[qid].get(i, -1) for i in ids], np.int64)))
        advance(1)
    fold = np.array([fold_of(text, folds) for text in judged.values()])
    after = np.empty(len(sheets))
    for held in sorted(set(fold.tolist())):
        model = _fit([s for s, f in zip(sheets, fold, strict=True) if f != held], seed)
        for place in np.flatnonzero(fold == held):
            after[place] = _score(sheets[place], qrels, model.predict(sheets[place].given) if len(sheets[place].ids) else [])
        advance(1)
    before = np.array([_score(s, qrels, -np.arange(len(s.ids))) for s in sheets])
    whole = _fit(sheets, seed)
    splits = np.asarray(whole.feature_importance("gain"), np.float64)
    return Learned(
        model=whole.model_to_string(),
        weights=dict(zip(FEATURES, (splits / max(splits.sum(), 1e-12)).tolist(), strict=True)),
        **weigh_gain(before, after, _LEVEL, seed),
    )


def save_ranker(learned: Learned, folder: Path) -> None:
    """Write the learned order and a card with what it is worth.

    Raises:
        EvaluationError: a file cannot be written.
    """
    card = {"features": list(FEATURES), **{k: v for k, v in learned.to_dict().items() if k != "features"}}
    write_text(folder / "ranker.txt", learned.model, make_folder=True)
    write_text(folder / "ranker.json", json.dumps(card, indent=1) + "\n")


def _fit(sheets: Sequence[_Sheet], seed: int) -> Any:
    try:
        import lightgbm
    except ImportError as error:
        raise EvaluationError("LightGBM is not installed. Install it: pip install 'daogou[ltr]'.") from error
    kept = [(s.given[s.ratings >= 0], s.ratings[s.ratings >= 0]) for s in sheets if (s.ratings >= 0).sum() > 1]
    if not kept:
        raise EvaluationError("No query has two judged products among its hits. Judge what is found: `daogou judge`.")
    data = lightgbm.Dataset(
        np.concatenate([given for given, _ in kept]),
        np.concatenate([ratings for _, ratings in kept]),
        group=[len(ratings) for _, ratings in kept],
        feature_name=list(FEATURES),
    )
    options = {
        "objective": "lambdarank",
        "lambdarank_truncation_level": 15,
        "label_gain": list(range(int(max(ratings.max() for _, ratings in kept)) + 1)),  # linear, as nDCG is here
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_data_in_leaf": 50,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.8,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 2,
        "seed": seed,
        "verbosity": -1,
    }
    return lightgbm.train(options, data, num_boost_round=_TREES)


def _score(sheet: _Sheet, qrels: Qrels, scores: Any) -> float:
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ranking = {sheet.qid: tuple(sheet.ids[i] for i in order)}
    scored = score_queries(ranking, {sheet.qid: qrels[sheet.qid]}, min_rel=1)
    return float(scored.column(DECIDING)[0])
