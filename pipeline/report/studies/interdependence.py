"""Figure of the study `interdependence`: a matrix of biases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...parameters import table
from ...tables import Floats
from .. import words
from ..plots import symbol
from ..study import Result

#: Colours saturate at this bias [%] or at so many standard uncertainties.
_FULL_PERCENT, _FULL_SIGMAS = 10.0, 5.0


def draw(result: Result) -> tuple[Figure, str]:
    """A matrix in percent and, where uncertainties are known, one in units of them."""
    in_sigmas = any(fit["sigmas"] for fit in result["fits"])
    names, fits = result["settings"]["parameters"], result["fits"]
    panels = 2 if in_sigmas else 1
    figure = Figure(figsize=(1.5 + 1.05 * len(names) * panels + 2.2, 0.42 * len(fits) + 1.3), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    percent = np.array([[100 * fit["errors"].get(name, np.nan) for name in names] for fit in fits])
    _matrix(axes[0], percent, names, _FULL_PERCENT, "bias [%]")
    axes[0].set_yticks(range(len(fits)), [_held(fit) for fit in fits])
    if in_sigmas:
        sigma = np.array([[100 * fit["sigmas"].get(name, np.nan) for name in names] for fit in fits])
        _matrix(axes[1], percent / sigma, names, _FULL_SIGMAS, "bias [standard uncertainties]")
        axes[1].set_yticks(range(len(fits)), [""] * len(fits))
    failed = sum(not fit["converged"] for fit in fits)
    return figure, (
        "What becomes of the other parameters (columns) where one is held at a wrong value (rows): their fitted values "
        f"less the true ones. Colours are full from {_FULL_PERCENT:g} %"
        f"{f' and {_FULL_SIGMAS:g} standard uncertainties' if in_sigmas else ''} on. Method "
        f"{result['settings']['method']}; data {'with' if result['noise'] else 'without'} electronics noise, "
        f"{words.count(result['tracks'], 'track')}, {result['length_cm']:.0f} cm. "
        f"{'All fits converged.' if not failed else words.count(failed, 'fit') + ' did not converge (marked ✗).'}"
    )


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """One line per fit: biases in percent, with those in standard uncertainties in brackets."""
    names = result["settings"]["parameters"]
    head = ["Held wrong", *(f"{table()[name].symbol} [%]" for name in names), "Converged"]
    lines = []
    for fit in result["fits"]:
        cells = []
        for name in names:
            error, sigma = fit["errors"].get(name), fit["sigmas"].get(name)
            text = "–" if error is None else words.number(100 * error, 3, "+")
            cells.append(text if error is None or not sigma else f"{text} ({words.number(error / sigma, 2, '+')} σ)")
        held = "none" if fit["held"] is None else f"{table()[fit['held']].symbol} {_percent(fit['error_of_held'])}"
        lines.append([held, *cells, "yes" if fit["converged"] else "no"])
    return head, lines


def _matrix(ax: Axes, values: Floats, names: Sequence[str], full: float, title: str) -> None:
    """Cells coloured and labelled by their numbers."""
    ax.imshow(np.ma.masked_invalid(values), cmap="RdBu_r", vmin=-full, vmax=full, aspect="auto")
    for row, column in np.ndindex(values.shape):
        value = float(values[row, column])
        text = "" if np.isnan(value) else words.number(value, 2, "+") if abs(value) > 5e-7 else "0"
        colour = "white" if abs(value) > 0.7 * full else "black"
        ax.text(column, row, text, ha="center", va="center", fontsize=8.5, color=colour)
    ax.set_xticks(range(len(names)), [symbol(table()[name]) for name in names])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_title(title)
    ax.grid(False)


def _held(fit: Result) -> str:
    mark = "" if fit["converged"] else " ✗"
    if fit["held"] is None:
        return f"none held wrong{mark}"
    return f"{symbol(table()[fit['held']])} {_percent(fit['error_of_held'])}{mark}"


def _percent(error: float) -> str:
    return f"{words.number(100 * error, 3, '+')} %"
