"""The course of a training as a picture.

In: losses in the order of the steps. Out: a PNG file. Knows nothing of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["draw_curve"]


def draw_curve(losses: Sequence[float], steps: int, path: Path) -> None:
    """Draw losses, each the mean of an equal part of ``steps`` steps."""
    figure = Figure(figsize=(6.4, 3.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    parts = len(losses)
    axes.plot([(i + 0.5) * steps / parts for i in range(parts)], losses, color="#b3472e", linewidth=1.8)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_xlim(0, steps)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, metadata={"Software": None})
