"""What a fit says of its own uncertainty: correlations as a figure, weakest directions, and other means beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from ..calibrate.uncertainty import EXPECTED, MARGINAL, SANDWICH, SIMULATED
from ..inspect.limits import ASSUMED
from ..inspect.trust import signed
from ..parameters import Parameter
from ..rounding import rounded
from ..tables import FittedParameter, Floats, Uncertainty
from . import words
from .curves import Figure, numbers
from .outcome import Fit, parameter_of

#: Where uncertainties come from, in words.
_MEANING: Mapping[str, str] = {
    EXPECTED: "the inverse of what data of this kind tell on average, which no fit without bias can "
    "undercut (Cramér and Rao)",
    SANDWICH: "the scatter of the data's pull on the fit, as they show it, between two inverses of its curvature "
    "(Huber, White)",
    MARGINAL: "the inverse of what these data tell once everything that is unknown of the segments is "
    "integrated over (Laplace's approximation)",
    SIMULATED: "the scatter of what the same fit makes of simulated tracks, between two inverses "
    "of what these data tell once everything that is unknown of the segments is integrated over",
}
#: Ratios of uncertainties that differ from 1 by more are coloured.
APART = 0.05
#: Diverging, white at no correlation, and safe for the colour-blind.
_SCALE = ((0.0, "#08519c"), (0.25, "#6baed6"), (0.5, "#ffffff"), (0.75, "#fd9a3c"), (1.0, "#a34700"))
_INK = "#1f2933"
#: Correlations beyond this are written in white: their cells are dark.
_DARK = 0.75


def section(fit: Fit, name: str) -> dict[str, Any] | None:
    """What the page shows of the uncertainty of a fit, with its figure under `name`; None where it has none."""
    known = fit.result.uncertainty
    if known is None:
        return None
    fitted = {p.name: p for p in fit.result.parameters}
    columns = [*_opinions(known)] + (["profile interval"] if known.intervals else [])
    return {
        "name": name if np.isfinite(known.covariance).any() else None,
        "kind": known.kind,
        "meaning": _MEANING.get(known.kind, ""),
        "condition": words.number(known.condition_number, 3),
        "directions": [words.typeset(text) for text in known.directions],
        "caveats": [words.typeset(text) for text in known.caveats],
        "columns": [words.typeset(column) for column in columns],
        "rows": [_row(fitted[n], known, i) for i, n in enumerate(known.names)] if columns else [],
        "intervals": bool(known.intervals),
    }


def _opinions(known: Uncertainty) -> dict[str, Floats]:
    """Covariances by other means of what the quoted one is of; those under other assumptions stand at the front."""
    return {kind: covariance for kind, covariance in known.others.items() if kind not in ASSUMED}


def _row(fitted: FittedParameter, known: Uncertainty, i: int) -> dict[str, Any]:
    """Ratios of other standard uncertainties of one parameter to the quoted one, and its interval."""
    parameter, sigma = parameter_of(fitted), float(_standard(known.covariance)[i])
    ratios = [float(_standard(covariance)[i]) / sigma for covariance in _opinions(known).values()]
    interval = known.intervals.get(fitted.name)
    if known.intervals:
        ratios.append(math.nan if interval is None else 0.5 * (interval[1] - interval[0]) / sigma)
    return {
        "label": Markup(words.symbol(parameter)),
        "ratios": [(_ratio(r), abs(r - 1) > APART) for r in ratios],
        "interval": "–" if interval is None else _interval(parameter, interval, sigma),
    }


def _ratio(ratio: float) -> str:
    if math.isnan(ratio):
        return "–"
    return f"{ratio:.3f}" if math.isfinite(ratio) else "∞"


def _interval(parameter: Parameter, interval: tuple[float, float], sigma: float) -> str:
    """Its ends, to the digit of the standard uncertainty."""
    ends = [rounded(words.scaled(parameter, end), words.scaled(parameter, sigma)) for end in interval]
    texts = [end.value if not end.power else f"{end.value}e{end.power}" for end in ends]
    return " to ".join("∞" if text == "inf" else text.replace("-", "−") for text in texts)


def _standard(covariance: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(np.diag(covariance)))


def figure(known: Uncertainty, parameters: Mapping[str, Parameter]) -> Figure:
    """The correlations of the free parameters as a matrix with its numbers; those that are not known stay empty."""
    with np.errstate(invalid="ignore"):
        correlation = known.correlation
    labels = [words.symbol(parameters[name]) for name in known.names]
    names = [words.label(parameters[name]) for name in known.names]
    size = range(len(labels))
    text = [[signed(float(r)).replace("-", "−") if np.isfinite(r) else "" for r in row] for row in correlation]
    return {
        "data": [
            {
                "type": "heatmap",
                "x": list(size),
                "y": list(size),
                "z": [numbers(np.clip(row, -1, 1), 6) for row in correlation],
                "zmin": -1,
                "zmax": 1,
                "colorscale": [list(step) for step in _SCALE],
                "xgap": 1,
                "ygap": 1,
                "text": [[f"{a} and {b}: {t}" for b, t in zip(names, row)] for a, row in zip(names, text)],
                "hovertemplate": "%{text}<extra></extra>",
                "colorbar": {
                    "title": {"text": "correlation", "side": "right"},
                    "tickvals": [-1, -0.5, 0, 0.5, 1],
                    "ticktext": ["−1", "−0.5", "0", "0.5", "1"],
                    "thickness": 12,
                    "outlinewidth": 0,
                },
            }
        ],
        "layout": {
            "font": {"family": "system-ui, sans-serif", "size": 12, "color": _INK},
            "annotations": [
                {
                    "x": j, "y": i, "text": text[i][j], "showarrow": False,
                    "font": {"size": 12, "color": "#ffffff" if abs(correlation[i, j]) > _DARK else _INK},
                }
                for i in size for j in size
            ],
            "xaxis": _axis(labels) | {"side": "top"},
            "yaxis": _axis(labels) | {"autorange": "reversed", "scaleanchor": "x", "constrain": "domain"},
            "margin": {"l": 34, "r": 8, "t": 30, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "#e1e6eb",
        },
    }  # fmt: skip


def _axis(labels: list[str]) -> Figure:
    return {
        "tickvals": list(range(len(labels))),
        "ticktext": labels,
        "showgrid": False,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "rgba(0,0,0,0)",
        "fixedrange": True,
        "constrain": "domain",
        "tickfont": {"size": 14},
    }
