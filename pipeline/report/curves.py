"""Curves against iteration, as plotly figures in plain dictionaries."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..parameters import Parameter
from ..tables import FittedParameter
from . import words
from .outcome import Fit, distance_history, parameter_of

Figure = dict[str, Any]

#: One colour per target; none of them is red, which means "did not converge".
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#8e5aa8", "#56b4e9", "#8c6d31", "#d279a6", "#4d4d4d", "#7cae00", "#00a9a5")
RED = "#c62828"
#: One marker per method, by plotly's name and as the character that stands for it in the legend.
MARKERS = {"circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲"}
_INK = "#1f2933"
_GRID = "#e4e7eb"

#: Distances below this are drawn here: float64 cannot tell them from zero.
SMALLEST_DISTANCE = 1e-16

#: Points of one curve, and of all curves of a figure together: they bound the size of the page.
_MOST_POINTS, _MOST_OF_ALL = 400, 6_000
#: Where a logarithmic axis of iterations has the start, which is iteration 0.
START = 0.5


def numbers(values: npt.ArrayLike, digits: int = 9) -> list[float | None]:
    """Plain numbers to `digits` significant digits for JSON; whatever is not finite becomes a gap."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in array]


def thinned(length: int, curves: int = 1) -> npt.NDArray[np.int64]:
    """Which of `length` points to draw where there are `curves` curves: all of few; of many some, never without the
    first and the last, half of them evenly spaced and half ever wider, as on a logarithmic axis."""
    most = int(np.clip(_MOST_OF_ALL // max(curves, 1), 60, _MOST_POINTS))
    if length <= most:
        return np.arange(length)
    even = np.linspace(0, length - 1, most // 2)
    wider = np.geomspace(1, length - 1, most // 2)
    return np.unique(np.concatenate([[0], np.rint(even), np.rint(wider), [length - 1]]).astype(np.int64))


def iterations_axis(longest: int, shortest: int) -> tuple[Figure, bool]:
    """Axis of iterations up to `longest`; whether it is logarithmic, as where the shortest curve would be invisible.

    On a logarithmic axis the start stands at `START`.
    """
    if longest <= 20 * max(shortest, 1):
        return axis("iteration", rangemode="tozero", tickformat="d", nticks=8), False
    ticks = [10.0**power for power in range(len(str(longest)))]
    low, high = np.log10(START) - 0.05, np.log10(longest) + 0.05
    text = ["start", *(words.count(tick) for tick in ticks)]
    return axis("iteration", type="log", tickvals=[START, *ticks], ticktext=text, range=[float(low), float(high)]), True


def colours(fits: Sequence[Fit]) -> dict[str, str]:
    """A colour for each target, the same in all figures, in order of appearance."""
    targets = dict.fromkeys(fit.target for fit in fits)
    return {target: COLOURS[i % len(COLOURS)] for i, target in enumerate(targets)}


def markers(fits: Sequence[Fit]) -> dict[str, str]:
    """A marker for each method, in order of appearance."""
    methods = dict.fromkeys(fit.method for fit in fits)
    return {method: list(MARKERS)[i % len(MARKERS)] for i, method in enumerate(methods)}


def group(fit: Fit) -> str:
    """Name that ties the curves of one fit together, so that the legend can hide them in all figures at once."""
    return html.escape(fit.title)


def axis(title: str, **more: Any) -> Figure:
    """A plain axis with its title."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": _GRID,
        "linecolor": "#9aa5b1",
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "#9aa5b1",
        "exponentformat": "power",
        "automargin": True,
        **more,
    }


def _figure(data: list[Figure], title: str, y: Figure) -> Figure:
    """A figure against iteration; on a logarithmic axis the start of every curve is moved to where it can be seen."""
    lengths = [trace["meta"] for trace in data if "meta" in trace]
    x, logarithmic = iterations_axis(max(lengths, default=0), min(lengths, default=0))
    if logarithmic:
        for trace in data:
            trace["x"] = [max(at, START) for at in trace["x"]]
    layout = {
        "title": {"text": title, "x": 0.0, "xref": "paper", "xanchor": "left", "font": {"size": 15}},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": _INK},
        "xaxis": x,
        "yaxis": y,
        "margin": {"l": 60, "r": 12, "t": 40 if title else 12, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "separators": ".\u202f",
    }
    return {"data": data, "layout": layout}


def _curve(
    fit: Fit, y: npt.ArrayLike, colour: str, marker: str, hover: str, dash: str = "solid", curves: int = 1
) -> Figure:
    everything = np.asarray(y, dtype=np.float64)
    drawn = thinned(len(everything), curves)
    values = numbers(everything[drawn], 9 if len(drawn) == len(everything) else 7)
    mode = "lines+markers" if len(everything) <= 60 else "lines"
    return {
        "type": "scatter",
        "mode": mode,
        "name": html.escape(fit.title),
        "legendgroup": group(fit),
        "x": drawn.tolist(),
        "y": values,
        # The number of the last iteration.
        "meta": len(everything) - 1,
        "line": {"color": colour, "width": 2 if len(everything) <= 60 else 1.2, "dash": dash},
        "marker": {"size": 5, "symbol": marker},
        "hovertemplate": f"{html.escape(fit.title)}<br>iteration %{{x}}<br>{hover}<extra></extra>",
    }


def _failed(fit: Fit, y: npt.ArrayLike) -> list[Figure]:
    # A red cross ends the curve of a fit that cannot be used, so that nobody reads its last value as a result.
    everything = np.asarray(y, dtype=np.float64)
    if fit.result.converged or not len(everything):
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": html.escape(fit.title),
            "legendgroup": group(fit),
            "x": [len(everything) - 1],
            "y": numbers(everything[-1:]),
            "marker": {"size": 12, "symbol": "x", "color": RED},
            "hovertemplate": f"{html.escape(fit.title)}<br>did not converge<extra></extra>",
        }
    ]


def parameter_figures(fits: Sequence[Fit]) -> list[Figure]:
    """Fitted value against iteration, one figure per free parameter; targets are dashed lines."""
    names = dict.fromkeys(p.name for fit in fits for p in fit.result.parameters if p.name in fit.result.history)
    return [_parameter_figure(name, fits) for name in names]


def _parameter_figure(name: str, fits: Sequence[Fit]) -> Figure:
    colour, marker = colours(fits), markers(fits)
    data: list[Figure] = []
    parameter: Parameter | None = None
    for fit in fits:
        fitted = next((p for p in fit.result.parameters if p.name == name), None)
        if fitted is None or name not in fit.result.history:
            continue
        parameter = parameter_of(fitted)
        in_unit = words.display_unit(parameter)
        values = np.asarray(fit.result.history[name]) / 10.0 ** words.display_power(parameter)
        data += _target_line(fit, fitted, parameter, len(values), colour[fit.target])
        hover = f"{words.symbol(parameter)} = %{{y:.6g}} {in_unit}"
        data.append(_curve(fit, values, colour[fit.target], marker[fit.method], hover, curves=len(fits)))
        data += _uncertainty_bar(fit, fitted, parameter, len(values), colour[fit.target])
        data += _failed(fit, values)
    assert parameter is not None
    in_unit = words.display_unit(parameter)
    title = f"{words.symbol(parameter)} [{in_unit}]" if in_unit else words.symbol(parameter)
    return _figure(data, words.label(parameter), axis(title))


def _target_line(fit: Fit, fitted: FittedParameter, parameter: Parameter, length: int, colour: str) -> list[Figure]:
    if fitted.target is None:
        return []
    # Slightly longer than the curve, so that the two can be told apart where they agree.
    ends = [0, max(length - 1, 1) * 1.05]
    text = f"{words.number(words.scaled(parameter, fitted.target))} {words.display_unit(parameter)}"
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": html.escape(fit.title),
            "legendgroup": group(fit),
            "x": ends,
            "y": numbers([words.scaled(parameter, fitted.target)] * 2),
            "line": {"color": colour, "width": 1.5, "dash": "dash"},
            "hovertemplate": f"target of {html.escape(fit.title)}: {text}<extra></extra>",
        }
    ]


def _uncertainty_bar(fit: Fit, fitted: FittedParameter, parameter: Parameter, length: int, colour: str) -> list[Figure]:
    """A bar of one standard uncertainty to either side of the fitted value, at the end of its curve."""
    sigma = fitted.uncertainty
    if sigma is None or not np.isfinite(sigma) or not length:
        return []
    text = f"{words.measured(parameter, fitted.value, sigma)} {words.display_unit(parameter)}".rstrip()
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": html.escape(fit.title),
            "legendgroup": group(fit),
            "x": [length - 1],
            "y": numbers([words.scaled(parameter, fitted.value)]),
            "error_y": {"type": "data", "array": numbers([words.scaled(parameter, sigma)]), "thickness": 2, "width": 5},
            "marker": {"size": 5, "color": colour},
            "hovertemplate": f"{html.escape(fit.title)}<br>{words.symbol(parameter)} = {text}<extra></extra>",
        }
    ]


def distance_figure(fits: Sequence[Fit]) -> Figure | None:
    """Largest relative distance to the target against iteration, with median and band where there is one method.

    None without targets.
    """
    colour, marker = colours(fits), markers(fits)
    known = [(fit, np.asarray(d)) for fit in fits if (d := distance_history(fit.result)) is not None and len(d)]
    if not known:
        return None
    data: list[Figure] = []
    methods = dict.fromkeys(fit.method for fit, _ in known)
    # Bands of several methods would hide each other; they are compared elsewhere on the page.
    if len(known) > 1 and len(methods) == 1:
        data += _band(known[0][0].method, [d for _, d in known])
    for fit, distance in known:
        shown = np.maximum(distance, SMALLEST_DISTANCE)
        hover = "largest distance %{y:.2e}"
        data.append(_curve(fit, shown, colour[fit.target], marker[fit.method], hover, curves=len(known)))
        data += _failed(fit, shown)
    y = axis("largest |value / target − 1|", type="log", **log_ticks(np.concatenate([d for _, d in known])))
    return _figure(data, "", y)


def log_ticks(values: npt.NDArray[np.float64]) -> Figure:
    """Ticks of a logarithmic axis of these values: powers of ten, or plain numbers where it spans few decades."""
    values = np.maximum(values[np.isfinite(values)], SMALLEST_DISTANCE)
    low, high = (float(values.min()), float(values.max())) if len(values) else (1.0, 10.0)
    decades = np.log10(high / low)
    if decades > 1.5:
        return {"dtick": 2 if decades > 6 else 1}
    return plain_ticks(low, high)


def plain_ticks(low: float, high: float) -> Figure:
    """Plain numbers on a logarithmic axis: 1, 2, 5 of every decade, more where it is short, fewer where it is long."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    spread = high / low
    steps: tuple[float, ...] = (1, 2, 5) if spread < 1e5 else (1,)
    if spread < 8:
        steps = (1, 1.5, 2, 3, 4, 5, 6, 8)
    ticks = [float(f"{step * 10.0**power:g}") for power in decades for step in steps]
    if not any(low <= tick <= high for tick in ticks):
        ticks = [float(f"{value:.2g}") for value in (low, high)]
    return {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _band(method: str, histories: Sequence[npt.NDArray[np.float64]]) -> list[Figure]:
    """Median and range over the targets of one method; a fit that has ended keeps its last value."""
    longest = max(map(len, histories))
    stack = np.stack([np.pad(h, (0, longest - len(h)), mode="edge") for h in histories])
    stack = np.maximum(stack, SMALLEST_DISTANCE)
    drawn = thinned(longest)
    stack, x = stack[:, drawn], drawn.tolist()
    name = html.escape(method)
    edge: Figure = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip"}
    return [
        {**edge, "name": f"{name} smallest", "y": numbers(stack.min(axis=0))},
        {
            **edge,
            "name": f"{name} range",
            "y": numbers(stack.max(axis=0)),
            "fill": "tonexty",
            "fillcolor": "rgba(70,90,110,0.15)",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{name} median",
            "x": x,
            "y": numbers(np.median(stack, axis=0)),
            "line": {"color": _INK, "width": 4},
            "hovertemplate": f"median of {len(histories)} targets<br>iteration %{{x}}<br>%{{y:.2e}}<extra></extra>",
        },
    ]


#: Title and y axis of the hit counts that a fit's history may hold.
_COUNTS = {
    "matched": "Hits with a partner",
    "unmatched_model": "Hits only in the simulation",
    "unmatched_data": "Hits only in the data",
}


def hit_figures(fits: Sequence[Fit], counted: Sequence[Fit] | None = None) -> list[Figure]:
    """Number of matched and of unmatched hits against iteration, one figure per kind that the fits recorded.

    Only `counted` fits are drawn, all by default, in the colours that they have among all.
    """
    colour, marker = colours(fits), markers(fits)
    figures = []
    for key, title in _COUNTS.items():
        data: list[Figure] = []
        for fit in fits if counted is None else counted:
            if key in fit.result.history:
                values = fit.result.history[key]
                hover = "%{y:d} hits"
                data.append(_curve(fit, values, colour[fit.target], marker[fit.method], hover, curves=len(fits)))
                data += _failed(fit, values)
        if data:
            everything = np.concatenate([np.asarray(trace["y"], dtype=np.float64) for trace in data])
            few = float(np.nanmax(everything) - np.nanmin(everything)) < 6
            ticks: Figure = {"dtick": 1} if few else {"nticks": 6}
            figures.append(_figure(data, title, axis("number of hits", tickformat=",d", **ticks)))
    return figures
