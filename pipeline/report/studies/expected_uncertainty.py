"""Figure of the study `expected_uncertainty`: uncertainty against length, mix of species and length of deposits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...parameters import CALIBRATED, table
from ...tables import Floats
from .. import words
from ..plots import COLOURS, GREY, symbol
from ..study import Result

_COLUMNS = 3
#: Lines of the cases, in their order.
_STYLES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")


def draw(result: Result) -> tuple[Figure, str]:
    """A panel per parameter against length; below them mixes of two species, and lengths of deposits."""
    species, mixes = result["species"], result["mixes"]
    tall = 2 + bool(mixes) + -(-len(species) // _COLUMNS)
    figure = Figure(figsize=(10.2, 3.0 * tall + 0.5), layout="constrained")
    axes = figure.subplots(tall, _COLUMNS, squeeze=False)
    for ax, name in zip(axes[:2].flat, CALIBRATED, strict=True):
        _against_length(ax, result, name)
    panels = iter(axes[2:].flat)
    if mixes:
        for ax, mix in zip(axes[2], mixes, strict=False):
            _mix(ax, mix, result["cases"])
            next(panels)
        for _ in range(_COLUMNS - len(mixes)):
            next(panels)
    for ax, one in zip(panels, species, strict=False):
        _segments(ax, one, result["cases"][0]["name"])
    for ax in axes[2:].flat:
        if not ax.has_data():
            ax.set_axis_off()
    _legend(figure, result)
    return figure, _caption(result)


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Length of track, and number of tracks, for every wanted uncertainty."""
    compositions = list(dict.fromkeys(row["composition"] for row in result["needed"]))
    tracks = result["settings"]["track_cm"]
    head = ["Case", "Parameter", "Wanted [%]"]
    for name in compositions:
        head += [f"{name[:1].upper()}{name[1:]} [cm]", "16 % - 84 % [cm]", f"Tracks of {tracks:g} cm"]
    found = {(r["case"], r["parameter"], r["composition"]): r for r in result["needed"]}
    lines = []
    for case, parameter in dict.fromkeys((r["case"], r["parameter"]) for r in result["needed"]):
        line = [case, table()[parameter].symbol, words.number(result["settings"]["wanted_percent"][parameter], 3)]
        for name in compositions:
            line += _needed(found[case, parameter, name], tracks)
        lines.append(line)
    return head, lines


def _needed(row: Result, track: float) -> list[str]:
    if row["length_cm"] is None:
        return ["never", "", ""]
    band = " - ".join("never" if row[k] is None else words.number(row[k], 2) for k in ("low_cm", "high_cm"))
    return [words.number(row["length_cm"], 2), band, words.count(np.ceil(row["length_cm"] / track))]


def _numbers(values: Sequence[float | None]) -> Floats:
    """In percent; NaN where undetermined."""
    return np.array([np.nan if v is None else 100 * v for v in values], dtype=np.float64)


def _against_length(ax: Axes, result: Result, name: str) -> None:
    """Curves and bands of all species and cases, where the sample ends, and the square-root law."""
    length = np.array(result["settings"]["lengths_cm"])
    for one, colour in zip(result["species"], COLOURS, strict=False):
        for case, line in zip(result["cases"], _STYLES, strict=False):
            if name not in case["parameters"]:
                continue
            curve = one["curves"][case["name"]][name]
            value, low, high = (_numbers(curve[k]) for k in ("value", "low", "high"))
            ax.plot(length, value, line, color=colour, linewidth=1.4)
            if line == "-":
                ax.fill_between(length, low, high, color=colour, alpha=0.2, linewidth=0)
                ax.plot(one["length_cm"], np.interp(one["length_cm"], length, value), "o", color=colour, markersize=4)
    wanted = result["settings"]["wanted_percent"].get(name)
    if wanted is not None:
        ax.axhline(wanted, color=GREY, linewidth=1, linestyle=(0, (1, 1)))
    first = result["species"][0]["curves"][result["cases"][0]["name"]][name]["value"]
    known = _numbers(first)
    if np.isfinite(known[0]):
        guide = 2.5 * known[0] * np.sqrt(length[0] / length)
        ax.plot(length, guide, color="black", linewidth=0.8, linestyle="-.")
    ax.set(xscale="log", yscale="log", xlabel="length of track [cm]", ylabel=f"uncertainty of {_symbol(name)} [%]")
    _small(ax)


