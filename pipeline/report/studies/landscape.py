"""Figure of the study `landscape`: maps of objectives, gradient arrows, paths of fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.interpolate import RectBivariateSpline

from ...parameters import table
from ...tables import Floats
from .. import words
from ..plots import BLUE, GREEN, ORANGE, label, symbol
from ..study import Result
from .contours import COVERAGE, levels


def draw(result: Result) -> tuple[Figure, str]:
    """One row per method, one column per pair of parameters."""
    maps, settings = result["maps"], result["settings"]
    methods = list(dict.fromkeys(m["method"] for m in maps))
    columns = len(settings["pairs"])
    figure = Figure(figsize=(max(3.9 * columns, 5.2), 3.5 * len(methods) + 0.5), layout="constrained")
    axes = figure.subplots(len(methods), columns, squeeze=False)
    for number, entry in enumerate(maps):
        _panel(axes[number // columns, number % columns], entry, settings["arrows"])
    marks: list[Any] = [
        Line2D([], [], color="black", marker="+", linestyle="", markersize=11, markeredgewidth=2, label="true values"),
        Line2D([], [], color=ORANGE, marker="x", linestyle="", markersize=8, label="lowest point of the map"),
        Line2D([], [], color=BLUE, marker="o", markersize=4, label="path of a fit (dot: start, square: end)"),
        Line2D([], [], color="#52606d", marker=r"$\rightarrow$", linestyle="", markersize=12, label="downhill"),
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=4)
    contours = "Grey: the objective above its lowest value on the map (dark: small), in 12 steps of its fourth root"
    if any(m["likelihood"] for m in maps):
        contours += (
            "; for a likelihood, green: the regions of 1, 2 and 3 standard deviations of two parameters, where "
            "−ln L exceeds its lowest value by " + ", ".join(f"{level:.2f}" for level in levels())
        )
    noise = sorted({m["noise"] for m in maps})
    data = {(False,): "without noise", (True,): "with electronics noise"}.get(
        tuple(noise), "with electronics noise for likelihoods, without for others"
    )
    return figure, (
        f"Objectives as functions of two parameters, all others at their true values. {contours}. Arrows point "
        "downhill against the gradient, with each parameter in units of the width of its axis. Paths are fits of the "
        f"two parameters. Data: {words.count(result['tracks'], 'track')}, {result['length_cm']:.0f} cm, {data}."
    )


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Where each map is lowest, in percent of the true values, and how the fits ended."""
    head = ["Method", "Objective", "Parameters", "Lowest point − true [%]", "Fits converged", "Largest error [%]"]
    lines = []
    for m in result["maps"]:
        low = "none" if m["minimum"] is None else ", ".join(_percent(m["minimum"]["values"], m["truth"]))
        ends = [path["values"][-1] for path in m["paths"] if path["converged"]]
        worst = [max(abs(e / t - 1) if t else abs(e) for e, t in zip(end, m["truth"], strict=True)) for end in ends]
        names = ", ".join(table()[name].symbol for name in m["pair"])
        largest = f"{100 * max(worst):.2g}" if worst else "–"
        lines.append([m["method"], m["objective"], names, low, f"{len(ends)} of {len(m['paths'])}", largest])
    return head, lines


def _percent(values: Sequence[float], truth: Sequence[float]) -> list[str]:
    return [words.number(100 * (v / t - 1), 2) if t else words.number(v, 2) for v, t in zip(values, truth, strict=True)]


@dataclass(frozen=True)
class _Axis:
    """How the values of a parameter are shown: in the unit of the table, or in percent off the true value where a map
    is so narrow that all its values would look alike.
    """

    name: str
    truth: float
    narrow: bool

    def shown(self, values: Any) -> Any:
        if self.narrow:
            return 100 * (np.asarray(values) / self.truth - 1)
        return np.asarray(values) * words.scaled(table()[self.name], 1.0)

    @property
    def label(self) -> str:
        p = table()[self.name]
        return f"{symbol(p)} less its true value [%]" if self.narrow else label(p)


