"""A learned order of the first few hits that reads query and product together: a cross-encoder.

In: a folder that :mod:`evals.reranking` wrote, a query and the texts of its hits. Out: how well each answers, and the hits in
another order. Optional: without the setting ``reranker`` nothing here runs. The folder says what it was found to be worth,
and one whose cost was not earned is not opened. onnxruntime runs it; no torch in the process.

    FOLDER/
      reranker.json     the card: how many hits, how much weight, what it gained and cost, the files
      model.onnx        token ids of pairs to one score each
      tokenizer.json
      model/            the same for torch
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tokenizers import Tokenizer

from engine.encoder.card import File, describe
from engine.encoder.graph_encoder import cleaned
from engine.encoder.runtimes import OnnxRuntime
from engine.errors import SettingsError
from engine.rank import Ranking, taken

__all__ = ["GRAPH", "RERANKER", "TOKENIZER", "Reranker", "RerankerCard", "blended"]

RERANKER, GRAPH, TOKENIZER = "reranker.json", "model.onnx", "tokenizer.json"
_BATCH = 16
_FORMAT = 1

Values = NDArray[np.float32]


class RerankerCard(BaseModel):
    """What a reranker is and what it was found to be worth.

    The first ``depth`` hits are put in order by their own score plus ``weight`` times the probability the reranker gives.
    ``gain`` is that of whole searches on queries it had not seen, ``added_ms`` the median time it adds to one; both with the
    vectors of ``encoder``, a fingerprint.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = _FORMAT
    name: str
    depth: int = Field(ge=1, le=100)
    weight: float = Field(gt=0)
    max_tokens: int = Field(ge=16)
    languages: tuple[str, ...] = ("en",)
    encoder: str = ""
    precision: Literal["int8", "fp32"] = "int8"
    agreement: float = 1.0
    """Share of each query's five best that the exported and the trained model have in common."""
    pays: bool = False
    verdict: str = ""
    added_ms: float = 0.0
    gain: Mapping[str, Any] = {}
    files: Mapping[str, File] = {}


class Reranker:
    """Scores pairs. Thread-safe."""

    def __init__(self, folder: Path, card: RerankerCard) -> None:
        self.card = card
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(card.max_tokens)  # the longer of the two is cut
        self._runtime = OnnxRuntime(folder / GRAPH)

    @classmethod
    def open(cls, folder: Path) -> Reranker:
        """Return the reranker of a folder, once it is sure that its files are whole and that it pays.

        Raises:
            SettingsError: it is missing, damaged, or was found not to pay.
        """
        card = _read_card(folder)
        if not card.pays:
            raise SettingsError(f"The reranker in {folder} is not used: {card.verdict} Unset `reranker`, or train it on more.")
        try:
            return cls(folder, card)
        except Exception as error:  # both libraries raise bare Exceptions of their own
            raise SettingsError(f"The reranker in {folder} cannot be opened: {error}. Train it again.") from error

    def with_card(self, card: RerankerCard) -> Reranker:
        """Return the same graph with another depth or weight."""
        other = copy.copy(self)
        other.card = card
        return other

    def scores(self, query: str, texts: Sequence[str]) -> Values:
        """Return the probability that each text answers the query, float32 ``(n,)``."""
        whole = [cleaned(text, self.card.max_tokens) for text in (query, *texts)]
        pairs = [self._tokenizer.encode(whole[0], text) for text in whole[1:]]
        out = np.empty(len(pairs), np.float32)
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].ids))
        for batch in (order[start : start + _BATCH] for start in range(0, len(order), _BATCH)):
            longest = len(pairs[batch[-1]].ids)
            given = {name: np.zeros((len(batch), longest), np.int64) for name in self._runtime.inputs}
            for row, i in enumerate(batch):
                for name in self._runtime.inputs:
                    values = getattr(pairs[i], _FIELDS[name])
                    given[name][row, : len(values)] = values
            out[batch] = self._runtime(given)
        return np.asarray(1 / (1 + np.exp(-out)), np.float32)

    def reorder(self, ranking: Ranking, scores: Values) -> Ranking:
        """Return the ranking with its first hits in the order of their :func:`blended` scores; ``scores`` are theirs."""
        fused = ranking.fused.copy()
        fused[: len(scores)] = blended(ranking.fused, ranking.code, scores, self.card.weight)
        return taken(replace(ranking, fused=fused), np.argsort(-fused, kind="stable"))


_FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


def blended(fused: Values, code: NDArray[np.bool_], scores: Values, weight: float) -> Values:
    """Return the scores of the first ``len(scores)`` hits: their own plus the weighted probability, so that none falls below
    the hits after them; bearers of a code, whose own scores are highest, get the whole weight more and stay first."""
    n = len(scores)
    return np.asarray(fused[:n] + np.float32(weight) * (scores + code[:n]), np.float32)


def _read_card(folder: Path) -> RerankerCard:
    path = folder / RERANKER
    try:
        raw = json.loads(path.read_bytes())
        if isinstance(raw, dict) and raw.get("format") != _FORMAT:
            raise SettingsError(f"{path} has format {raw.get('format')!r}; this version reads {_FORMAT}. Train the reranker again.")
        card = RerankerCard.model_validate(raw)
    except OSError as error:
        message = f"{folder} holds no reranker ({error.strerror}). Make one with `daogou train reranker`, or unset `reranker`."
        raise SettingsError(message) from error
    except ValueError as error:
        if not isinstance(error, ValidationError):
            raise SettingsError(f"{path} is not JSON ({error}). Train the reranker again.") from error
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        raise SettingsError(f"{path} cannot be used: {place}: {first['msg']}. Train the reranker again.") from error
    for name in (GRAPH, TOKENIZER):  # before any parser sees them
        try:
            whole = describe(folder / name) == card.files.get(name)
        except OSError:
            whole = False
        if not whole:
            raise SettingsError(f"{folder / name} is damaged or missing. Train the reranker again.")
    return card
