"""Int8 weights for an exported graph, with activations scaled token by token.

In: a float32 ONNX graph. Out: the same graph with every weight of a multiplication and every embedding table as int8.
Weights are symmetric with one scale for each output channel, embeddings with one for each token (Jacob et al.,
*Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*, 2018); activations are
scaled as they come, each token by its own largest value (per-token scales as in Yao et al., *ZeroQuant*, 2022).
onnxruntime's own ``quantize_dynamic`` has one scale for the whole batch: a text's vector then moved with its
neighbours (cosine down to 0.985 on all-MiniLM-L6-v2), and queries could not be answered together. Knows nothing of
models.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "quantise"]

_CONTRIB = "com.microsoft"
"""onnxruntime's own operators, which every build of it has."""
LARGEST = 64
"""Largest weight. Processors without VNNI add two products of a byte and a weight in 16 bits and cut off what does not
fit: 2 * 255 * 64 does. So a text has the same vector on every processor."""
_MIDDLE = 128
"""What zero becomes among unsigned bytes."""
_LEAST = 1e-12
_SMALL = 4096
"""Tables and weights with fewer numbers stay as they are."""


def quantise(graph: Path, path: Path) -> None:
    """Write the graph in ``graph`` to ``path`` with int8 weights."""
    import onnx

    model = onnx.load(str(graph))
    _Quantiser(model.graph).rewrite()
    model.opset_import.append(onnx.helper.make_opsetid(_CONTRIB, 1))
    onnx.save(model, str(path))


class _Quantiser:
    """Rewrites one graph in place."""

    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        self._graph = graph
        self._weights: dict[str, NDArray[Any]] = {}
        for given in graph.initializer:
            values = numpy_helper.to_array(given)
            if values.ndim == 2 and values.dtype == np.float32 and values.size >= _SMALL:
                self._weights[given.name] = values
        self._added: dict[str, Any] = {}
        self._scaled: dict[str, str] = {}
        """Activations already made bytes: their name, and the prefix of what was made of them."""
        self._share = self._constant("int8/share", np.array(1 / 127, np.float32))
        self._middle = self._constant("int8/middle", np.array(_MIDDLE, np.uint8))

    def rewrite(self) -> None:
        """Replace multiplications and look-ups; float32 weights that nothing else uses go."""
        nodes: list[Any] = []
        for node in self._graph.node:
            if node.op_type == "MatMul" and node.input[1] in self._weights:
                nodes += self._multiply(node)
            elif node.op_type == "Gather" and node.input[0] in self._weights and not self._axis(node):
                nodes += self._look_up(node)
            else:
                nodes.append(node)
        used = {name for node in nodes for name in node.input}
        kept = [given for given in self._graph.initializer if given.name in used]
        del self._graph.node[:], self._graph.initializer[:]
        self._graph.node.extend(nodes)
        self._graph.initializer.extend([*kept, *self._added.values()])

    def _multiply(self, node: Any) -> list[Any]:
        """``x @ w`` as whole numbers: ``(bytes(x / largest) @ int8(w)) * scales of the channels * largest``."""
        from onnx import helper

        x, weight = node.input
        out = node.output[0]
        steps, prefix = self._as_bytes(x)
        codes, scales = _int8(self._weights[weight], axis=0)
        product = [
            f"{prefix}/bytes",
            self._constant(f"{weight}/int8", codes),
            self._share,
            self._constant(f"{weight}/scales", scales[0]),
            self._middle,
        ]
        return [
            *steps,
            helper.make_node("MatMulIntegerToFloat", product, [f"{out}/channels"], domain=_CONTRIB),
            helper.make_node("Mul", [f"{out}/channels", f"{prefix}/largest"], [out]),
        ]

    def _as_bytes(self, x: str) -> tuple[list[Any], str]:
        """Return the steps that turn an activation into bytes, and the prefix of their names.

        A token of zeros alone becomes any bytes, which its largest value of 0 makes 0 again.
        """
        from onnx import helper

        if x in self._scaled:
            return [], self._scaled[x]
        prefix = self._scaled[x] = f"{x}/int8"
        steps = [
            helper.make_node("Abs", [x], [f"{prefix}/abs"]),
            helper.make_node("ReduceMax", [f"{prefix}/abs"], [f"{prefix}/largest"], axes=[-1], keepdims=1),
            helper.make_node("Div", [x, f"{prefix}/largest"], [f"{prefix}/divided"]),
            helper.make_node("QuantizeLinear", [f"{prefix}/divided", self._share, self._middle], [f"{prefix}/bytes"]),
        ]
        return steps, prefix

    def _look_up(self, node: Any) -> list[Any]:
        """A row of a table, as ``int8(row) * scale of the row``."""
        from onnx import TensorProto, helper

        table, rows = node.input
        out = node.output[0]
        codes, scales = _int8(self._weights[table], axis=1)
        byte_table = self._constant(f"{table}/int8", codes)
        row_scales = self._constant(f"{table}/scales", scales)
        return [
            helper.make_node("Gather", [byte_table, rows], [f"{out}/bytes"]),
            helper.make_node("Gather", [row_scales, rows], [f"{out}/scale"]),
            helper.make_node("Cast", [f"{out}/bytes"], [f"{out}/float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{out}/float", f"{out}/scale"], [out]),
        ]

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self._added.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    @staticmethod
    def _axis(node: Any) -> int:
        return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)


def _int8(values: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return ``values`` as symmetric int8 and the scales, with the reduced ``axis`` kept."""
    scales = np.maximum(np.abs(values).max(axis=axis, keepdims=True), _LEAST) / LARGEST
    return np.clip(np.rint(values / scales), -LARGEST, LARGEST).astype(np.int8), scales.astype(np.float32)
