"""Figure of the study `bound`: the smallest possible uncertainty of every parameter against the length of track."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...parameters import table
from ...study.published_ladder import BOUNDS, LENGTH_CM
from ...tables import Floats
from .. import words
from ..plots import COLOURS, GREY, symbol
from ..study import Result

_COLUMNS = 3
#: Lines of what is known of the parameters, in the order of the cases.
_STYLES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
#: Bands of unknown tracks lie below the lines of known ones.
_WIDE = 5.0
_SHAPES = {"S1": "o", "S2": "s", "S4": "^"}


def draw(result: Result) -> tuple[Figure, str]:
    """A panel per parameter: lines of the cases, open marks of published bounds, full ones of what fits reached."""
    parameters = result["parameters"]
    lines = -(-len(parameters) // _COLUMNS)
    # About so many entries of the legend stand side by side.
    legend = -(-len(_marks(result)) // 4)
    figure = Figure(figsize=(10.4, 3.2 * lines + 0.27 * legend + 0.3), layout="constrained")
    axes = list(figure.subplots(lines, _COLUMNS, squeeze=False).flat)
    for ax, parameter in zip(axes, parameters, strict=False):
        _parameter(ax, result, parameter)
    for ax in axes[len(parameters) :]:
        ax.set_axis_off()
    figure.legend(handles=_marks(result), loc="outside lower center", ncols=4)
    return figure, _caption(result)


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """What every case knows, and its bounds at the length of published ones."""
    parameters = result["parameters"]
    at = f"at {words.count(result['scaled_to_cm'])} cm"
    head = ["Case", "dE/dx", "Tracks", "External"]
    for p in parameters:
        symbol_of = table()[p["name"]].symbol
        head += [f"{symbol_of} {at} [{p['unit']}]", f"{symbol_of} published"]
    lines = []
    for case in result["cases"]:
        line = [case["name"], case["belief"], case["geometry"], _external(case) or "–"]
        for p in parameters:
            line += _cells(case["parameters"].get(p["name"]))
        lines.append(line)
    return head, lines


def _cells(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return ["known", "–"]
    if found["scaled"] is None:
        return ["undetermined", "–"]
    value = _number(found["scaled"], found["scaled_error"])
    return [value, "–" if found["published"] is None else words.number(found["published"], 2)]


def _number(value: float, error: float | None) -> str:
    """To the second digit of the error, if there is one."""
    if not error:
        return words.number(value, 3)
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _external(case: Mapping[str, Any]) -> str:
    """External knowledge of a case, as text."""
    return ", ".join(f"{table()[n].symbol} {percent:g} %" for n, percent in case["priors_percent"].items())


def _of_parameters(case: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a case knows of the parameters."""
    return tuple(sorted(case["free"])), tuple(sorted(case["priors_percent"].items()))


def _looks(result: Result) -> tuple[dict[str, str], dict[tuple[Any, ...], Any]]:
    """Colours by what is known of dE/dx, and lines by what is known of the parameters."""
    beliefs = dict.fromkeys(case["belief"] for case in result["cases"])
    known = dict.fromkeys(_of_parameters(case) for case in result["cases"])
    return (
        {b: COLOURS[k % len(COLOURS)] for k, b in enumerate(beliefs)},
        {what: _STYLES[k % len(_STYLES)] for k, what in enumerate(known)},
    )


