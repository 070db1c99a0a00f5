"""Pulls of fitted values on their known targets: points by parameter, histograms and tables by method."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from scipy.special import ndtr

from ..inspect.pulls import pull
from ..inspect.trust import in_words
from ..parameters import Parameter
from ..tables import Floats
from . import curves, words
from .curves import Figure, axis, numbers
from .headline import joint_by_method, unlikely
from .outcome import Fit, parameter_of

#: Standard deviations of a mean, a width or a coverage beyond which it is no accident.
LIMIT = 3.0
#: Half-width of the histogram, and the width of its bins.
_END, _BIN = 4.0, 0.5
#: Pulls of one method from which on a histogram says something.
_ENOUGH = 12
#: Share of a Gaussian within one standard deviation of its mean.
_WITHIN = 0.6827


def of_fit(fit: Fit) -> dict[str, float]:
    """Pulls of the free parameters of a fit by name, as far as they are known."""
    return {p.name: value for p in fit.result.parameters if p.free and (value := pull(p)) is not None}


def section(fits: Sequence[Fit]) -> dict[str, Any] | None:
    """What the page shows of pulls, figures by the name of their place; None where none is known."""
    known = [fit for fit in fits if of_fit(fit)]
    if not known:
        return None
    methods = {m: [fit for fit in known if fit.method == m] for m in dict.fromkeys(fit.method for fit in known)}
    several = [m for m, members in methods.items() if len(members) > 1]
    histograms = {
        f"figure-pulls-{i}": histogram(m, pooled)
        for i, m in enumerate(methods)
        if len(pooled := [v for fit in methods[m] for v in of_fit(fit).values()]) >= _ENOUGH
    }
    return {
        "figures": {"figure-pulls": points(fits)} | histograms,
        "histograms": list(histograms),
        "rows": [row for m in several for row in _rows(m, methods[m])],
        "joint": [
            {"method": method, "text": words.typeset(in_words(pulls)), "odd": unlikely(pulls)}
            for method, pulls in joint_by_method(known).items()
        ],
        "without": [fit.title for fit in fits if not of_fit(fit)],
    }


def points(fits: Sequence[Fit]) -> Figure:
    """Every pull against its parameter, in the colours of the targets; bands of one and two standard deviations."""
    colour, marker = curves.colours(fits), curves.markers(fits)
    known = [fit for fit in fits if of_fit(fit)]
    names = list(dict.fromkeys(name for fit in known for name in of_fit(fit)))
    parameters = {p.name: parameter_of(p) for fit in known for p in fit.result.parameters}
    data = []
    for n, fit in enumerate(known):
        pulls = of_fit(fit)
        # Side by side, or points of equal height would hide each other.
        shift = 0.6 * ((n + 0.5) / len(known) - 0.5)
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": html.escape(fit.title),
                "legendgroup": curves.group(fit),
                "x": numbers([names.index(name) + shift for name in pulls], 6),
                "y": numbers(list(pulls.values()), 4),
                "text": [words.label(parameters[name]) for name in pulls],
                "marker": {
                    "size": 8 if len(known) <= 20 else 5,
                    "symbol": marker[fit.method] if fit.result.converged else "x",
                    "color": colour[fit.target] if fit.result.converged else curves.RED,
                },
                "hovertemplate": f"{html.escape(fit.title)}<br>%{{text}}: pull %{{y:.2f}}<extra></extra>",
            }
        )
    largest = max((abs(v) for fit in known for v in of_fit(fit).values()), default=0.0)
    return {"data": data, "layout": _points_layout([parameters[name] for name in names], max(3.4, 1.1 * largest))}


def _points_layout(parameters: Sequence[Parameter], reach: float) -> Figure:
    bands = [
        {
            "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": -width, "y1": width, "line": {"width": 0},
            "fillcolor": "rgba(70,90,110,0.13)", "layer": "below",
        }
        for width in (1, 2)
    ]  # fmt: skip
    zero = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "layer": "below"}
    at = list(range(len(parameters)))
    x = axis("", tickvals=at, ticktext=[words.symbol(p) for p in parameters], range=[-0.6, len(at) - 0.4])
    x |= {"showgrid": False, "tickfont": {"size": 14}}
    return _layout(x, axis("(value − target) / uncertainty", range=[-reach, reach], nticks=9)) | {
        "shapes": [*bands, {**zero, "line": {"color": "#9aa5b1", "width": 1}}]
    }


def histogram(method: str, pulls: Sequence[float]) -> Figure:
    """Pulls of all parameters and fits of one method, beside a Gaussian of width 1 of the same number.

    What lies outside stands in the outermost bins, of both.
    """
    edges = np.arange(-_END, _END + _BIN / 2, _BIN)
    centres = 0.5 * (edges[1:] + edges[:-1])
    counts = np.histogram(np.clip(pulls, -_END, _END), edges)[0]
    inner = ndtr(edges)
    inner[0], inner[-1] = 0.0, 1.0
    expected = len(pulls) * np.diff(inner)
    title = f"{html.escape(method) or 'Pulls'}: {words.count(len(pulls), 'pull')}"
    layout = _layout(axis("(value − target) / uncertainty", dtick=1), axis("number of pulls", rangemode="tozero"))
    return {
        "data": [
            {
                "type": "bar", "x": numbers(centres), "y": counts.tolist(), "width": _BIN, "name": "pulls",
                "marker": {"color": "#0072b2", "opacity": 0.65}, "hovertemplate": "%{x}: %{y} pulls<extra></extra>",
            },
            {
                "type": "scatter", "mode": "lines", "x": numbers(centres), "y": numbers(expected, 5),
                "line": {"color": "#1f2933", "width": 2, "shape": "hvh"}, "name": "Gaussian of width 1",
                "hovertemplate": "expected %{y:.1f}<extra></extra>",
            },
        ],
        "layout": layout | {
            "title": {"text": title, "x": 0.0, "xref": "paper", "xanchor": "left", "font": {"size": 15}},
            "margin": {"l": 60, "r": 12, "t": 64, "b": 44},
            "bargap": 0,
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        },
    }  # fmt: skip


def _layout(x: Figure, y: Figure) -> Figure:
    return {
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1f2933"},
        "xaxis": x,
        "yaxis": y,
        "margin": {"l": 60, "r": 12, "t": 12, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "separators": ".\u202f",
    }


def _rows(method: str, fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """Mean, width and coverage of the pulls of every parameter over the fits of one method, with their errors.

    Fits to independent data: the errors of the three are 1 / sqrt(N), 1 / sqrt(2 N) and sqrt(0.217 / N).
    """
    pulls: dict[str, list[float]] = {}
    for fit in fits:
        for name, value in of_fit(fit).items():
            pulls.setdefault(name, []).append(value)
    parameters = {p.name: parameter_of(p) for fit in fits for p in fit.result.parameters}
    return [
        {"method": method, "label": Markup(words.label(parameters[name])), "count": words.count(len(values))}
        | _statistics(np.array(values))
        for name, values in pulls.items()
        if len(values) > 1
    ]


def _statistics(pulls: Floats) -> dict[str, tuple[str, bool]]:
    """Texts of mean, width and coverage, and whether each is farther from its due than chance."""
    n = len(pulls)
    found = {
        "mean": (float(pulls.mean()), 0.0, 1 / math.sqrt(n)),
        "width": (float(pulls.std(ddof=1)), 1.0, 1 / math.sqrt(2 * n)),
        "coverage": (float((np.abs(pulls) < 1).mean()), _WITHIN, math.sqrt(_WITHIN * (1 - _WITHIN) / n)),
    }
    return {
        name: (f"{value:.2f} ± {error:.2f}".replace("-", "−"), abs(value - due) > LIMIT * error)
        for name, (value, due, error) in found.items()
    }
