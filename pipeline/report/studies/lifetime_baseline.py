"""Figure of the study `lifetime_baseline`: dQ/dx against drift time, and the lifetimes of all draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import words
from ..plots import BLUE, GREEN, GREY, ORANGE, PURPLE
from ..study import Result

#: Colours of the views, in their order, and of the fit of all hits.
_VIEWS = {"collected": GREY, "hits without noise": BLUE, "hits with noise": ORANGE}
_FIT = GREEN
_NAMES = {"landau_gauss": "most probable value", "truncated_mean": "truncated mean", "median": "median"}
_MARKERS = {"landau_gauss": "o", "truncated_mean": "s", "median": "^"}


def draw(result: Result) -> tuple[Figure, str]:
    """Two panels per target: the first draw, and the rates of all draws and estimators against the truth."""
    targets = result["targets"]
    figure = Figure(figsize=(9.6, 4.0 * len(targets) + 0.6), layout="constrained")
    axes = figure.subplots(len(targets), 2, squeeze=False)
    for row, target in zip(axes, targets, strict=True):
        _against_time(row[0], result, target)
        _rates(row[1], result, target)
    marks: list[Any] = [Line2D([], [], color=colour, marker="o", label=view) for view, colour in _VIEWS.items()]
    marks.append(Line2D([], [], color=_FIT, marker="D", label="fit of all hits"))
    marks.append(Line2D([], [], color="black", linestyle=":", label="truth"))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))
    return figure, _caption(result)


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Mean error, spread and stated uncertainty of 1/tau of each target, in percent."""
    head = [
        "True tau [us]",
        "Estimate",
        "Error of 1/tau [%]",
        "Spread [%]",
        "Stated [%]",
        "Pull",
        "Less all charge [%]",
    ]
    lines = []
    for target in result["targets"]:
        for row in target["summary"]:
            percents = [_percent(row[k]) for k in ("error", "spread", "stated")]
            pull = "" if row["pull"] is None else words.number(row["pull"], 2, "+")
            tau = words.number(target["values"]["electron_lifetime"], 4)
            lines.append([tau, row["name"], *percents, pull, _percent(row["shift"])])
    return head, lines


def _percent(value: float | None) -> str:
    return "" if value is None else words.number(100 * value, 2)


def _against_time(ax: Axes, result: Result, target: Result) -> None:
    """The bins of the first draw by the first estimator, with their exponentials and the true one."""
    estimator, tau = result["settings"]["estimators"][0], target["values"]["electron_lifetime"]
    for view, colour in _VIEWS.items():
        seen = target["draws"][0]["views"][view]
        fit = seen["estimators"][estimator]
        time = np.array(seen["time"])
        ax.errorbar(
            time, np.array(fit["value"]) / 1e3, yerr=np.array(fit["value_uncertainty"]) / 1e3,
            color=colour, marker="o", markersize=4, linestyle="", capsize=2,
        )  # fmt: skip
        line = np.linspace(0, time.max() * 1.05, 50)
        ax.plot(line, np.exp(fit["log_amplitude"] - fit["rate"] * line) / 1e3, color=colour, linewidth=1.3)
        if view == "collected":
            # The true lifetime through the centre of what was collected.
            weight = (np.array(fit["value"]) / np.array(fit["value_uncertainty"])) ** 2
            mean = (weight * (np.log(fit["value"]) + time / tau)).sum() / weight.sum()
            ax.plot(line, np.exp(mean - line / tau) / 1e3, color="black", linestyle=":", linewidth=1.3)
    ax.set(xlabel="drift time [μs]", ylabel="dQ/dx [10³ electrons/cm]", title=f"true lifetime {tau:g} μs, first draw")


def _rates(ax: Axes, result: Result, target: Result) -> None:
    """1/tau of every draw, less the truth, in percent of it."""
    true = 1 / target["values"]["electron_lifetime"]
    place, ticks = 0.0, []
    for estimator in result["settings"]["estimators"]:
        for view, colour in _VIEWS.items():
            found = [d["views"][view]["estimators"][estimator] for d in target["draws"]]
            _points(ax, place, found, true, colour, _MARKERS[estimator])
            if view == "hits without noise":
                ticks.append((place, _NAMES[estimator]))
            place -= 1
        place -= 0.5
    fits = [d["fit"] for d in target["draws"] if d["fit"] is not None]
    if fits:
        _points(ax, place, fits, true, _FIT, "D")
        ticks.append((place, "fit of all hits"))
        place -= 1
    ax.errorbar(0, place, xerr=100 * target["smallest"] / true, color=PURPLE, capsize=3, marker="|")
    ticks.append((place, "smallest possible"))
    ax.axvline(0, color="black", linewidth=0.9, linestyle=":")
    ax.set_yticks([t[0] for t in ticks], [t[1] for t in ticks], fontsize=8.5)
    ax.set(xlabel="1/τ − truth [% of it]", title="all draws")


def _points(ax: Axes, place: float, found: Sequence[Result], true: float, colour: str, marker: str) -> None:
    """Draws beside each other, around one place."""
    rate = 100 * (np.array([f["rate"] for f in found]) / true - 1)
    bars = 100 * np.array([f["uncertainty"] or 0.0 for f in found]) / true
    y = place + 0.6 * (np.arange(len(found)) / max(len(found) - 1, 1) - 0.5)
    ax.errorbar(rate, y, xerr=bars, color=colour, marker=marker, markersize=3.5, linestyle="", linewidth=0.9)


def _caption(result: Result) -> str:
    s = result["settings"]
    parts = len(result["parts_cm"])
    own = "tracks of their own" if parts >= s["draws"] else f"{words.count(parts, 'set')} of tracks in turn"
    length = float(np.mean([d["length_cm"] for t in result["targets"] for d in t["draws"]]))
    method = f" by the method {s['method']}" if s["method"] else ""
    return (
        f"The usual measurement of the electron lifetime. Tracks are cut into pieces of {s['piece_cm']:g} cm or more, "
        "by their true geometry, and the charge of the pixels under a piece is divided by its length. Left: "
        f"{_NAMES[s['estimators'][0]]} in bins of drift time, and the exponentials through them; dotted: the true "
        f"lifetime. Right: 1/τ of {words.count(s['draws'], 'draw')} of noise with {own}, {length:.0f} cm each. "
        "Collected: all charge that pixels see, where only the fluctuations of energy loss and the limited sample "
        "matter. In hits, "
        f"pixels with less than {result['threshold_electrons']:.0f} electrons are lost, and the more the charge has "
        "spread on its way: the charge seems to fall faster. This bias does not shrink with more track. The fit of all "
        f"hits{method} moves all its parameters and models the threshold; it knows the true deposits, which no "
        "analysis of real data does. Smallest possible: Cramér-Rao bound with all six parameters free and the deposits "
        "known, for the tracks of the first draw."
    )
