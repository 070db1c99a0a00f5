"""Figure of the study `recombination_lines`: lines of equal charge and ellipses of what a sample tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...parameters import table
from ...tables import Floats
from .. import words
from ..plots import BLUE, GREEN, ORANGE, label
from ..study import Result
from .contours import ellipse

#: Relative half-widths of axes of A_B, k_B and the field, at most.
_WIDEST = (0.15, 0.5, 0.1)
_COLOUR = {"muons": BLUE, "protons": GREEN, "all tracks": ORANGE}


def draw(result: Result) -> tuple[Figure, str]:
    """A_B against k_B, the same nearer, and k_B against the field with the velocity linked to it and not."""
    figure = Figure(figsize=(12.6, 4.4), layout="constrained")
    far, near, field = figure.subplots(1, 3)
    truth, groups = result["truth"], result["groups"]
    ab, kb, e = truth["birks_ab"], truth["birks_kb"], truth["electric_field"]
    dedx = np.log([line["dedx"] for line in result["lines"]])
    shades = matplotlib.colormaps["viridis"](0.9 * (dedx - dedx.min()) / np.ptp(dedx))
    for ax in (far, near):
        for line, colour in zip(result["lines"], shades, strict=True):
            ax.plot(line["birks_ab"], line["birks_kb"], color=colour, linewidth=1.2, label=f"{line['dedx']:g} MeV/cm")
        for group in _known(groups, "linked"):
            covariance = np.array(group["covariance"]["linked"])[:2, :2] * np.outer([ab, kb], [ab, kb])
            ax.plot(*ellipse((ab, kb), covariance), color=_COLOUR[group["name"]], linewidth=2.2)
        ax.plot(ab, kb, marker="+", color="black", markersize=11, markeredgewidth=2)
        ax.set_xlabel(label(table()["birks_ab"]))
        ax.set_ylabel(label(table()["birks_kb"]))
    far.set(xlim=(0.85 * ab, 1.15 * ab), ylim=(0.5 * kb, 1.5 * kb), title="Lines of equal charge")
    half = _half(groups, "linked")
    near.set(xlim=(ab * (1 - half[0]), ab * (1 + half[0])), ylim=(kb * (1 - half[1]), kb * (1 + half[1])))
    near.set_title("The same, nearer")
    far.legend(fontsize=8.5, loc="upper left")
    _field(field, result, e, kb)
    lengths = {g["name"]: f"{g['name']}, {g['length_cm']:.0f} cm" for g in groups}
    marks = [Line2D([], [], color=_COLOUR[name], linewidth=2.2, label=text) for name, text in lengths.items()]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))
    return figure, _caption(result)


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Standard uncertainties in percent."""
    head = [
        "Tracks", "Length [cm]", "A_B [%]", "k_B [%]", "Correlation of A_B and k_B", "E [%]", "E, velocity free [%]",
        "k_B, velocity free [%]",
    ]  # fmt: skip
    lines = []
    for g in result["groups"]:
        linked, unlinked = (
            [None] * 3 if g[key] is None else [100 * v for v in g[key]] for key in ("linked", "unlinked")
        )
        numbers = [linked[0], linked[1], g["correlation"], linked[2], unlinked[2], unlinked[1]]
        cells = ["not determined" if n is None else words.number(n, 3) for n in numbers]
        lines.append([g["name"], f"{g['length_cm']:.0f}", *cells])
    return head, lines


def _known(groups: Sequence[Result], key: str) -> list[Result]:
    """The groups whose tracks determine all parameters."""
    return [group for group in groups if group["covariance"][key] is not None]


def _half(groups: Sequence[Result], key: str) -> Floats:
    """`(3,)` relative half-widths of axes that show the ellipses of all groups but the wildest."""
    known = [group[key] for group in _known(groups, key)]
    return np.minimum(3.5 * np.max(known, axis=0), _WIDEST) if known else np.array(_WIDEST)


def _field(ax: Axes, result: Result, e: float, kb: float) -> None:
    """k_B against the field: what is known with the velocity linked to the field, and with it measured apart."""
    groups = result["groups"]
    half = _half(groups, "unlinked")[[2, 1]]
    for key, style in (("linked", "-"), ("unlinked", "--")):
        for group in _known(groups, key):
            covariance = np.array(group["covariance"][key])[np.ix_([2, 1], [2, 1])] * np.outer([e, kb], [e, kb])
            ax.plot(*ellipse((e, kb), covariance), color=_COLOUR[group["name"]], linestyle=style, linewidth=2)
    ends = e * np.array([1 - half[0], 1 + half[0]])
    look: dict[str, Any] = {"color": "black", "linewidth": 1}
    ax.plot(ends, kb * ends / e, **look, linestyle=":", label=r"equal charge: $k_B/E$")
    ax.axvline(e, **look, linestyle="-.", label="equal drift velocity, linked")
    ax.set(xlim=ends, ylim=(kb * (1 - half[1]), kb * (1 + half[1])), title="Velocity linked (full) and not (dashed)")
    ax.set_xlabel(label(table()["electric_field"]))
    ax.set_ylabel(label(table()["birks_kb"]))
    ax.legend(fontsize=8.5, loc="upper left")


def _caption(result: Result) -> str:
    settings, free = result["settings"], result["groups"][-1]["free_velocity"]
    moves = {table()[name].symbol: 100 * move for name, move in free["direction"].items() if abs(move) > 0.02}
    together = ", ".join(f"{name} {words.number(move, 2, '+')} %" for name, move in moves.items())
    return (
        "Left and middle: the pairs of A_B and k_B that give the true charge at one dE/dx; they meet at the true "
        "values only. Ellipses: regions of one standard deviation (39 % coverage), all six parameters free, from the "
        f"tracks of a species and from all ({settings['method']}). Right: k_B and the field, with the drift velocity "
        f"following from the field (full) and measured apart, to {words.percent(settings['velocity_uncertainty'])} "
        f"(dashed). With the velocity free and not measured, the weakest direction is {together}, with "
        f"{words.number(free['share'], 2)} of the largest eigenvalue of the information: the charge depends on k_B/E "
        "alone."
    )
