"""The original model, run by torch: for embedding a whole catalogue on a GPU.

In: an exported folder. Out: unit vectors in float32 (half precision was not measured on a GPU, and on a CPU without
matrix units it is slower). Its fingerprint is the exported encoder's with ``:torch`` at the end: the vectors are the
original's, meant to be searched with the exported encoder's queries; the card's ``overlap_mixed`` says what that
pairing costs. Batches are padded, so a vector may move by about 1e-7 with its neighbours.
Knows nothing of ONNX. Imports torch only when called.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.encoder.card import Card, read_card
from engine.encoder.opening import open_encoder
from engine.encoder.protocol import Encoder, Vectors, unit_rows
from engine.encoder.source import encode_original, find_source, load_original
from engine.errors import EncoderError

__all__ = ["TorchEncoder", "bulk_encoder"]


def bulk_encoder(folder: Path, device: str = "auto", *, batch_size: int = 32) -> Encoder:
    """Return the fastest encoder of products for an exported folder.

    With a CUDA device, and ``device`` not ``cpu``, that is the original model on it; otherwise the exported one on
    all cores.

    Raises:
        EncoderError: the folder is damaged, ``cuda`` was asked for and is not there, or the original has changed.
    """
    if device == "cpu":
        return open_encoder(folder, threads=0)
    import torch

    if torch.cuda.is_available():
        card = read_card(folder)
        return open_encoder(folder) if card.kind == "hashing" else TorchEncoder(card, "cuda", batch_size=batch_size)
    if device == "cuda":
        raise EncoderError("No CUDA device was found. Set `device` to `auto` or `cpu`, or install a CUDA torch.")
    return open_encoder(folder, threads=0)


class TorchEncoder:
    """The model a card was exported from, on ``device``. Safe to call from many threads; they take turns."""

    def __init__(self, card: Card, device: str = "cuda", *, batch_size: int = 32) -> None:
        source = find_source(card.source.model)
        if dict(source.files) != dict(card.source.files):
            raise EncoderError(
                f"The model {card.name!r} in {source.folder} has changed since it was exported. Export it again."
            )
        self._card = card
        self._batch_size = batch_size
        self._model: Any = load_original(source, max_tokens=card.max_tokens, device=device)
        self._turn = threading.Lock()

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._card.dimension

    @property
    def fingerprint(self) -> str:
        """The exported encoder's, with ``:torch`` at the end."""
        return f"{self._card.fingerprint}:torch"

    @property
    def name(self) -> str:
        """What people call the model."""
        return self._card.name

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a query; no queries give ``(0, d)``."""
        return self._encode(self._card.prompts.query, texts)

    def encode_products(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a product text; no texts give ``(0, d)``."""
        return self._encode(self._card.prompts.product, texts)

    def _encode(self, prompt: str, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._turn:  # the tokenizer's truncation is set on every call, which is not safe together
            return unit_rows(encode_original(self._model, prompt, texts, self._batch_size), self.name)
