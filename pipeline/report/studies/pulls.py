"""Figure of the study `pulls`: how far fits are from the truth in units of what they say of their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from ...parameters import table
from .. import words
from ..plots import BLUE, GREY, ORANGE, symbol

#: What is looked at, its name, and its value for honest fits.
_MOMENTS = {"mean": ("mean pull", 0.0), "width": ("width of pulls", 1.0), "coverage": ("within 1", 0.683)}
_COLUMNS = 3
#: Pulls further out than this stand in the last bin.
_REACH = 4.0


def draw(result: Mapping[str, Any]) -> tuple[Figure, str]:
    """A histogram of pulls per parameter, and their mean, width and coverage with limits."""
    names = list(result["parameters"])
    lines = -(-len(names) // _COLUMNS)
    figure = Figure(figsize=(9.6, 2.4 * lines + 0.35 * len(names) + 1.2), layout="constrained")
    heights = [2.4] * lines + [0.35 * len(names) + 0.6]
    grid = GridSpec(lines + 1, _COLUMNS, figure=figure, height_ratios=heights)
    for number, name in enumerate(names):
        ax = figure.add_subplot(grid[number // _COLUMNS, number % _COLUMNS])
        _histogram(ax, [f["pulls"][name] for f in result["fits"] if f["pulls"]])
        ax.set_title(symbol(table()[name]))
    for column, what in enumerate(_MOMENTS):
        ax = figure.add_subplot(grid[lines, column])
        _moment(ax, result["parameters"], what)
        ax.set_yticks(range(len(names)), [symbol(table()[n]) for n in names] if column == 0 else [])
    return figure, _caption(result)


def rows(result: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Pulls and errors of every parameter."""
    head = [
        "Parameter",
        "Mean pull",
        "Width",
        "Within 1 [%]",
        "Limits kept",
        "Bias [%]",
        "Spread [%]",
        "√(bias² + spread²) [%]",
        "Stated uncertainty [%]",
        "Published bias ± spread [%]",
    ]
    lines = []
    for name, found in result["parameters"].items():
        p, e = found["pulls"], found["errors_percent"]
        known = result["published"].get(name)
        lines.append(
            [
                table()[name].symbol,
                *[_with_error(p, what, scale) for what, scale in (("mean", 1), ("width", 1), ("coverage", 100))],
                "yes" if p["kept"] else "no",
                *[_with_error(e, what, 1) for what in ("bias", "spread", "total")],
                "–" if found["uncertainty_percent"] is None else words.number(found["uncertainty_percent"], 2),
                "–" if known is None else f"{known[0]:+g} ± {known[1]:g}",
            ]
        )
    return head, lines


def _with_error(found: Mapping[str, Any], what: str, scale: float) -> str:
    """Value and standard error, the error to two digits."""
    if what not in found:
        return "–"
    value, error = scale * found[what], scale * found[f"{what}_error"]
    digits = 0 if not error else max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _histogram(ax: Axes, pulls: Sequence[float]) -> None:
    bins = np.linspace(-_REACH, _REACH, 25)
    ax.hist(np.clip(pulls, -_REACH, _REACH), bins=list(bins), color=BLUE, alpha=0.75)
    x = np.linspace(-_REACH, _REACH, 200)
    expected = len(pulls) * (bins[1] - bins[0]) * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    ax.plot(x, expected, color="black", linewidth=1.2)
    ax.set(xlabel="(fitted − true) / uncertainty", ylabel="fits")


def _moment(ax: Axes, parameters: Mapping[str, Any], what: str) -> None:
    """One of mean, width and coverage of all parameters: over all targets, and of each target (small)."""
    text, expected = _MOMENTS[what]
    for row, found in enumerate(parameters.values()):
        p = found["pulls"]
        if what not in p:
            continue
        most = p["limits"][what]
        ax.barh(row, 2 * most, 0.8, expected - most, color=GREY, alpha=0.3)
        each = [one[what] for one in found["by_target"].values() if what in one]
        ax.plot(each, [row] * len(each), linestyle="", marker="|", color=BLUE, markersize=6, alpha=0.5)
        colour = BLUE if abs(p[what] - expected) <= most else ORANGE
        ax.errorbar(p[what], row, xerr=p[f"{what}_error"], color=colour, marker="o", markersize=4, capsize=2)
    widest = max((p["limits"][what] for p in (f["pulls"] for f in parameters.values()) if what in p), default=1.0)
    reach = max([1.15 * widest, *(1.1 * abs(x - expected) for line in ax.lines for x in np.ravel(line.get_xdata()))])
    ax.axvline(expected, color="black", linewidth=0.8)
    ax.set_xlim(expected - reach, expected + reach)
    ax.set(xlabel=text, ylim=(len(parameters) - 0.5, -0.5))


def _caption(result: Mapping[str, Any]) -> str:
    fits, sample = len(result["fits"]), result["deposits"]
    held = ", ".join(
        f"{table()[name].symbol} held at {'the truth' if share == 1 else f'{share:g} of its value'}"
        for name, share in result["settings"]["hold"].items()
    )
    return (
        f"Pulls of {words.count(fits, 'fit')} of noisy data by the method {result['settings']['method']} "
        f"({words.count(len(result['targets']), 'target')}, each with draws of noise of its own; "
        f"{words.count(sample['tracks'], 'track')}, {sample['length_cm']:.0f} cm, deposits known"
        f"{'; ' + held if held else ''}). Every fit is counted: {result['converged']} converged, "
        f"{result['without_uncertainty']} gave no uncertainty. Line: what honest fits give. Below: mean, width and "
        "share of pulls within 1, with their standard errors; grey: three standard errors of honest fits; orange: "
        "outside; small ticks: the targets one by one. The lifetime is judged as 1/τ, in which it is fitted."
    )
