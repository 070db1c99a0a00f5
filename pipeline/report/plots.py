"""Figures on paper: matplotlib without its global state, the same bytes for the same numbers."""

from __future__ import annotations

import html
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..parameters import Parameter
from . import words

#: Colours that the colour-blind can tell apart, and one for what is not ours.
BLUE, ORANGE, GREEN, PURPLE, SKY, BROWN = "#0072b2", "#d55e00", "#009e73", "#8e5aa8", "#56b4e9", "#8c6d31"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, BROWN)
GREY = "#8a949e"

#: Settings of matplotlib; the last makes the names inside an SVG the same every time.
_STYLE: Any = {
    "font.size": 10.5,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e4e7eb",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.dpi": 150,
    "svg.hashsalt": "gradcal",
}
_GREEK = ("tau", "alpha", "beta", "rho")
#: Points of a curve that are drawn.
_MOST_POINTS = 500


@dataclass(frozen=True)
class Drawing:
    """A figure as the paper numbers it; `stem` names its files."""

    stem: str
    title: str
    caption: str
    figure: Figure


@contextmanager
def style() -> Iterator[None]:
    """The look of all figures, for as long as the block lasts."""
    with matplotlib.rc_context(_STYLE):
        yield


def panels(columns: int = 2, rows: int = 1, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, row by row."""
    figure = Figure(figsize=(9.6, height * rows), layout="constrained")
    axes = np.atleast_1d(np.asarray(figure.subplots(rows, columns), dtype=object)).ravel()
    return figure, list(axes)


def image(figure: Figure, kind: str) -> bytes:
    """The figure as `png` or `svg`, without date or version, so that equal figures have equal bytes."""
    stream = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with style():
        figure.savefig(stream, format=kind, metadata=metadata)
    return stream.getvalue()


def symbol(parameter: Parameter) -> str:
    """Symbol in the mathematics of matplotlib."""
    base, _, index = parameter.symbol.partition("_")
    text = f"\\{base}" if base in _GREEK else base
    return f"${text}_{{{index}}}$" if index else f"${text}$"


def label(parameter: Parameter) -> str:
    """Title of an axis: name, symbol, and unit in brackets."""
    name = html.unescape(words.label(parameter)).split(" ")
    plain = " ".join(part for part in name[:-1])
    unit = html.unescape(words.display_unit(parameter))
    return f"{plain} {symbol(parameter)}" + (f" [{unit}]" if unit else "")


def thinned(count: int) -> npt.NDArray[np.int64]:
    """Indices of at most some hundred of `count` points: all of the first, fewer and fewer later, and the last."""
    if count <= _MOST_POINTS:
        return np.arange(count)
    later = np.geomspace(1, count - 1, _MOST_POINTS).round().astype(np.int64)
    return np.unique(np.concatenate([[0], later]))


def range_bars(ax: Axes, x: npt.ArrayLike, y: npt.ArrayLike, ranges: npt.ArrayLike, **look: Any) -> None:
    """Points joined by lines, with bars from the smallest to the largest of `ranges` `(n, 2)`."""
    low, high = np.asarray(ranges, dtype=np.float64).T
    middle = np.asarray(y, dtype=np.float64)
    # Rounding must not make a bar of negative length.
    bars = np.maximum([middle - low, high - middle], 0.0)
    ax.errorbar(np.asarray(x), middle, yerr=bars, capsize=2, **look)
