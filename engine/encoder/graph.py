"""Turn a loaded sentence-transformers model into files that onnxruntime and ``tokenizers`` can serve.

In: a ``SentenceTransformer`` on the CPU. Out: ``model.onnx`` (the token ids of one text to its unit vector), its int8
copy and ``tokenizer.json``. A graph for one text needs no padding, hence no mask, and a tenth less time than one for
batches: most of what it leaves out are small steps that compute shapes. Imports torch and onnx only when called.
Knows nothing of caches or cards.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from engine.errors import EncoderError

__all__ = ["quantise", "write_graph", "write_tokenizer"]

_OPSET = 17
_PROBE = "a text of several words"


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
    """Export every module of the model, and a final normalisation, as one graph: token ids int64 ``(1, length)`` to
    a unit vector float32 ``(1, d)``.

    Raises:
        EncoderError: the model needs to know more than the tokens, or torch cannot trace it.
    """
    import torch

    _refuse_unsupported(model)
    probe = model.tokenizer([_PROBE], return_tensors="pt")

    class Whole(torch.nn.Module):  # type: ignore[misc]
        """Token ids in, a unit vector out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any) -> Any:
            given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            if "token_type_ids" in probe:
                given["token_type_ids"] = torch.zeros_like(ids)
            features = self.model.forward(given)
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=-1)

    for module in model:
        if hasattr(module, "auto_model"):
            module.auto_model.set_attn_implementation("eager")  # fewer steps once exported than torch's own attention
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every Python branch; the parity check judges
            torch.onnx.export(
                Whole().eval(),
                (probe["input_ids"],),
                str(path),
                input_names=["input_ids"],
                output_names=["embedding"],
                dynamic_axes={"input_ids": {1: "length"}},
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as error:  # the tracer raises whatever the model's code raises
        raise EncoderError(f"The model cannot be exported to ONNX: {error}") from error


def quantise(graph: Path, path: Path) -> None:
    """Write the graph with int8 weights, one scale a channel; activations are scaled as they come."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(str(graph))
    marker = model.metadata_props.add()  # without it the quantiser advises another tool through the root logger
    marker.key, marker.value = "onnx.quant.pre_process", "onnxruntime.quant"
    quantize_dynamic(model, str(path), per_channel=True, weight_type=QuantType.QInt8)


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
