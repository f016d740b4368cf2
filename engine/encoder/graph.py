"""Turn a loaded sentence-transformers model into files that onnxruntime and ``tokenizers`` can serve.

In: a ``SentenceTransformer`` on the CPU. Out: ``model.onnx`` (token ids to unit vectors, dynamic batch and length)
and ``tokenizer.json``. Imports torch only when called. Knows nothing of int8, caches or cards.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from engine.encoder.unpadded import attention, unpadded
from engine.errors import EncoderError

__all__ = ["export_module", "trace", "write_graph", "write_tokenizer"]

_OPSET = 17
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
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


def write_graph(model: Any, path: Path, unpad: bool = True) -> None:
    """Export every module of the model, and a final normalisation, as one graph; without padding where that can be and is wanted.

    Raises:
        EncoderError: the model needs to know more than the tokens, or torch cannot trace it.
    """
    _refuse_unsupported(model)
    probe = model.tokenizer(list(_PROBE), padding=True, truncation=True, return_tensors="pt")
    if unpad:
        with unpadded(model, probe["input_ids"], probe["attention_mask"]) as whole:
            if whole is not None:
                export_module(whole, {name: probe[name] for name in ("input_ids", "attention_mask")}, path)
                return
    inputs = {name: probe[name] for name in _INPUTS if name in probe}
    with attention(model, "eager"):  # fewer steps once exported than torch's own
        export_module(_padded(model, list(inputs)), inputs, path)


def _padded(model: Any, names: list[str]) -> Any:
    """Return the model as a module of the named tensors, which computes padding and all."""
    import torch

    class Padded(torch.nn.Module):  # type: ignore[misc]
        """What the tokenizer gives in, unit vectors out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            features = self.model.forward(dict(zip(names, tensors, strict=True)))
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)

    return Padded().eval()


def export_module(whole: Any, inputs: dict[str, Any], path: Path, output: str = "embedding") -> None:
    """Export a torch module of named tensors ``(batch, length)``, whose ``output`` has one row a text.

    Raises:
        EncoderError: torch cannot trace it.
    """
    trace(whole, inputs, path, output, {name: {0: "batch", 1: "length"} for name in inputs} | {output: {0: "batch"}})


def trace(whole: Any, inputs: dict[str, Any], path: Path, output: str, axes: dict[str, dict[int, str]]) -> None:
    """Export a torch module of named tensors; ``axes`` names those of their axes that may have another length.

    Raises:
        EncoderError: torch cannot trace it.
    """
    import torch

    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every Python branch; the parity check judges
            torch.onnx.export(
                whole,
                tuple(inputs.values()),
                str(path),
                input_names=list(inputs),
                output_names=[output],
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
