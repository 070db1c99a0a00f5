"""Figure of the study `pseudo_correlation`: matrices of each objective, beside the correlation of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...parameters import table
from .. import words
from ..plots import symbol

Result = Mapping[str, Any]


def draw(result: Result) -> tuple[Figure, str]:
    """One panel per method, and one of the correlation of a fit."""
    names, methods, settings = result["names"], result["methods"], result["settings"]
    panels = [(f"pseudo-correlation, {m['name']}", m["matrix"], m["spread"], m["why"]) for m in methods]
    panels.append(
        (f"correlation of a fit, {result['fit']['method']}", result["fit"]["matrix"], None, result["fit"]["why"])
    )
    columns = min(len(panels), 2)
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(5.1 * columns + 0.8, 4.7 * lines), layout="constrained")
    axes = list(np.atleast_1d(np.asarray(figure.subplots(lines, columns), dtype=object)).ravel())
    image = None
    for ax, (title, matrix, spread, why) in zip(axes, panels, strict=False):
        shown = _matrix(ax, title, names, matrix, spread, why)
        image = shown if shown is not None else image
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    if image is not None:
        figure.colorbar(image, ax=axes, label="correlation", shrink=0.8)
    left_out = [f"{m['left_out']} of {m['name']}" for m in methods if m["left_out"]]
    sample = f"{result['length_cm']:.0f} cm, {words.count(result['tracks'], 'track')}"
    return figure, (
        "Second derivatives of each objective to the parameters in units of their nominal values, at the nominal point "
        f"of noiseless data, averaged over {result['batches']} batches of {settings['batch_length_cm']:g} cm "
        f"({sample}), scaled to unit diagonal, inverted with a ridge of {settings['ridge']:g}, scaled again. Small "
        f"numbers: standard deviation of the same of single batches{_without(left_out)}. Last panel: the "
        f"correlation of a fit of all batches, from the inverse of the information of {result['fit']['method']}, "
        f"without a ridge{_condition(result['fit'])}. The two agree only where the objective is half a chi2 or a minus "
        "log-likelihood in units of the noise."
    )


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """One line per pair of parameters."""
    names = result["names"]
    head = ["Parameters", *(f"Pseudo-correlation, {m['name']}" for m in result["methods"])]
    head.append(f"Correlation of a fit, {result['fit']['method']}")
    lines = []
    for row in range(1, len(names)):
        for column in range(row):
            cells = [_cell(m["matrix"], m["spread"], row, column) for m in result["methods"]]
            pair = f"{table()[names[column]].symbol}, {table()[names[row]].symbol}"
            lines.append([pair, *cells, _cell(result["fit"]["matrix"], None, row, column)])
    return head, lines


def _matrix(ax: Axes, title: str, names: Sequence[str], matrix: Any, spread: Any, why: str) -> Any:
    """One matrix with its numbers; None, and the reason in words, where there is none."""
    ax.set_title(title)
    ax.grid(False)
    if matrix is None:
        ax.set_axis_off()
        ax.text(0.5, 0.5, why, ha="center", va="center", wrap=True, transform=ax.transAxes)
        return None
    image = ax.imshow(np.array(matrix), cmap="RdBu_r", vmin=-1, vmax=1)
    marks = [symbol(table()[n]) for n in names]
    ax.set_xticks(range(len(names)), marks)
    ax.set_yticks(range(len(names)), marks)
    for row in range(len(names)):
        for column in range(len(names)):
            value = matrix[row][column]
            look: Any = {"ha": "center", "va": "center", "color": "white" if abs(value) > 0.6 else "black"}
            with_spread = spread is not None and row != column
            ax.text(column, row - (0.12 if with_spread else 0), _two(value), fontsize=10, **look)
            if with_spread:
                ax.text(column, row + 0.22, f"± {spread[row][column]:.2f}", fontsize=7.5, **look)
    return image


def _cell(matrix: Any, spread: Any, row: int, column: int) -> str:
    if matrix is None:
        return "–"
    text = f"{matrix[row][column]:+.3f}".replace("-", "−")
    return text if spread is None else f"{text} ± {spread[row][column]:.3f}"


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _without(left_out: Sequence[str]) -> str:
    return f" (without batches in which a parameter has no curvature: {', '.join(left_out)})" if left_out else ""


def _condition(fit: Mapping[str, Any]) -> str:
    number = fit["condition_number"]
    return "" if number is None else f" (condition number {words.number(number, 2)})"
