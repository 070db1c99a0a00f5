"""Figure of the study `sensitivity`: objectives against each parameter, with bands, and where they are lowest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...parameters import table
from ...tables import Floats
from .. import words
from ..plots import BLUE, ORANGE, label
from ..study import Result

#: Colour, and what it is called, of curves without and with noise.
_LOOK = {"plain": (BLUE, "without noise"), "noisy": (ORANGE, "with noise")}


def draw(result: Result) -> tuple[Figure, str]:
    """Two rows per method: curves, and histograms of lowest points; one column per parameter."""
    names, methods = result["settings"]["parameters"], result["settings"]["methods"]
    curves = {(c["method"], c["parameter"]): c for c in result["curves"]}
    figure = Figure(figsize=(2.35 * len(names) + 0.8, 4.6 * len(methods) + 0.4), layout="constrained")
    axes = figure.subplots(2 * len(methods), len(names), squeeze=False)
    for row, method in enumerate(methods):
        for column, name in enumerate(names):
            curve = curves[method, name]
            _curves(axes[2 * row, column], curve)
            _places(axes[2 * row + 1, column], curve)
        axes[2 * row, 0].set_ylabel(f"{method}\nobjective / its height")
        axes[2 * row + 1, 0].set_ylabel("lowest points")
    marks: list[Any] = [Line2D([], [], color=colour, label=text) for colour, text in _LOOK.values()]
    marks.append(Line2D([], [], color="black", linestyle=":", label="true value"))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))
    s = result["settings"]
    return figure, (
        "Objectives against one parameter at a time, the others at their true values; less their lowest value, over "
        "the mean height of the curves without noise. Lines: median, bands: 16 % to 84 %, over "
        f"{len(result['batches'])} batches of up to {s['batch_length_cm']:.0f} cm and "
        f"{words.count(s['draws'], 'draw')} of noise. Below each: the lowest points of single batches, from the "
        "gradient near the true value, in percent of it; residuals of data without noise are lowest at it. "
        f"In all {words.count(result['tracks'], 'track')}, {result['length_cm']:.0f} cm."
    )


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Mean and standard deviation of lowest points less the true value, in percent."""
    kinds = ("Batches, no noise [%]", "Batches, noise [%]", "Whole, no noise [%]", "Whole, noise [%]")
    head = ["Method", "Parameter", *kinds]
    lines = []
    for curve in result["curves"]:
        unit = 100 / (abs(curve["truth"]) or 1)
        cells = []
        for key in ("plain", "noisy", "whole_plain", "whole_noisy"):
            found = unit * _known(curve["minima"][key])
            spread = f" ± {words.number(float(found.std(ddof=1)), 2)}" if len(found) > 1 else ""
            cells.append(f"{words.number(float(found.mean()), 2, '+')}{spread}" if len(found) else "none")
        lines.append([curve["method"], table()[curve["parameter"]].symbol, *cells])
    return head, lines


def _known(values: Sequence[float | None]) -> Floats:
    return np.array([v for v in values if v is not None], dtype=np.float64)


def _curves(ax: Axes, curve: Result) -> None:
    """Median and band of the curves."""
    p = table()[curve["parameter"]]
    x = np.array([words.scaled(p, v) for v in curve["values"]])
    heights = [float(np.nanmax(line)) for line in _above(curve["costs"]["plain"])]
    height = (sum(heights) / max(len(heights), 1)) or 1.0
    for key, (colour, _) in _LOOK.items():
        lines = _above(curve["costs"][key]) / height
        # A point at which no curve is known has no band.
        known = np.isfinite(lines).any(axis=0)
        if known.any():
            low, middle, high = np.nanquantile(lines[:, known], [0.16, 0.5, 0.84], axis=0)
            ax.fill_between(x[known], low, high, color=colour, alpha=0.25, linewidth=0)
            ax.plot(x[known], middle, color=colour, linewidth=1.4)
    ax.axvline(words.scaled(p, curve["truth"]), color="black", linewidth=0.8, linestyle=":")
    ax.set_xlabel(label(p), fontsize=9)
    ax.tick_params(labelsize=8)


def _above(costs: Sequence[Sequence[float | None]]) -> Floats:
    """`(curves, points)` of costs less the lowest of each curve; curves without any are left out."""
    found = np.array([[np.nan if c is None else c for c in line] for line in costs], dtype=np.float64)
    found = found[np.isfinite(found).any(axis=1)]
    return np.asarray(found - np.nanmin(found, axis=1, keepdims=True)) if len(found) else found


def _places(ax: Axes, curve: Result) -> None:
    """Lowest points of batches, in percent of the true value."""
    unit = 100 / (abs(curve["truth"]) or 1)
    noisy, plain = (unit * _known(curve["minima"][key]) for key in ("noisy", "plain"))
    if len(noisy):
        ax.hist(noisy, bins=12, color=_LOOK["noisy"][0], alpha=0.6)
    for place in plain:
        ax.axvline(place, color=_LOOK["plain"][0], linewidth=1)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    ax.set_xlabel("lowest point − truth [%]" if curve["truth"] else "lowest point − truth", fontsize=9)
    ax.tick_params(labelsize=8)
