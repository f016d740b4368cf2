"""The serving encoder: an exported graph run by onnxruntime or OpenVINO, tokenised by ``tokenizers``, no torch in the process.

In: an exported folder and its checked card. Out: unit vectors. Products run one at a time, without padding, so that a
vector depends on its text alone to the last bit and an index made in parts equals one made at once; threads share
texts, not one multiplication. Queries that wait together run in batches, which halves their cost: int8 scales every
token by itself and padding is left out or masked, so company moves a vector by the rounding of the last sum alone (below 1e-6;
with OpenVINO, which multiplies other shapes in other ways, below 1e-4). Knows nothing of the model it was exported from.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from engine.encoder.card import MODEL, TOKENIZER, XML, Card
from engine.encoder.protocol import Vectors, unit_rows
from engine.encoder.runtimes import OnnxRuntime, OpenvinoRuntime
from engine.errors import EncoderError, MissingExtraError

__all__ = ["GraphEncoder", "cleaned", "padded"]

_BATCH = 16
_PADS = ("[PAD]", "<pad>")
_CHARS_PER_TOKEN = 64
"""A text is cut here before it is tokenised: a cell of megabytes costs no seconds, and no language has longer tokens
on average."""


class GraphEncoder:
    """Encodes with an exported graph. Safe to call from many threads.

    ``threads`` is how many texts of one call run at the same time; 0 means one for each core.
    """

    def __init__(self, folder: Path, card: Card, *, threads: int = 1) -> None:
        self._card = card
        self._fingerprint = card.fingerprint
        self._workers = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="encode")  # starts no thread until used
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            self._runtime = OpenvinoRuntime(folder / XML, self._workers) if card.kind == "openvino" else OnnxRuntime(folder / MODEL)
        except MissingExtraError:
            raise
        except Exception as error:  # the libraries raise bare Exceptions of their own
            raise EncoderError(f"The encoder in {folder} cannot be opened: {error}. Export the model again.") from error
        self._blank = next((i for t in _PADS if (i := self._tokenizer.token_to_id(t)) is not None), 0)
        width = self._run([self._tokens("")]).shape[-1]
        if width != card.dimension:
            raise EncoderError(
                f"The encoder in {folder} gives vectors of {width} numbers, its card says {card.dimension}. "
                "Export the model again."
            )

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._card.dimension

    @property
    def fingerprint(self) -> str:
        """The card's: hex SHA-256 of files, prompts, precision and length."""
        return self._fingerprint

    @property
    def name(self) -> str:
        """What people call the model."""
        return self._card.name

    @property
    def card(self) -> Card:
        """Where the model came from and how it agrees with the original."""
        return self._card

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a query; no queries give ``(0, d)``."""
        tokens = [self._tokens(self._card.prompts.query + text) for text in texts]
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
        for batch in (order[start : start + _BATCH] for start in range(0, len(order), _BATCH)):
            rows[batch] = self._run([tokens[i] for i in batch])
        return unit_rows(rows, self.name)

    def encode_products(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a product text; no texts give ``(0, d)``."""
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)
        remaining = iter(range(len(texts)))

        def work() -> None:
            for i in remaining:  # shared by the workers: whoever is free takes the next text
                rows[i] = self._run([self._tokens(self._card.prompts.product + texts[i])])[0]

        workers = min(self._workers, len(texts))
        if workers <= 1:
            work()
        else:
            for done in [self._pool.submit(work) for _ in range(workers)]:
                done.result()
        return unit_rows(rows, self.name)

    def _tokens(self, text: str) -> list[int]:
        return self._tokenizer.encode(cleaned(text, self._card.max_tokens)).ids or [self._blank]

    def _run(self, tokens: Sequence[list[int]]) -> Vectors:
        """Return the vectors of texts as the graph gives them, padded to the longest."""
        return self._runtime(padded(tokens, self._blank, self._runtime.inputs))


def cleaned(text: str, max_tokens: int) -> str:
    """Return what of a text can matter to a tokenizer that keeps so many tokens, without what no encoding has."""
    return text[: max_tokens * _CHARS_PER_TOKEN].encode("utf-8", "replace").decode()


def padded(tokens: Sequence[list[int]], blank: int, names: Collection[str]) -> dict[str, NDArray[np.int64]]:
    """Return the tensors of these names for token ids of several texts, filled up to the longest with ``blank``."""
    ids = np.full((len(tokens), max(map(len, tokens))), blank, dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, given in enumerate(tokens):
        ids[i, : len(given)] = given
        mask[i, : len(given)] = 1
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: feed[name] for name in names}
