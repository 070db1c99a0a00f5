"""Figure of the study `noise_in_the_model`: pulls of every parameter by method and length of track."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...parameters import CALIBRATED, table
from .. import words
from ..plots import COLOURS, symbol
from ..study import Result

#: Pulls beyond this are drawn at the edge, as arrows.
_MOST = 12.0


def draw(result: Result) -> tuple[Figure, str]:
    """A panel per length: pulls of draws (dots), their mean and its standard error (bars)."""
    samples, methods = result["samples"], result["settings"]["methods"]
    figure = Figure(figsize=(9.6, 0.55 * len(methods) + 4.2), layout="constrained")
    axes = figure.subplots(1, len(samples), squeeze=False, sharey=True)[0]
    for ax, sample in zip(axes, samples, strict=True):
        _panel(ax, sample, methods)
    names = [n for n in CALIBRATED if any(n in row["pulls"] for row in samples[0]["summary"])]
    axes[0].set_yticks(-np.arange(len(names), dtype=np.float64), [symbol(table()[n]) for n in names], fontsize=12)
    marks: list[Any] = [
        Line2D([], [], color=colour, marker="o", label=name) for name, colour in zip(methods, COLOURS, strict=False)
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=min(len(marks), 4))
    return figure, _caption(result)


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Mean and width of pulls by length and method."""
    names = [n for n in CALIBRATED if any(n in row["pulls"] for s in result["samples"] for row in s["summary"])]
    head = ["Length [cm]", "Method", "Converged", *(f"Pull of {table()[n].symbol}" for n in names)]
    lines = []
    for sample in result["samples"]:
        for row in sample["summary"]:
            cells = [_cell(row["pulls"].get(n)) for n in names]
            done = f"{row['converged']} of {row['tried']}"
            lines.append([words.number(sample["length_cm"], 4), row["method"], done, *cells])
    return head, lines


def _cell(pull: Result | None) -> str:
    if pull is None:
        return "not fitted"
    width = "" if pull["width"] is None else f" ± {words.number(pull['width'], 2)}"
    return f"{words.number(pull['mean'], 2, '+')}{width}"


def _panel(ax: Axes, sample: Result, methods: Sequence[str]) -> None:
    ax.axvspan(-1, 1, color="#eef0f2", zorder=0)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    for number, (method, colour) in enumerate(zip(methods, COLOURS, strict=False)):
        step = 0.7 * ((number + 0.5) / len(methods) - 0.5)
        valued = [f["pulls"] for f in sample["fits"] if f["method"] == method and f["pulls"] is not None]
        for line, name in enumerate(n for n in CALIBRATED if valued and n in valued[0]):
            found = np.array([pulls[name] for pulls in valued])
            y = -line - step
            inside = np.abs(found) <= _MOST
            ax.plot(found[inside], np.full(inside.sum(), y), ".", color=colour, markersize=4, alpha=0.6)
            for side, marker in ((-1, "<"), (1, ">")):
                out = (side * found > _MOST).sum()
                ax.plot(np.full(out, side * _MOST), np.full(out, y), marker, color=colour, markersize=5, linestyle="")
            error = found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else 0.0
            if abs(found.mean()) <= _MOST:
                ax.errorbar(found.mean(), y, xerr=error, color=colour, marker="o", markersize=5, capsize=2)
    ax.set(title=f"{sample['length_cm']:.0f} cm of track", xlabel="(fit − truth) / smallest σ")
    ax.set_xlim(-1.08 * _MOST, 1.08 * _MOST)


def _caption(result: Result) -> str:
    s = result["settings"]
    fits = words.count(s["draws"] * len(s["targets"]), "fit")
    return (
        f"Errors of fits to noisy data, in units of the smallest possible standard deviation (Cramér-Rao): {fits} per "
        "method and length; dots: single fits, also those that did not converge; bars: mean and its standard error; "
        "triangles: beyond the edge. Grey: within ±1. A method that knows the noise scatters by about 1 around 0. A "
        "noiseless model has no room for what noise does at the threshold, where hits appear, vanish and are recorded "
        "only if they went up. That is a bias; uncertainties fall with the square root of the length and a bias does "
        "not, so that in these units it grows with the sample. A mask leaves out the pixels near the threshold, at the "
        "price of scatter; the likelihood gives them their probability. "
        f"Clearest here (mean over its standard error): {_clearest(result)}."
    )


def _clearest(result: Result) -> str:
    """For the longest sample, the parameter of each method whose mean is farthest from 0 in its standard error."""
    longest = max(result["samples"], key=lambda sample: float(sample["length_cm"]))
    found = []
    for row in longest["summary"]:
        known = {n: p["mean"] / (p["width"] / np.sqrt(row["tried"])) for n, p in row["pulls"].items() if p["width"]}
        if known:
            name = max(known, key=lambda n: abs(known[n]))
            found.append(f"{table()[name].symbol} by {row['method']}, {words.number(known[name], 2, '+')}")
    return "; ".join(found) or "nothing"
