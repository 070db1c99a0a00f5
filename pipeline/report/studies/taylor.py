"""Figure of the study `taylor`: errors of linear predictions against step size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ...parameters import table
from .. import words
from ..plots import COLOURS, symbol
from ..study import Result

_TITLES = {"charge": "Charge: error / noise", "time": "Time: error / noise"}


def draw(result: Result) -> tuple[Figure, str]:
    """Panels of charge, time and cost; one curve per parameter and direction."""
    figure = Figure(figsize=(11.5, 3.9), layout="constrained")
    axes = figure.subplots(1, 3)
    for k, entry in enumerate(result["parameters"]):
        p = table()[entry["name"]]
        for sign, line in ((1, "-"), (-1, "--")):
            steps = [s for s in entry["steps"] if s["step"] * sign > 0 and s["charge"] is not None]
            size = np.array([abs(s["step"]) / (p.high - p.low) for s in steps])
            look = {"color": COLOURS[k % len(COLOURS)], "linestyle": line, "marker": ".", "linewidth": 1.3}
            for ax, quantity in zip(axes, _TITLES, strict=False):
                ax.plot(size, [s[quantity] for s in steps], label=symbol(p) if sign > 0 else None, **look)
            off = [abs(s["predicted_cost"] / s["cost"] - 1) if s["cost"] else np.nan for s in steps]
            axes[2].plot(size, off, **look)
    for ax, title in zip(axes, [*_TITLES.values(), "Cost: |predicted / true − 1|"], strict=True):
        ax.set(xscale="log", yscale="log", title=title, xlabel="step / width of the table range")
    for ax in axes[:2]:
        for mark in (0.1, 1.0):
            ax.axhline(mark, color="black", linewidth=0.8, linestyle=":")
        ax.set_ylim(bottom=1e-5)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure, (
        "Errors of predictions by first derivatives when one parameter steps away from its true value "
        "(full: up, dashed: down). Left and middle: rms error of the linear prediction of the charge and the time of "
        "hits, in units of what electronics noise does to them; dotted: 0.1 and 1. Right: relative error of the "
        "Gauss-Newton prediction of half the sum of squares of all differences in these units. Compared are the hits "
        f"that both sides have. {words.count(result['hits'], 'hit')}, {words.count(result['tracks'], 'track')}, "
        f"{result['length_cm']:.0f} cm."
    )


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """For each parameter the largest steps, in percent of the true value, before errors reach 0.1 and 1 sigma."""
    head = ["Parameter", "Charge 0.1 σ [%]", "Charge 1 σ [%]", "Time 0.1 σ [%]", "Time 1 σ [%]"]
    lines = []
    for entry in result["parameters"]:
        cells = [step for quantity in _TITLES for step in entry["reach"][quantity]]
        unit = 100 / (abs(entry["truth"]) or 1)
        largest = max((abs(s["step"]) for s in entry["steps"]), default=0.0)
        lines.append(
            [
                table()[entry["name"]].symbol,
                *(f"> {unit * largest:.3g}" if step is None else f"{unit * step:.3g}" for step in cells),
            ]
        )
    return head, lines
