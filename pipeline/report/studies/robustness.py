"""Figure of the study `robustness`: the bias of every parameter, in units of its uncertainty, for every mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from ...parameters import table
from .. import words
from ..plots import BLUE, COLOURS, symbol
from ..study import Result
from .ladder import with_error

#: Bias in units of the uncertainty at which a colour is full.
_FULL = 3.0
#: Values over targets that paths are drawn up to: those that run away would hide all others.
_MOST = 3.0
_TITLES = {"without": "without its nuisances", "with": "with its nuisances"}


def draw(result: Result) -> tuple[Figure, str]:
    """A table of colours for fits without and with nuisances; below them, values against iterations."""
    cases, fits = list(result["cases"]), result["settings"]["fits"]
    paths, names = result["paths"], result["free"]
    heights = [0.34 * len(cases) + 1.3, 1.9 * len(paths)][: 1 + bool(paths)]
    figure = Figure(figsize=(10.6, sum(heights) + 0.4), layout="constrained")
    above, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False).flat
    axes = above.subplots(1, len(fits), squeeze=False)[0]
    for number, (ax, fit) in enumerate(zip(axes, fits, strict=True)):
        image = _matrix(ax, result, cases, names, fit)
        ax.set_title(_TITLES[fit])
        ax.set_yticks(range(len(cases)), [_named(result, case) for case in cases] if number == 0 else [])
    above.colorbar(image, ax=list(axes), label="bias / uncertainty", shrink=0.8, extend="both")
    if paths:
        grid = below[0].subplots(len(paths), len(names), squeeze=False, sharey="col")
        for row, one in zip(grid, paths, strict=True):
            _path_row(row, one, names)
    return figure, _caption(result, bool(paths))


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Mean pull, width and coverage of every case, fit and parameter."""
    head = ["Case", "Nuisances", "Parameter", "Mean pull", "Width", "Within 1 [%]", "Limits kept", "Fits", "Converged"]
    lines = []
    for case, settings in result["cases"].items():
        for fit in result["settings"]["fits"]:
            row = result["rows"][case][fit]
            open_ = [*settings["always"], *(settings["nuisances"] if fit == "with" else [])]
            for name in result["free"]:
                p = row["parameters"][name]
                cells = (
                    ["no true value", "–", "–", "–"]
                    if p is None
                    else [
                        *(with_error(p, w, s) for w, s in (("mean", 1), ("width", 1), ("coverage", 100))),
                        "yes" if p["kept"] else "no",
                    ]
                )
                counts = [words.count(row["fits"]), words.count(row["converged"])]
                lines.append([case, ", ".join(open_) or "none", table()[name].symbol, *cells, *counts])
    return head, lines


def _named(result: Result, case: str) -> str:
    """The case, with a star where not all of its fits converged."""
    rows = result["rows"][case].values()
    return f"{case}*" if any(row["converged"] < row["fits"] for row in rows) else case


def _matrix(ax: Axes, result: Result, cases: Sequence[str], names: Sequence[str], fit: str) -> Any:
    """Mean pulls as colours, with their numbers written in; what has none is left grey."""
    found = [result["rows"][case][fit]["parameters"] for case in cases]
    mean = np.array([[np.nan if p[n] is None else p[n].get("mean", np.nan) for n in names] for p in found])
    ax.set_facecolor("#e4e7eb")
    image = ax.imshow(mean, cmap="RdBu_r", norm=TwoSlopeNorm(0.0, -_FULL, _FULL), aspect="auto")
    for (row, column), value in np.ndenumerate(mean):
        p = found[row][names[column]]
        if np.isfinite(value) and p is not None:
            text = f"{value:+.1f}".replace("-", "−") if abs(value) < 100 else f"{value:+.0f}".replace("-", "−")
            known = f" ± {p['mean_error']:.1f}" if abs(value) < 100 else ""
            colour = "white" if abs(value) > 0.65 * _FULL else "black"
            ax.text(column, row, text + known, ha="center", va="center", fontsize=8, color=colour)
        else:
            ax.text(column, row, "no truth" if p is None else "no fit", ha="center", va="center", fontsize=7.5)
    ax.set_xticks(range(len(names)), [symbol(table()[n]) for n in names])
    ax.grid(visible=False)
    ax.tick_params(length=0)
    return image


def _path_row(row: Sequence[Axes], one: Mapping[str, Any], names: Sequence[str]) -> None:
    """Value over target against iteration, one line per target."""
    for ax, name in zip(row, names, strict=True):
        for number, path in enumerate(one["paths"]):
            if name in path:
                ax.plot(
                    path["iteration"],
                    np.clip(path[name], 0.0, _MOST),
                    color=COLOURS[number % len(COLOURS)],
                    linewidth=1.2,
                )
        ax.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
        ax.tick_params(labelsize=8)
        ax.set_xlabel("iteration", fontsize=8.5)
        ax.set_title(f"{symbol(table()[name])} / target", fontsize=9)
    row[0].set_ylabel(f"{one['case']},\n{one['fit']}", fontsize=8.5, color=BLUE)


def _caption(result: Result, paths: bool) -> str:
    deposits, fits = result["deposits"], len(result["fits"])
    held = ", ".join(
        f"{table()[name].symbol} held at {'the truth' if share == 1 else f'{share:g} of its value'}"
        for name, share in result["settings"]["hold"].items()
    )
    below = (
        " Below: fitted value over target against the iterations of the fit, first fits of "
        f"{result['settings']['paths']} targets, a colour each; cut off at {_MOST:g}."
        if paths
        else ""
    )
    made = f"{words.count(len(result['targets']), 'target')}, {result['settings']['draws']} fits at each in every case"
    return (
        f"Bias in units of its uncertainty (mean pull, ± its error) of {words.count(fits, 'fit')} of noisy data whose "
        f"deposits are not what the fit is told; rows: what is wrong. {made}, {deposits['length_cm']:.0f} cm of track "
        f"each, in {words.count(deposits['parts'], 'sample')} of different tracks{'; ' + held if held else ''}. "
        "Mistakes that are random are drawn anew for every fit. Every fit is counted; a star: not all converged "
        f"(table). Colours are full at {_FULL:g}. Data made with another recombination have no true value of the "
        "parameters of this one. The lifetime is judged as 1/τ, in which it is fitted: a pull of +1 is a lifetime that "
        f"is too short.{below}"
    )
