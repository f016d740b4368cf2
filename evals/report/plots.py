"""Plots as SVG text, drawn by matplotlib: words stay words, the same values give the same picture.

In: numbers and names. Out: an ``<svg>`` element. Colours are CSS variables of the page, put in after drawing, so that a
page in the dark has dark plots. Knows nothing of what is plotted.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["Point", "bars", "diagonal", "dots"]

_INK, _SOFT, _ACCENT, _LINE = "#010203", "#010204", "#010205", "#010206"
_VARIABLES = {_INK: "--ink", _SOFT: "--soft", _ACCENT: "--accent", _LINE: "--line"}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "daogou",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "xtick.color": _SOFT,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_WIDTH = 7.2
_ROW = 0.34


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval; ``wide`` is a further, paler range, such as what unrated products leave open."""

    name: str
    value: float
    low: float
    high: float
    wide: tuple[float, float] | None = None


def dots(points: Sequence[Point], label: str, *, zero: bool = False) -> str:
    """Return a dot with its interval for each point, first on top. ``zero`` draws the line that differences must clear."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _ROW * len(points) + 0.75), layout="constrained")
        axes = figure.subplots()
        for place, point in enumerate(points):
            if point.wide:
                axes.plot(point.wide, [place, place], color=_LINE, linewidth=9, solid_capstyle="butt")
            axes.plot([point.low, point.high], [place, place], color=_ACCENT, linewidth=2, solid_capstyle="butt")
            axes.plot([point.value], [place], "o", color=_ACCENT, markersize=6, clip_on=False)
            axes.annotate(f"{point.value:+.3f}" if zero else f"{point.value:.3f}", (point.value, place), (0, 6),
                          textcoords="offset points", ha="center", fontsize=8, color=_INK)  # fmt: skip
        if zero:
            axes.axvline(0, color=_SOFT, linewidth=1, linestyle=(0, (3, 3)))
        else:
            axes.set_xlim(min(0.0, *(p.low for p in points)), max(1.0, *(p.high for p in points)))
        axes.set_yticks(range(len(points)), [p.name for p in points])
        axes.set_ylim(len(points) - 0.5, -0.7)
        return _svg(figure, axes, label)


def bars(values: Sequence[float], label: str, across: str) -> str:
    """Return a bar for each value, highest first."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 2.2), layout="constrained")
        axes = figure.subplots()
        axes.bar(range(len(values)), sorted(values, reverse=True), color=_ACCENT, width=0.82)
        axes.set_ylim(0, 1)
        axes.set_xlabel(across)
        axes.set_xticks([])
        return _svg(figure, axes, "", label)


def diagonal(points: Sequence[tuple[float, float, float]], across: str, up: str) -> str:
    """Return points (x, y, share) against the diagonal where both would be the same; a larger share is a larger dot."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.2, 4.0), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=1, linestyle=(0, (3, 3)))
        axes.scatter([x for x, _, _ in points], [y for _, y, _ in points], [20 + 600 * s for _, _, s in points], color=_ACCENT,
                     alpha=0.75, linewidths=0)  # fmt: skip
        axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=_ACCENT, linewidth=1)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        return _svg(figure, axes, across, up)


def _svg(figure: Figure, axes: Axes, across: str, up: str = "") -> str:
    if across:
        axes.set_xlabel(across)
    if up:
        axes.set_ylabel(up)
    axes.tick_params(length=0)
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # words are drawn by the browser, which has Chinese fonts
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<svg ([^>]*?)width="[\d.]+pt" height="[\d.]+pt"', r"<svg \1", text, count=1)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font: \1 var(--font)", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text
