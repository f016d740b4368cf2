"""A recommender's model in a snapshot: plain arrays, mapped.

On disk: ``recommend/model.json`` and one ``.npy`` for each array. A snapshot without them has a model of no orders. Knows
nothing of how it was fitted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from engine.index.arrays import map_array
from engine.recommend.model import Model, Sparse

__all__ = ["load_model", "save_model"]

_PLAIN = ("support", "now", "trend", "again", "own", "first_s", "buyers")
_SPARSE = ("together", "lenders")


def save_model(model: Model, folder: Path) -> dict[str, int]:
    """Write a model into ``folder`` and return what it rests on."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _PLAIN:
        np.save(folder / f"{name}.npy", getattr(model, name), allow_pickle=False)
    for name in _SPARSE:
        for part in ("starts", "columns", "values"):
            np.save(folder / f"{name}_{part}.npy", getattr(getattr(model, name), part), allow_pickle=False)
    (folder / "model.json").write_text(json.dumps({"now_s": model.now_s, "orders": model.orders}), "utf-8")
    return {"orders": model.orders, "bought_together": len(model.support)}


def load_model(folder: Path, n: int) -> Model:
    """Return the model of a folder, or one of no orders for ``n`` products where there is none."""
    if not (folder / "model.json").is_file():
        return no_model(n)
    said = json.loads((folder / "model.json").read_text("utf-8"))
    plain: dict[str, Any] = {name: map_array(folder / f"{name}.npy") for name in _PLAIN}
    parts = ("starts", "columns", "values")
    sparse: dict[str, Any] = {name: Sparse(*(map_array(folder / f"{name}_{part}.npy") for part in parts)) for name in _SPARSE}
    return Model(now_s=said["now_s"], orders=said["orders"], **plain, **sparse)


def no_model(n: int) -> Model:
    """Return the model of a shop that sold nothing yet."""
    nothing, one = np.zeros(n, np.float32), np.ones(n, np.float32)
    return Model(
        now_s=0.0,
        orders=0,
        together=Sparse.none(n),
        support=np.empty(0, np.int32),
        now=nothing,
        trend=one,
        again=one,
        own=nothing,
        lenders=Sparse.none(n),
        first_s=np.full(n, np.inf),
        buyers=np.zeros(n, np.int32),
    )