def _panel(ax: Axes, entry: Result, arrows: int) -> None:
    """One map."""
    axes = [
        _Axis(name, t, entry["likelihood"] and t != 0) for name, t in zip(entry["pair"], entry["truth"], strict=True)
    ]
    x, y = (axis.shown(entry[k]) for k, axis in zip("xy", axes, strict=True))

    def point(values: Any) -> Any:
        return [axis.shown(column) for axis, column in zip(axes, np.transpose(values), strict=True)]

    costs = np.array([[np.nan if c is None else c for c in row] for row in entry["costs"]], dtype=np.float64)
    above = np.ma.masked_invalid(costs - np.nanmin(costs)) if np.isfinite(costs).any() else None
    if above is not None and above.max() > 0:
        # Of a bowl it rises fast near the bottom, and slowly where hits without partner make steps.
        ax.contourf(x, y, above**0.25, levels=12, cmap="Greys_r", alpha=0.6, zorder=0)
        if entry["likelihood"]:
            lines = ax.contour(*_between(x, y, above), levels=levels(), colors=GREEN, linewidths=1.4, zorder=2)
            ax.clabel(lines, fmt=dict(zip(lines.levels, COVERAGE.values(), strict=True)), fontsize=8)
    _arrows(ax, entry, x, y, arrows)
    for path in entry["paths"]:
        walk = point(path["values"])
        ax.plot(*walk, color=BLUE, linewidth=1.0, marker=".", markersize=3, zorder=3)
        ax.plot(*(w[0] for w in walk), color=BLUE, marker="o", markersize=5, zorder=4)
        ax.plot(*(w[-1] for w in walk), color=BLUE, marker="s", markersize=5, markerfacecolor="white", zorder=4)
    if entry["minimum"] is not None:
        ax.plot(*point(entry["minimum"]["values"]), color=ORANGE, marker="x", markersize=8, zorder=5)
    ax.plot(*point(entry["truth"]), color="black", marker="+", markersize=12, markeredgewidth=2, zorder=6)
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), title=entry["method"])
    ax.set(xlabel=axes[0].label, ylabel=axes[1].label)
    ax.grid(False)


def _between(x: Floats, y: Floats, above: Any) -> tuple[Floats, Floats, Any]:
    """A map on a finer grid, less the lowest value there; as it stands where a point is missing or there are too few.

    A likelihood is smooth on the scale of its uncertainty, and its regions may be narrower than the points are apart.
    """
    if np.ma.is_masked(above) or min(len(x), len(y)) < 4:
        return x, y, above
    finer = [np.linspace(axis[0], axis[-1], 8 * len(axis)) for axis in (x, y)]
    values = RectBivariateSpline(y, x, np.asarray(above))(finer[1], finer[0])
    return finer[0], finer[1], values - values.min()


def _arrows(ax: Axes, entry: Result, x: Any, y: Any, most: int) -> None:
    """Directions downhill, of equal length, at some of the points of the map."""
    every = -(-len(x) // most)
    shown = np.array([x[-1] - x[0], y[-1] - y[0]])
    width = np.array([entry["x"][-1] - entry["x"][0], entry["y"][-1] - entry["y"][0]])
    first = (len(x) - 1) % every // 2
    for row in range(first, len(y), every):
        for column in range(first, len(x), every):
            gradient = entry["gradients"][row][column]
            if gradient is None:
                continue
            # Units of the axes, so that right angles to contours would look right in a square panel.
            down = -np.array(gradient) * width
            size = float(np.hypot(*down))
            if size > 0 and math.isfinite(size):
                step = down / size * shown * 0.055
                start = (x[column] - 0.5 * step[0], y[row] - 0.5 * step[1])
                end = (x[column] + 0.5 * step[0], y[row] + 0.5 * step[1])
                ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "#52606d", "linewidth": 0.7})