def _parameter(ax: Axes, result: Result, parameter: Mapping[str, Any]) -> None:
    name = parameter["name"]
    colours, styles = _looks(result)
    length = np.array(result["settings"]["lengths_cm"])
    order = np.argsort(length)
    for case in result["cases"]:
        found = case["parameters"].get(name)
        if found is None:
            continue
        colour = colours[case["belief"]]
        value, error = (_floats(found[k]) for k in ("value", "error"))
        style = styles[_of_parameters(case)]
        if case["geometry"] == "unknown":
            ax.plot(length[order], value[order], style, color=colour, linewidth=_WIDE, alpha=0.3, zorder=1)
        else:
            ax.plot(length[order], value[order], style, color=colour, linewidth=1.3, zorder=2)
            low, high = np.maximum(value - error, 0.1 * value)[order], (value + error)[order]
            ax.fill_between(length[order], low, high, color=colour, alpha=0.15, linewidth=0, zorder=0)
        if found["published"] is not None:
            shape = _SHAPES[case["stage"]]
            ax.plot(LENGTH_CM, found["published"], shape, color=colour, markersize=5, markerfacecolor="none", zorder=3)
    for point in _reached(result):
        if point["parameter"] == name and point["total"]:
            bar = [[min(point["total_error"], 0.9 * point["total"])], [point["total_error"]]]
            look: dict[str, Any] = {"color": "black", "markersize": 4.5, "capsize": 2, "linewidth": 1, "zorder": 4}
            ax.errorbar(point["length_cm"], point["total"], yerr=bar, marker=_SHAPES[point["stage"]], **look)
    ax.set(xscale="log", yscale="log")
    ax.set_title(symbol(table()[name]))
    ax.set_xlabel("length of track [cm]", fontsize=9.5)
    ax.set_ylabel(f"smallest σ [{parameter['unit']}]" if parameter["unit"] else "smallest σ", fontsize=9.5)
    ax.tick_params(labelsize=8)


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _reached(result: Result) -> Sequence[Mapping[str, Any]]:
    points: Sequence[Mapping[str, Any]] = [] if result["reached"] is None else result["reached"]["points"]
    return points


def _marks(result: Result) -> list[Any]:
    colours, styles = _looks(result)
    marks = [Line2D([], [], color=colour, label=f"dE/dx: {what}") for what, colour in colours.items()]
    named = {_of_parameters(case): case for case in result["cases"]}
    for what, style in styles.items():
        marks.append(Line2D([], [], color="black", linestyle=style, linewidth=1.3, label=_of_case(named[what], result)))
    if any(case["geometry"] == "unknown" for case in result["cases"]):
        marks.append(Line2D([], [], color=GREY, linewidth=_WIDE, alpha=0.5, label="tracks unknown"))
    told = {case["stage"] for case in result["cases"] for p in case["parameters"].values() if p["published"]}
    for stage in (s for s in BOUNDS if s in told):
        label = f"published bound, {stage}"
        marks.append(
            Line2D([], [], color=GREY, linestyle="", marker=_SHAPES[stage], markerfacecolor="none", label=label)
        )
    fitted = {point["stage"] for point in _reached(result)}
    for stage in (s for s in BOUNDS if s in fitted):
        marks.append(Line2D([], [], color="black", linestyle="", marker=_SHAPES[stage], label=f"fits, {stage}"))
    return marks


def _of_case(case: Mapping[str, Any], result: Result) -> str:
    """What is known of the parameters, in short: those that another case fits and this one does not."""
    known = [symbol(table()[p["name"]]) for p in result["parameters"] if p["name"] not in case["free"]]
    parts = [f"known: {', '.join(known)}"] if known else ["all free"]
    return "; ".join([*parts, _external(case)] if case["priors_percent"] else parts)


def _caption(result: Result) -> str:
    draws, parts = words.count(result["settings"]["draws"], "draw"), words.count(result["parts"], "part")
    sample = f"{words.count(result['sample_cm'])} cm of track in {words.count(result['segments'], 'segment')}"
    published, fits = "", ""
    if any(p["published"] for case in result["cases"] for p in case["parameters"].values()):
        published = (
            f" Open marks, at {words.count(LENGTH_CM)} cm: published bounds, of straight muons in deposits of 1 cm, "
            "for the same belief in dE/dx of each deposit."
        )
    if result["reached"] is not None:
        name = result["reached"]["sample"]
        of = f" of the sample {name}" if name else ""
        fits = f" Full marks: √(bias² + spread²) of fits of the study ladder{of}."
    return (
        "Smallest standard deviation that is possible for what is known of the deposits (colour: dE/dx of segments; "
        "pale bands: tracks unknown, too) and of the parameters (line). No fit is made: it is the inverse of the "
        "information at the true parameters and deposits, the unknown ones eliminated, for noisy hits of "
        f"{sample}, {draws} of noise. Where nothing is known of parameters from elsewhere, bounds go as 1 / √length. "
        f"Errors (bands; table) are from the scatter of {parts} of the sample. A belief in dE/dx is one of each "
        f"segment, so that bounds depend on the length of segments.{published}{fits}"
    )
