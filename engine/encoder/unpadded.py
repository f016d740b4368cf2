"""A sentence-transformers model made to run a padded batch without its padding, ready to be exported.

In: a loaded model. Out: a torch module from token ids and mask to unit vectors, or nothing where the model is of a kind
that cannot run so. What works token by token, nine tenths of the cost, sees the tokens of all texts in one row; only
attention is laid out text by text, and there padding is masked, so the vectors are those of the padded batch. The layout
enters through transformers' attention interface (https://huggingface.co/docs/transformers/attention_interface).
Imports torch only when called. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import EncoderError

__all__ = ["attention", "unpadded"]

_NAME = "daogou_unpadded"
_NEAR = 1e-4


class _Layout:
    """Where the tokens of one batch ``(b, n)`` lie among its ``t`` real ones.

    ``real`` int64 ``(t,)`` are the places of the real tokens in the flattened batch; ``rows`` int64 ``(b, n)`` is for
    each place the real token to read, any where there is none; ``bias`` ``(b, 1, 1, n)`` rules these out.
    """

    real: Any
    rows: Any
    bias: Any

    def take(self, mask: Any) -> None:
        """Lay out the batch of this mask."""
        import torch

        flat = mask.flatten()
        self.real = flat.nonzero()[:, 0]
        self.rows = (flat.cumsum(0) - 1).clamp(min=0).view(mask.shape)
        self.bias = (1 - mask)[:, None, None, :].to(torch.float32) * torch.finfo(torch.float32).min

    def attend(
        self, module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float | None = None, **more: Any
    ) -> tuple[Any, None]:
        """Attention as transformers asks for it: ``(1, heads, t, d)`` of one row in, ``(1, t, heads, d)`` out.

        Raises:
            EncoderError: the model wants more of attention than that every token sees its text.
        """
        import torch

        _, heads, _, width = (int(size) for size in query.shape)
        if (
            attention_mask is not None
            or more.get("sliding_window") is not None
            or more.get("position_bias") is not None
            or getattr(module, "is_causal", False)
            or int(key.shape[1]) != heads
        ):
            raise EncoderError("This model's attention depends on more than the text a token is in.")

        def by_text(x: Any) -> Any:
            return x[0].transpose(0, 1)[self.rows].transpose(1, 2)

        scores = torch.matmul(by_text(query), by_text(key).transpose(2, 3)) * (width**-0.5 if scaling is None else scaling)
        seen = torch.matmul(torch.softmax(scores + self.bias, dim=-1), by_text(value))
        return seen.transpose(1, 2).reshape(-1, heads, width)[self.real][None], None


@contextmanager
def attention(model: Any, name: str) -> Iterator[None]:
    """Let the model's transformers attend by the named implementation meanwhile."""
    before = [(part.auto_model, part.auto_model.config._attn_implementation) for part in model if hasattr(part, "auto_model")]
    try:
        for transformer, _ in before:
            transformer.set_attn_implementation(name)
        yield
    finally:
        for transformer, implementation in before:
            transformer.set_attn_implementation(implementation)


@contextmanager
def unpadded(model: Any, ids: Any, mask: Any) -> Iterator[Any | None]:
    """Give the model as a module of ids and mask ``(b, n)`` that runs without padding, or ``None`` where it cannot.

    Whether it can is tried on a batch that has padding: its vectors must be those of the model.
    """
    import torch
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    layout = _Layout()
    first, *rest = list(model)

    class Unpadded(torch.nn.Module):  # type: ignore[misc]
        """Token ids and mask in, unit vectors out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any, mask: Any) -> Any:
            layout.take(mask)
            positions = layout.real % mask.shape[1] + _first_position(first.auto_model)
            row = first.auto_model(
                input_ids=ids.flatten()[layout.real][None], position_ids=positions[None], attention_mask=None
            ).last_hidden_state
            features = {"token_embeddings": row[0][layout.rows], "attention_mask": mask}
            for module in rest:
                features = module(features)
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)

    if not hasattr(first, "auto_model"):
        yield None
        return
    with torch.no_grad():
        features = model.forward({"input_ids": ids, "attention_mask": mask})
        expected = torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)
    AttentionInterface.register(_NAME, layout.attend)
    AttentionMaskInterface.register(_NAME, lambda *_, **__: None)
    with attention(model, _NAME):
        whole = Unpadded().eval()
        try:
            with torch.no_grad():
                able = torch.allclose(whole(ids, mask), expected, atol=_NEAR)
        except Exception:  # whatever the model's code raises, it cannot run so
            able = False
        yield whole if able else None


def _first_position(transformer: Any) -> int:
    """Return the position of a first token: RoBERTa and its kin count from behind the padding's."""
    embeddings = getattr(getattr(transformer, "embeddings", None), "position_embeddings", None)
    behind = getattr(embeddings, "padding_idx", None)
    return 0 if behind is None else int(behind) + 1
