"""Turn a loaded sentence-transformers model into files that onnxruntime and ``tokenizers`` can serve.

In: a ``SentenceTransformer`` on the CPU. Out: ``model.onnx`` (token ids to unit vectors, dynamic batch and length)
and ``tokenizer.json``. Imports torch only when called. Knows nothing of int8, caches or cards.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from engine.errors import EncoderError

__all__ = ["write_graph", "write_tokenizer"]

_OPSET = 17
_PROBE = ("a short text", "a second text of another length, so that one of the two is padded")


def write_tokenizer(model: Any, path: Path) -> None:
    """Write the model's tokenizer, cutting at the model's ``max_seq_length`` and without padding.

    Raises:
        EncoderError: the tokenizer has no fast form.
    """
    from tokenizers import Tokenizer

    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise EncoderError(
            f"The model's tokenizer ({type(model.tokenizer).__name__}) cannot be written as tokenizer.json. "
            "Choose a model that has a fast tokenizer."
        )
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_padding()
    copy.enable_truncation(model.max_seq_length)
    copy.save(str(path))


def write_graph(model: Any, path: Path) -> None:
    """Export every module of the model, and a final normalisation, as one graph.

    Raises:
        EncoderError: the model needs to know more than the tokens, or torch cannot trace it.
    """
    import torch

    _refuse_unsupported(model)
    probe = model.tokenizer(list(_PROBE), padding=True, truncation=True, return_tensors="pt")
    names = [n for n in ("input_ids", "attention_mask", "token_type_ids") if n in probe]
    axes = {name: {0: "batch", 1: "length"} for name in names} | {"embedding": {0: "batch"}}

    class Whole(torch.nn.Module):  # type: ignore[misc]
        """Token ids in, unit vectors out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            features = self.model.forward(dict(zip(names, tensors, strict=True)))
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)

    for module in model:
        if hasattr(module, "auto_model"):
            module.auto_model.set_attn_implementation("eager")  # fewer steps once exported than torch's own attention
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every Python branch; the parity check judges
            torch.onnx.export(
                Whole().eval(),
                tuple(probe[name] for name in names),
                str(path),
                input_names=names,
                output_names=["embedding"],
                dynamic_axes=axes,
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as error:  # the tracer raises whatever the model's code raises
        raise EncoderError(f"The model cannot be exported to ONNX: {error}") from error


def _refuse_unsupported(model: Any) -> None:
    for module in model:
        kind = type(module).__name__
        if kind == "Router":
            raise EncoderError(
                "The model has separate networks for queries and documents (a Router), which is not supported. "
                "Choose a model with one network."
            )
        if getattr(module, "include_prompt", True) is False and any(model.prompts.values()):
            raise EncoderError(
                "The model leaves its prompt out of the pooling (include_prompt is false), which is not supported. "
                "Choose another model."
            )
