"""The network that writes explanations: a small Transformer with an encoder and a decoder (Vaswani et al., *Attention Is All
You Need*, 2017), and its two ONNX graphs.

In: token ids. Out: logits of the next piece. Its layers are written out because those of ``torch.nn`` fix the length of a
text when they are traced. Imports torch when it is imported. Knows nothing of what the ids mean; 0 is padding.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import gelu, scaled_dot_product_attention

from engine.encoder.graph import trace
from engine.errors import TrainingError

__all__ = ["Writer", "export_writer"]

_FACTOR = 3
_LONGEST = 160
_CLOSE = 1e-3
_Module: Any = torch.nn.Module


class _Attention(_Module):  # type: ignore[misc]
    """Looks from ``(b, m, width)`` at ``(b, n, width)``; ``seen`` bool ``(b or 1, 1, m or 1, n)`` says what it may look at."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.asks, self.has, self.joins = (torch.nn.Linear(width, n * width) for n in (1, 2, 1))
        self._heads = heads

    def _split(self, x: Any) -> Any:
        return x.unflatten(-1, (self._heads, -1)).transpose(1, 2)

    def forward(self, x: Any, memory: Any, seen: Any) -> Any:
        keys, values = self.has(memory).chunk(2, dim=-1)
        out = scaled_dot_product_attention(self._split(self.asks(x)), self._split(keys), self._split(values), seen)
        return self.joins(out.transpose(1, 2).flatten(2))


class _Layer(_Module):  # type: ignore[misc]
    """Attention to itself, attention to a memory where there is one, two linear maps; normalised first."""

    def __init__(self, width: int, heads: int, dropout: float, looks: bool) -> None:
        super().__init__()
        self.own = _Attention(width, heads)
        self.other = _Attention(width, heads) if looks else None
        self.wide, self.narrow = torch.nn.Linear(width, _FACTOR * width), torch.nn.Linear(_FACTOR * width, width)
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width) for _ in range(3 if looks else 2))
        self.drop = torch.nn.Dropout(dropout)

    def forward(self, x: Any, seen: Any, memory: Any = None, remembered: Any = None) -> Any:
        y = self.norms[0](x)
        x = x + self.drop(self.own(y, y, seen))
        if self.other is not None:
            x = x + self.drop(self.other(self.norms[2](x), memory, remembered))
        return x + self.drop(self.narrow(self.drop(gelu(self.wide(self.norms[1](x))))))


class Writer(_Module):  # type: ignore[misc]
    """``forward`` takes int64 ``(b, n)`` read and ``(b, m)`` written so far, gives float32 ``(b, m, pieces)``."""

    def __init__(self, reads: int, writes: int, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.read = torch.nn.Embedding(reads, width, padding_idx=0)
        self.write = torch.nn.Embedding(writes, width, padding_idx=0)
        self.encoder = torch.nn.ModuleList(_Layer(width, heads, dropout, False) for _ in range(layers))
        self.decoder = torch.nn.ModuleList(_Layer(width, heads, dropout, True) for _ in range(layers))
        self.ends = torch.nn.ModuleList(torch.nn.LayerNorm(width) for _ in range(2))
        self.register_buffer("places", _waves(width), persistent=False)
        for table in (self.read, self.write):
            torch.nn.init.normal_(table.weight, std=width**-0.5)
        self._scale = math.sqrt(width)

    def memory(self, read: Any) -> Any:
        """Return what the decoder looks at, ``(b, n, width)``."""
        x = self._scale * self.read(read) + self.places[: read.shape[1]]
        for layer in self.encoder:
            x = layer(x, _there(read))
        return self.ends[0](x)

    def logits(self, memory: Any, remembered: Any, written: Any) -> Any:
        """Return the logits after every piece; ``remembered`` bool ``(b, 1, 1, n)`` is false where the memory is padding."""
        x = self._scale * self.write(written) + self.places[: written.shape[1]]
        place = torch.arange(written.shape[1], device=written.device)
        before = (place[:, None] >= place[None, :])[None, None]
        for layer in self.decoder:
            x = layer(x, before, memory, remembered)
        return self.ends[1](x) @ self.write.weight.T

    def forward(self, read: Any, written: Any) -> Any:
        """Return the logits after every piece of ``written``."""
        return self.logits(self.memory(read), _there(read), written)


def _there(read: Any) -> Any:
    return (read != 0)[:, None, None, :]


def _waves(width: int) -> Any:
    """Return sines and cosines of each place, ``(places, width)``."""
    place = torch.arange(_LONGEST)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    table = torch.zeros(_LONGEST, width)
    table[:, 0::2], table[:, 1::2] = torch.sin(place * rate), torch.cos(place * rate)
    return table


class _Reading(_Module):  # type: ignore[misc]
    def __init__(self, model: Writer) -> None:
        super().__init__()
        self.model = model

    def forward(self, read: Any) -> Any:
        return self.model.memory(read)


class _Writing(_Module):  # type: ignore[misc]
    def __init__(self, model: Writer) -> None:
        super().__init__()
        self.model = model

    def forward(self, memory: Any, written: Any) -> Any:
        remembered = (memory[:, :, 0] == memory[:, :, 0])[:, None, None, :]  # all of it
        return self.model.logits(memory, remembered, written)[:, -1]


def export_writer(model: Writer, encoder: Path, decoder: Path) -> None:
    """Write the two graphs: ``read`` → ``memory``; ``memory`` and ``written`` → the logits of the next piece ``(1, pieces)``.

    Raises:
        TrainingError: they do not say what the model says.
    """
    import onnxruntime

    model.eval()
    read, written = torch.ones(1, 7, dtype=torch.int64), torch.ones(1, 5, dtype=torch.int64)
    with torch.no_grad():
        trace(_Reading(model).eval(), {"read": read}, encoder, "memory", {"read": {1: "n"}, "memory": {1: "n"}})
        axes = {"memory": {1: "n"}, "written": {1: "m"}}
        trace(_Writing(model).eval(), {"memory": model.memory(read), "written": written}, decoder, "logits", axes)
        read, written = torch.ones(1, 11, dtype=torch.int64), torch.ones(1, 3, dtype=torch.int64)
        wanted = model(read, written)[:, -1].numpy()
    reading, writing = (onnxruntime.InferenceSession(str(p), providers=["CPUExecutionProvider"]) for p in (encoder, decoder))
    memory = reading.run(None, {"read": read.numpy()})[0]
    off = float(np.abs(writing.run(None, {"memory": memory, "written": written.numpy()})[0] - wanted).max())
    if not off < _CLOSE:
        raise TrainingError(f"The exported model says other than the trained one, by {off:.2g}. Its voice was not written.")
