"""A model's vectors with gradients, whatever the size of a step: texts of like length together, memory bounded.

In: a loaded ``SentenceTransformer`` and texts. Out: unit vectors a loss can be taken of, and gradients in the model's weights.
Where the activations of a whole step would not fit, each part is run again for its gradient (Gao et al., *Scaling Deep
Contrastive Learning Batch Size under Memory Limited Setup*, 2021); there is no dropout, so both ways give the same gradient.
Imports torch only when called. Knows nothing of losses or examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from engine.train.world import World

__all__ = ["StepVectors"]

_PART_TOKENS = 2048
_KEPT_PER_TOKEN = 40
"""Numbers of hidden size that a layer keeps for the backward pass, for each token; measured on MiniLM, rounded up."""


class StepVectors:
    """Runs a model over the texts of one step. ``max_tokens`` cuts texts; ``memory_mb`` bounds what is kept for gradients;
    ``half`` computes in bfloat16 where the device can. Processes of a ``world`` share the texts; the gradients each adds are those
    of its own part."""

    def __init__(self, model: Any, max_tokens: int, memory_mb: int, half: bool = False, world: World = World()) -> None:
        self._model = model
        self._world = world
        self._max_tokens = max_tokens
        self._half = half
        config = model[0].auto_model.config
        per_token = config.num_hidden_layers * config.hidden_size * _KEPT_PER_TOKEN * (2 if half else 4)
        self._most_tokens = max(_PART_TOKENS, memory_mb * 1_000_000 // per_token)

    def backward(self, texts: Sequence[str], loss_of: Callable[[Any], Any]) -> tuple[float, int]:
        """Add the gradient of ``loss_of(vectors)`` to the weights; return the loss and the number of tokens read."""

        parts = self._parts(texts)
        tokens = sum(given["input_ids"].numel() for _, given in parts)
        if self._world.size > 1 or tokens > self._most_tokens:
            return self._backward_in_parts(parts, len(texts), loss_of), tokens
        loss = loss_of(self._joined(parts))
        loss.backward()
        return float(loss.detach()), tokens

    def _backward_in_parts(self, parts: Sequence[tuple[list[int], Any]], n: int, loss_of: Callable[[Any], Any]) -> float:
        """Encode this process's parts, put in what the others encoded, and add the gradient of its own."""
        import torch

        own = parts[self._world.rank :: self._world.size]
        vectors = torch.zeros(n, self._model.get_embedding_dimension(), device=self._model.device)
        with torch.no_grad():
            for part, given in own:
                vectors[torch.tensor(part, device=vectors.device)] = self._run(given)
        self._world.add(vectors)
        vectors.requires_grad_(True)
        loss = loss_of(vectors)
        loss.backward()
        for part, given in own:
            again = self._run(given)
            again.backward(vectors.grad[torch.tensor(part, device=vectors.device)].to(again.dtype))
        return float(loss.detach())

    def encode(self, texts: Sequence[str]) -> Any:
        """Return unit vectors ``(n, d)`` that a gradient can be taken of, all of it kept in memory."""
        return self._joined(self._parts(texts))

    def _joined(self, parts: Sequence[tuple[list[int], Any]]) -> Any:
        """Return the vectors of all parts in the order of the texts."""
        import torch

        order = torch.tensor([i for part, _ in parts for i in part], device=self._model.device)
        return torch.cat([self._run(given) for _, given in parts])[torch.argsort(order)]

    def _parts(self, texts: Sequence[str]) -> list[tuple[list[int], Any]]:
        """Return places and tokens of texts of like length, as many together as make a part."""
        cut = self._model.tokenizer(list(texts), truncation=True, max_length=self._max_tokens)
        lengths = [len(ids) for ids in cut["input_ids"]]
        most = min(_PART_TOKENS, 1 + sum(lengths) // self._world.size)
        parts: list[tuple[list[int], Any]] = []
        waiting: list[int] = []
        for i in sorted(range(len(texts)), key=lambda i: (lengths[i], i)):
            if waiting and (len(waiting) + 1) * lengths[i] > most:
                parts.append((waiting, self._padded(cut, waiting)))
                waiting = []
            waiting.append(i)
        parts.append((waiting, self._padded(cut, waiting)))
        return parts

    def _padded(self, cut: Any, places: Sequence[int]) -> Any:
        given = {name: [values[i] for i in places] for name, values in cut.items()}
        return self._model.tokenizer.pad(given, return_tensors="pt").to(self._model.device)

    def _run(self, given: Any) -> Any:
        import torch

        with self._precision():
            features = self._model.forward(dict(given))
        return torch.nn.functional.normalize(features["sentence_embedding"].float(), dim=-1)

    def _precision(self) -> AbstractContextManager[Any]:
        import torch

        return torch.autocast(self._model.device.type, dtype=torch.bfloat16) if self._half else nullcontext()
