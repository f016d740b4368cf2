"""What a training run needs to go on after it was killed: weights, the optimiser's memory, and where it was.

In: a model, an optimiser and plain values. Out: one folder, replaced whole, so that a kill at any moment leaves the old one
or the new one. Tensors as safetensors, the rest as JSON; nothing is pickled. Knows nothing of what is trained.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from engine.errors import TrainingError
from engine.lasting import sync

__all__ = ["load_checkpoint", "save_checkpoint"]

_TENSORS, _STATE = "tensors.safetensors", "state.json"


def save_checkpoint(folder: Path, model: Any, optimiser: Any, state: dict[str, Any]) -> None:
    """Put the run's state in place of what ``folder`` holds."""
    from safetensors.torch import save_file

    work, old = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tensors = {f"model.{name}": value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    for number, memory in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value.detach().clone().contiguous() for name, value in memory.items()}
    save_file(tensors, work / _TENSORS)
    (work / _STATE).write_text(json.dumps(state), "utf-8")
    for path in (*work.iterdir(), work):
        sync(path)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    work.rename(folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path, model: Any, optimiser: Any) -> dict[str, Any] | None:
    """Fill in model and optimiser from ``folder`` and return the state, or ``None`` where there is none.

    Raises:
        TrainingError: the checkpoint cannot be read.
    """
    from safetensors.torch import load_file

    old = folder.with_name(f"{folder.name}.old")
    if not folder.exists() and old.exists():  # killed between the two renames
        old.rename(folder)
    if not folder.exists():
        return None
    try:
        tensors = load_file(folder / _TENSORS, device=str(model.device))
        state: dict[str, Any] = json.loads((folder / _STATE).read_bytes())
        model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    except Exception as error:  # the libraries raise types of their own for damaged files
        raise TrainingError(f"The checkpoint in {folder} cannot be read ({error}). Delete it to begin anew.") from error
    memory: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, number, field = name.split(".", 2)
            memory.setdefault(int(number), {})[field] = tensor
    optimiser.load_state_dict({"state": memory, "param_groups": optimiser.state_dict()["param_groups"]})
    return state