def _mix(ax: Axes, mix: Result, cases: Sequence[Result]) -> None:
    """Uncertainties against the share of the second species, relative to the first one alone."""
    share = 100 * np.array(mix["share"])
    for case in cases[:1]:
        for name, colour in zip(CALIBRATED, COLOURS, strict=True):
            curve = mix["curves"][case["name"]].get(name)
            if curve is None or curve["value"][0] is None:
                continue
            unit = 100 * curve["value"][0]
            value, low, high = (_numbers(curve[k]) / unit for k in ("value", "low", "high"))
            ax.plot(share, value, color=colour, linewidth=1.4)
            ax.fill_between(share, low, high, color=colour, alpha=0.15, linewidth=0)
    a, b = mix["species"]
    ax.set(xlabel=f"{b} among {a} [% of length]", ylabel=f"σ / σ of {a} alone")
    _small(ax)


def _segments(ax: Axes, one: Result, case: str) -> None:
    """Uncertainties against the length of deposits (mean), relative to those of the sample as it is."""
    whole, *cut = one["segment_lengths"]
    for name, colour in zip(CALIBRATED, COLOURS, strict=True):
        unit = whole["uncertainty"][case].get(name)
        if unit is None:
            continue
        points = sorted((c["mean_cm"], c["uncertainty"][case][name]) for c in cut)
        known = [(x, y / unit) for x, y in points if y is not None]
        ax.plot(*np.array(known).reshape(-1, 2).T, marker="o", markersize=3, color=colour, linewidth=1.2)
        ax.plot(whole["mean_cm"], 1.0, marker="s", color="black", markersize=4)
    ax.set(xlabel=f"deposits of {one['name']} [cm]", ylabel="σ / σ as in the sample")
    _small(ax)


def _small(ax: Axes) -> None:
    ax.tick_params(labelsize=8)
    ax.xaxis.label.set_fontsize(9.5)
    ax.yaxis.label.set_fontsize(9.5)


def _legend(figure: Figure, result: Result) -> None:
    marks: list[Any] = [
        Line2D([], [], color=colour, label=one["name"]) for one, colour in zip(result["species"], COLOURS, strict=False)
    ]
    marks += [
        Line2D([], [], color="black", linestyle=line, label=case["name"])
        for case, line in zip(result["cases"], _STYLES, strict=False)
    ]
    marks.append(Line2D([], [], color="black", linestyle="-.", linewidth=0.8, label="1 / √length"))
    figure.legend(handles=marks, loc="outside upper center", ncols=len(marks), title="above: against length")
    below = [
        Line2D([], [], color=colour, label=_symbol(name)) for name, colour in zip(CALIBRATED, COLOURS, strict=True)
    ]
    figure.legend(handles=below, loc="outside lower center", ncols=len(below), title="lower rows: all six free")


def _caption(result: Result) -> str:
    s = result["settings"]
    samples = ", ".join(f"{one['length_cm']:.0f} cm of {one['name']}" for one in result["species"])
    mixes = (
        f" Third row: the same for {s['mix_cm']:.0f} cm of track of two species, relative to the first alone."
        if result["mixes"]
        else ""
    )
    known = ", ".join(f"{table()[n].symbol} {v:g} %" for n, v in s["priors_percent"].items())
    priors = f" Priors: {known}." if known else ""
    return (
        "The smallest uncertainty that any unbiased estimate can have (Cramér-Rao), for noisy hits of deposits that "
        f"are known exactly. The expected information of the likelihood was computed for {samples} in batches of whole "
        f"tracks of up to {s['batch_cm']:g} cm; it is additive, so that any length follows by sums. Dots: the length "
        "that was simulated; beyond it the information per cm is that of the sample, and bands (68 % of "
        f"{words.count(s['subsets'], 'random sample')} of the batches, as long as wanted or as there is) are those of "
        f"the simulated length. Dotted: uncertainties that the table is about.{priors}"
        f"{mixes} Last row: tracks cut into deposits of another length (mean length; square: as in the sample). "
        "Within a deposit dE/dx is one number, so longer ones hide the fluctuations and the rise at the end of a track "
        "that tell k_B from A_B: what is known about k_B depends strongly on the length of deposits over which dE/dx "
        "is given, and real data do not give it at all."
    )


def _symbol(name: str) -> str:
    return symbol(table()[name])
