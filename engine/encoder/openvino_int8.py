"""An exported graph in OpenVINO's form, its weights and activations as int8.

In: a float32 ONNX graph and tensors of typical texts. Out: ``model.xml`` and ``model.bin``. NNCF measures on these texts how large
activations get and scales them once for all (post-training quantisation). Needs the extra ``openvino``. Knows nothing of models.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.encoder.runtimes import openvino
from engine.errors import MissingExtraError

__all__ = ["write_openvino"]


def write_openvino(graph: Path, path: Path, texts: Sequence[Mapping[str, NDArray[np.int64]]] = ()) -> None:
    """Write the graph to ``path`` (``.xml``, weights beside it): int8, measured on ``texts``, or float32 where there are none.

    Raises:
        MissingExtraError: OpenVINO or NNCF is not installed.
    """
    whole = openvino()
    model = whole.convert_model(str(graph))
    if texts:
        model = _quantised(model, texts)
    whole.save_model(model, str(path), compress_to_fp16=False)


def _quantised(model: Any, texts: Sequence[Mapping[str, NDArray[np.int64]]]) -> Any:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import nncf
    except ImportError as error:
        message = "NNCF is not installed, which makes int8 for OpenVINO. Run `pip install 'daogou[openvino]'`."
        raise MissingExtraError(message) from error
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):  # bars of its own
        return nncf.quantize(
            model, nncf.Dataset([dict(given) for given in texts]), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(texts)
        )
