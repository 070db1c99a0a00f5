"""Figure of the study `landscape`: maps of objectives, gradient arrows, paths of fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...parameters import table
from .. import words
from ..plots import BLUE, GREEN, ORANGE, label
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


def _panel(ax: Axes, entry: Result, arrows: int) -> None:
    """One map."""
    scale = [words.scaled(table()[name], 1.0) for name in entry["pair"]]
    x, y = (np.array(entry[k]) * s for k, s in zip("xy", scale, strict=True))
    costs = np.array([[np.nan if c is None else c for c in row] for row in entry["costs"]], dtype=np.float64)
    above = np.ma.masked_invalid(costs - np.nanmin(costs)) if np.isfinite(costs).any() else None
    if above is not None and above.max() > 0:
        # Of a bowl it rises fast near the bottom, and slowly where hits without partner make steps.
        ax.contourf(x, y, above**0.25, levels=12, cmap="Greys_r", alpha=0.6, zorder=0)
        if entry["likelihood"]:
            lines = ax.contour(x, y, above, levels=levels(), colors=GREEN, linewidths=1.4, zorder=2)
            ax.clabel(lines, fmt=dict(zip(lines.levels, COVERAGE.values(), strict=True)), fontsize=8)
    _arrows(ax, entry, x, y, arrows, scale)
    for path in entry["paths"]:
        walk = np.array(path["values"]) * scale
        ax.plot(*walk.T, color=BLUE, linewidth=1.0, marker=".", markersize=3, zorder=3)
        ax.plot(*walk[0], color=BLUE, marker="o", markersize=5, zorder=4)
        ax.plot(*walk[-1], color=BLUE, marker="s", markersize=5, markerfacecolor="white", zorder=4)
    if entry["minimum"] is not None:
        ax.plot(*(np.array(entry["minimum"]["values"]) * scale), color=ORANGE, marker="x", markersize=8, zorder=5)
    ax.plot(*(np.array(entry["truth"]) * scale), color="black", marker="+", markersize=12, markeredgewidth=2, zorder=6)
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), title=entry["method"])
    ax.set_xlabel(label(table()[entry["pair"][0]]))
    ax.set_ylabel(label(table()[entry["pair"][1]]))
    ax.grid(False)


def _arrows(ax: Axes, entry: Result, x: Any, y: Any, most: int, scale: Sequence[float]) -> None:
    """Directions downhill, of equal length, at some of the points of the map."""
    every = -(-len(x) // most)
    width = np.array([x[-1] - x[0], y[-1] - y[0]])
    first = (len(x) - 1) % every // 2
    for row in range(first, len(y), every):
        for column in range(first, len(x), every):
            gradient = entry["gradients"][row][column]
            if gradient is None:
                continue
            # Units of the axes, so that right angles to contours would look right in a square panel.
            down = -np.array(gradient) / np.array(scale) * width
            size = float(np.hypot(*down))
            if size > 0 and math.isfinite(size):
                step = down / size * width * 0.055
                start = (x[column] - 0.5 * step[0], y[row] - 0.5 * step[1])
                end = (x[column] + 0.5 * step[0], y[row] + 0.5 * step[1])
                ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "#52606d", "linewidth": 0.7})
