"""Figure of the study `reconstruction`: what is found, and how accurate it is, against length, angle and drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import words
from ..plots import BLUE, GREEN, GREY, ORANGE, PURPLE, panels
from ..study import Result

#: Titles of the quantities that curves are drawn against.
_AXES = {
    "length": "length [cm]",
    "hits": "hits",
    "cos_drift": "|cosine to the drift|",
    "drift": "distance to the anode [cm]",
}
#: Curves of a panel: key, legend, colour.
_Curves = Sequence[tuple[str, str, str]]
_FOUND: _Curves = (("efficiency", "particles found", BLUE), ("purity", "tracks that match", ORANGE))
_FOUND_HITS: _Curves = (*_FOUND, ("hits_kept", "hits in the match", GREEN))
_RMS: _Curves = (("rms_across", "in the anode plane", BLUE), ("rms_deep", "towards the anode", ORANGE))
_BIAS: _Curves = (("bias_x", "x", BLUE), ("bias_y", "y", GREEN), ("bias_away", "away from the anode", ORANGE))
_ANGLE: _Curves = (("angle", "median", PURPLE),)
_LOSS: _Curves = (
    ("dedx", "mean", BLUE),
    ("dedx_median", "median", ORANGE),
    ("dedx_all", "mean, with all knocked out", PURPLE),
)
_CHARGE: _Curves = (("charge", "", BLUE),)
_ENDS: _Curves = (("end_gap", "", BLUE),)


def draw(result: Result) -> tuple[Figure, str]:
    """Against angle and drift: what is found, distance, shift, angle, dE/dx, charge, ends; length and hits on top."""
    figure, axes = panels(2, 8, height=2.3)
    curves = result["curves"]
    for ax, x in zip(axes, ("length", "hits"), strict=False):
        _panel(ax, curves, x, _FOUND, "share")
        ax.set(xscale="log", ylim=(None, 1.03))
        _limits(ax, x, result["settings"])
    rows: Sequence[tuple[_Curves, str]] = (
        (_FOUND_HITS, "share"),
        (_RMS, "rms distance [mm]"),
        (_BIAS, "mean shift [mm]"),
        (_ANGLE, f"angle, {result['settings']['window_cm']:g} cm [mrad]"),
        (_LOSS, "dE/dx / true"),
        (_CHARGE, "charge / true"),
        (_ENDS, "overshoot [mm]"),
    )
    for row, (which, title) in enumerate(rows, start=1):
        for column, x in enumerate(("cos_drift", "drift")):
            ax = axes[2 * row + column]
            _panel(ax, curves, x, which, title)
            edges = curves["hits_kept"][x]["edges"]
            ax.set_xlim(edges[0], edges[-1])
            if which is _LOSS:
                _band(ax, curves, x)
            if which in (_LOSS, _CHARGE):
                ax.axhline(1, color="black", linewidth=0.9, linestyle=":")
            if which in (_BIAS, _ENDS):
                ax.axhline(0, color="black", linewidth=0.9, linestyle=":")
            if which in (_RMS, _ANGLE):
                ax.set_ylim(bottom=0)
    return figure, _caption(result)


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The numbers over all particles that are long enough."""
    lines = []
    for row in result["headline"]:
        value, low, high = row["value"]
        cells = ["", ""] if value is None else [words.number(value, 3), words.number((high - low) / 2, 2)]
        lines.append([row["name"][:1].upper() + row["name"][1:], row["unit"], *cells])
    return ["Quantity", "Unit", "Value", "Uncertainty"], lines


def _panel(ax: Axes, curves: Result, x: str, which: _Curves, title: str) -> None:
    for key, name, colour in which:
        curve = curves[key][x]
        edges = np.array(curve["edges"])
        value, low, high = (np.array(curve[k], dtype=np.float64) for k in ("value", "low", "high"))
        filled = np.isfinite(value)
        middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
        # Rounding must not make a bar of negative length.
        bars = np.maximum([value - low, high - value], 0.0)[:, filled]
        ax.errorbar(
            middle[filled], value[filled], xerr=half[filled], yerr=bars,
            color=colour, marker="o", markersize=3, linestyle="", linewidth=1.1, label=name,
        )  # fmt: skip
    ax.set(xlabel=_AXES[x], ylabel=title)
    if len(which) > 1:
        ax.legend(fontsize=8)


def _limits(ax: Axes, x: str, settings: Any) -> None:
    """Where the particles begin that the other panels show."""
    ax.axvline(settings["min_length_cm" if x == "length" else "min_hits"], color=GREY, linewidth=1, linestyle="--")


def _band(ax: Axes, curves: Result, x: str) -> None:
    """The central 68 % of the ratio in each bin, about the median."""
    width, median = curves["dedx_width"][x], curves["dedx_median"][x]
    edges = np.array(width["edges"])
    w, m = (np.array(c["value"], dtype=np.float64) for c in (width, median))
    ax.fill_between(0.5 * (edges[1:] + edges[:-1]), m - w, m + w, color=GREY, alpha=0.25, linewidth=0)


def _caption(result: Result) -> str:
    s = result["settings"]
    told = f" The reconstruction assumed {_values(s['assumed'])}." if s["assumed"] else ""
    return (
        f"Tracks reconstructed from the hits of {words.count(result['events'], 'event')} with noise, beside the true "
        f"particles. A particle is found if a track holds at least {100 * s['matched_share']:g} % of its hits and at "
        f"least {100 * s['matched_purity']:g} % of the hits of that track are its; what it knocked out of atoms counts "
        f"as its own. Top: against length and number of hits; all other panels are of particles of at least "
        f"{s['min_length_cm']:g} cm and {s['min_hits']} hits (dashed lines). Distances are from the centres of true "
        "segments, perpendicular to the curve, in the anode plane and in the plane of track and drift. The shift is "
        "that of the curve. The angle is between the straight lines through true path and curve. dE/dx is that of "
        "reconstructed segments over that of the particle with what it knocked out and is in the hits of the track, in "
        "the same piece of path: mean over mean, median, and the central 68 % (grey); and, with the energy found "
        "beside the track in hits and in short tracks that begin on it, over that with all it knocked out. The charge "
        "of a track is held against what pixels collect of the particle, below the threshold too. Overshoot: how far "
        "ends lie beyond the true ones (median over tracks of the mean of both). Bars are standard errors from the "
        "scatter between particles; binomial ones for shares, "
        f"from ranks for medians.{told}"
    )


def _values(values: Any) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())
