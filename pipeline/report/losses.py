"""Methods that fitted the same target, side by side: what they make small, how fast, and where they end."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..config.methods import LIKELIHOODS
from ..storage.timings import Timing
from ..tables import Floats
from . import curves, words
from .curves import COLOURS, Figure, axis
from .outcome import Fit, distance_history, largest_error

#: What each objective makes small.
LOSSES: Mapping[str, str] = {
    "likelihood": "Minus the logarithm of the probability of what every pixel recorded, and of pixels that recorded "
    "nothing, with the noise of the electronics in it: the one that also tells how well the values are known.",
    "marginal_likelihood": "The same of all that the segments may have been: their energies, and their places if "
    "these are fitted, are not known and integrated over.",
    "matched_residuals": "Every simulated hit is compared with the recorded hit of the same event, pixel and order: "
    "differences of charge and time, squared where small and counting less where large.",
    "soft_dtw": "The charges and times of the hits of an event, ordered by place, are aligned with the recorded ones, "
    "either stretched where needed (soft dynamic time warping, the loss of arXiv:2309.04639).",
    "chamfer": "Mean distance in place, depth and charge between every hit and the nearest of the other side.",
    "energy_distance": "The hits of each side are a cloud of charge in space: the energy distance of the two clouds.",
    "mmd": "The hits of each side are a cloud of charge in space: the difference of the clouds, smoothed by a kernel "
    "of fixed width (maximum mean discrepancy).",
    "space_match": "Every hit is compared, in charge and time, with the hit of the other side that is nearest on the "
    "plane of pixels.",
    "multi_scale": "The charge in space is blurred over several lengths and compared, so that charge far from where it "
    "should be is still drawn there.",
}

#: How each optimiser makes it small.
OPTIMISERS: Mapping[str, str] = {
    "fisher_scoring": "Something simpler first leads near (residuals of matched hits, or wider noise); from there "
    "steps on all pixels at once, as long as the information in the data says.",
    "levenberg_marquardt": "Steps on all hits at once, from derivatives of every one, damped where needed.",
    "adam": "Many small steps along the gradient, of one batch of tracks at a time.",
}


def settings_of(fit: Fit) -> Mapping[str, Any]:
    """The settings of the method of a fit, as far as the fit recorded them."""
    method = fit.provenance.get("config", {}).get("method", {})
    found: Any = method.get(fit.method) if isinstance(method, dict) else None
    return found if isinstance(found, dict) else {}


def in_batches(fit: Fit) -> bool:
    """Whether the history of a fit is that of one batch of tracks after the other."""
    settings = settings_of(fit)
    return settings.get("optimiser") == "adam" and bool(settings.get("adam", {}).get("batch_length_cm"))


def counts_hits(fit: Fit) -> bool:
    """Whether the counts in the history of a fit are those of all hits with and without a partner: one batch after the
    other says nothing about the fit, and a likelihood pairs no hits."""
    return settings_of(fit).get("objective") not in LIKELIHOODS and not in_batches(fit)


def compared(fits: Sequence[Fit]) -> list[Fit]:
    """The fits of targets that several methods fitted."""
    methods: dict[str, set[str]] = {}
    for fit in fits:
        methods.setdefault(fit.target, set()).add(fit.method)
    return [fit for fit in fits if len(methods[fit.target]) > 1]


def seconds_of(fit: Fit, timings: Iterable[Timing]) -> float | None:
    """Seconds that a fit took; None where not known."""
    return next((t.seconds for t in timings if (t.stage, t.target, t.method) == ("fit", fit.target, fit.method)), None)


def by_method(fits: Sequence[Fit]) -> dict[str, list[Fit]]:
    """Fits by their method, in order of appearance."""
    found: dict[str, list[Fit]] = {}
    for fit in fits:
        found.setdefault(fit.method, []).append(fit)
    return found


def table(fits: Sequence[Fit], timings: Sequence[Timing]) -> list[dict[str, Any]]:
    """One row per method: what it is, how its fits ended and what they took."""
    rows = []
    for n, (method, members) in enumerate(by_method(fits).items()):
        settings = settings_of(members[0])
        loss, optimiser = str(settings.get("objective", "")), str(settings.get("optimiser", ""))
        # Of the values that the fit gives, which may be a mean over its last iterations.
        distances = [abs(worst[1]) for fit in members if (worst := largest_error(fit.result)) is not None]
        seconds = [s for fit in members if (s := seconds_of(fit, timings)) is not None]
        iterations = [fit.result.iterations for fit in members]
        rows.append(
            {
                "method": method,
                "colour": COLOURS[n % len(COLOURS)],
                "loss": loss.replace("_", " ") or "not recorded",
                "meaning": LOSSES.get(loss, ""),
                "optimiser": optimiser.replace("_", " ") or "not recorded",
                "how": OPTIMISERS.get(optimiser, ""),
                "converged": f"{sum(fit.result.converged for fit in members)} of {len(members)}",
                "iterations": words.count(float(np.median(iterations))),
                "median": words.percent(float(np.median(distances))) if distances else "–",
                "worst": words.percent(float(np.max(distances))) if distances else "–",
                "seconds": words.number(float(np.median(seconds)), 3) if seconds else None,
                "each": words.number(float(np.median(seconds)) / max(float(np.median(iterations)), 1.0), 3)
                if seconds
                else None,
            }
        )
    return rows


def distance_by_iteration(fits: Sequence[Fit]) -> Figure | None:
    """Largest relative distance to the target against iteration, one colour per method; None without targets."""
    lines = [(fit, np.arange(len(d)), d) for fit, d in _distances(fits)]
    if not lines:
        return None
    x, logarithmic = curves.iterations_axis(max(len(d) for *_, d in lines) - 1, min(len(d) for *_, d in lines) - 1)
    moved = [(fit, np.maximum(at, curves.START) if logarithmic else at, d) for fit, at, d in lines]
    return _figure(moved, fits, x, "largest |value / target − 1|", "iteration %{x}")


def distance_by_seconds(fits: Sequence[Fit], timings: Sequence[Timing]) -> Figure | None:
    """The same against seconds, each iteration taken to last as long as the others; None where no times are known."""
    lines = []
    for fit, d in _distances(fits):
        seconds = seconds_of(fit, timings)
        if seconds is not None and seconds > 0:
            each = seconds / max(len(d) - 1, 1)
            # A logarithmic axis has no zero: the start stands half an iteration after it.
            lines.append((fit, np.maximum(np.arange(len(d)), curves.START) * each, d))
    if not lines:
        return None
    x = axis("seconds", type="log", dtick=1)
    return _figure(lines, fits, x, "largest |value / target − 1|", "%{x:.3g} s")


def objective_by_iteration(fits: Sequence[Fit]) -> Figure | None:
    """The objective over its value at the start: units differ from loss to loss.

    Likelihoods are left out: they have no natural zero, and their fits begin with another objective.
    """
    lines = []
    for fit in fits:
        if settings_of(fit).get("objective") in LIKELIHOODS:
            continue
        values = np.asarray(fit.result.history.get("objective", ()), dtype=np.float64)
        # Soft-DTW falls below zero, which has no place on a logarithmic axis.
        if len(values) and np.isfinite(values[0]) and (values >= 0).all():
            lines.append((fit, np.arange(len(values)), np.maximum(values / values[0], curves.SMALLEST_DISTANCE)))
    if not lines:
        return None
    x, logarithmic = curves.iterations_axis(max(len(d) for *_, d in lines) - 1, min(len(d) for *_, d in lines) - 1)
    moved = [(fit, np.maximum(at, curves.START) if logarithmic else at, d) for fit, at, d in lines]
    return _figure(moved, fits, x, "objective / its start value", "iteration %{x}")


def _distances(fits: Sequence[Fit]) -> list[tuple[Fit, Floats]]:
    found = [(fit, d) for fit in fits if (d := distance_history(fit.result)) is not None and len(d)]
    return [(fit, np.maximum(d, curves.SMALLEST_DISTANCE)) for fit, d in found]


def _figure(lines: Sequence[tuple[Fit, Any, Floats]], fits: Sequence[Fit], x: Figure, title: str, hover: str) -> Figure:
    colour = {method: COLOURS[n % len(COLOURS)] for n, method in enumerate(by_method(fits))}
    named: set[str] = set()
    data: list[Figure] = []
    for fit, at, values in lines:
        drawn = curves.thinned(len(values), len(lines))
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(values) <= 60 else "lines",
                "name": html.escape(fit.method),
                "legendgroup": f"method {html.escape(fit.method)}",
                "showlegend": fit.method not in named,
                "x": curves.numbers(np.asarray(at, dtype=np.float64)[drawn], 6),
                "y": curves.numbers(values[drawn], 6),
                "line": {"color": colour[fit.method], "width": 1.6},
                "marker": {"size": 5},
                "hovertemplate": f"{html.escape(fit.title)}<br>{hover}<br>%{{y:.2e}}<extra></extra>",
            }
        )
        named.add(fit.method)
        data += _end(fit, data[-1])
    layout = {
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1f2933"},
        "xaxis": x,
        "yaxis": axis(title, type="log", **curves.log_ticks(np.concatenate([values for *_, values in lines]))),
        "margin": {"l": 60, "r": 12, "t": 12, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
        "separators": ".\u202f",
    }
    return {"data": data, "layout": layout}


def _end(fit: Fit, curve: Figure) -> list[Figure]:
    """A red cross at the end of a fit that did not converge."""
    if fit.result.converged:
        return []
    return [
        {
            "type": "scatter", "mode": "markers", "name": curve["name"], "legendgroup": curve["legendgroup"],
            "showlegend": False, "x": curve["x"][-1:], "y": curve["y"][-1:],
            "marker": {"size": 11, "symbol": "x", "color": curves.RED},
            "hovertemplate": f"{html.escape(fit.title)}<br>did not converge<extra></extra>",
        }
    ]  # fmt: skip
