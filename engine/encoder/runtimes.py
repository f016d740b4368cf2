"""What runs an exported graph: onnxruntime, or OpenVINO where the extra ``openvino`` is installed.

In: a file of a graph. Out: :class:`Runtime`, from named tensors to the graph's one output. One thread a call, safe to call from
many. Knows nothing of texts or models.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from engine.errors import MissingExtraError

__all__ = ["OnnxRuntime", "OpenvinoRuntime", "Runtime", "openvino"]


class Runtime(Protocol):
    """A graph that can be run. ``inputs`` are the names of its tensors."""

    inputs: frozenset[str]

    def __call__(self, given: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return the output for tensors ``(batch, length)``."""
        ...


class OnnxRuntime:
    """Runs a graph in ONNX form."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = frozenset(given.name for given in self._session.get_inputs())

    def __call__(self, given: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return the output for tensors ``(batch, length)``."""
        output: NDArray[np.float32] = self._session.run(None, dict(given))[0]
        return output


class OpenvinoRuntime:
    """Runs a graph in OpenVINO's form: an XML file, with its weights beside it. ``streams`` calls run at the same time."""

    def __init__(self, path: Path, streams: int = 1) -> None:
        whole = openvino()
        options = {"INFERENCE_NUM_THREADS": streams, "NUM_STREAMS": streams, "INFERENCE_PRECISION_HINT": "f32"}
        self._model = whole.Core().compile_model(str(path), "CPU", options)
        self.inputs = frozenset(given.get_any_name() for given in self._model.inputs)
        self._own = threading.local()

    def __call__(self, given: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return the output for tensors ``(batch, length)``."""
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        return np.array(self._own.request.infer(dict(given))[0], np.float32)


def openvino() -> Any:
    """Return the package, with its telemetry kept out: neither it nor NNCF tells anyone that they run.

    Raises:
        MissingExtraError: it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino as whole
    except ImportError as error:
        message = "This encoder is run by OpenVINO, which is not installed. Run `pip install 'daogou[openvino]'`."
        raise MissingExtraError(message) from error
    return whole
