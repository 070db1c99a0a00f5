"""Figures of the study `basin`: what becomes of starts, where they lie, and the objectives along lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..parameters import table
from . import words
from .plots import BLUE, GREEN, GREY, ORANGE, SKY, Drawing, panels, symbol

Result = Mapping[str, Any]

#: Colour of each outcome, and what it is called.
_LOOK = {
    "arrived": (GREEN, "at the target"),
    "under_way": (SKY, "under way to it"),
    "stuck": (ORANGE, "stuck, or a bent valley"),
    "failed": ("black", "failed or ran off"),
}
#: Colour of each sample: with the cut, and without.
_SAMPLES = (BLUE, ORANGE)
_COLUMNS = 4


def drawings(studies: Sequence[Result], stem: Callable[[str, str | None], str]) -> list[Drawing]:
    """The supplementary figures of every result of the study; `stem(figure, sample)` names its files."""
    found = []
    for study in studies:
        if study["study"] != "basin":
            continue
        made = [("Starts and what becomes of them", shares(study))]
        made += [(f"Starts in a plane: {sample['name']}", plane(study, sample)) for sample in study["samples"]]
        made.append(("Objectives along lines through the target", lines(study)))
        for number, (title, (figure, caption)) in enumerate(made, start=1):
            name = stem(f"figS{number}", study["sample"])
            found.append(Drawing(name, f"Fig. S{number}. {title}", caption, figure))
    return found


def shares(result: Result) -> tuple[Figure, str]:
    """What becomes of starts at each distance: one panel per method, bars with the cut and without."""
    methods, samples = result["methods"], result["samples"]
    distances = result["settings"]["distances"]
    figure, axes = _grid(len(methods), 2.5)
    width = 0.8 / len(samples)
    for ax, method in zip(axes, methods, strict=False):
        for n, sample in enumerate(samples):
            x = np.arange(len(distances)) + (n - 0.5 * (len(samples) - 1)) * width
            base = np.zeros(len(distances))
            for outcome, (colour, _) in _LOOK.items():
                share = np.array([_share(sample, method["name"], d, outcome) for d in distances])
                ax.bar(x, share, 0.92 * width, bottom=base, color=colour, hatch="///" if n else None, **_EDGE)
                base += share
        ax.set_xticks(range(len(distances)), [f"{d:g}" for d in distances])
        ax.set(title=_method(method), ylim=(0, 1), xlabel="distance of the start")
        ax.title.set_fontsize(9.5)
        ax.grid(False)
    for ax in axes[::_COLUMNS]:
        ax.set_ylabel("share of starts")
    marks = [Patch(facecolor=colour, label=text) for colour, text in _LOOK.values()]
    marks += [
        Patch(facecolor=GREY, hatch="///" if n else None, label=s["name"], **_EDGE) for n, s in enumerate(samples)
    ]
    _legend(figure, axes, len(methods), marks)
    return figure, (
        f"What becomes of fits from {words.count(result['settings']['starts'], 'start')} at each distance, for every "
        f"method ({_samples(result)}). All six parameters are free; data are noiseless. {_distance()} "
        f"{_outcomes(result)}"
    )


#: Edges of bars; hatches take their colour.
_EDGE: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.6}


def plane(result: Result, sample: Result) -> tuple[Figure, str]:
    """Starts projected on the plane of two parameters, on contours of the objective in that plane."""
    methods, grid = result["methods"], sample["plane"]
    x_name, y_name = grid["parameters"]
    column = {name: k for k, name in enumerate(result["target"])}
    u = np.array(grid["u"])
    figure, axes = _grid(len(methods), 2.7)
    for ax, method in zip(axes, methods, strict=False):
        costs = np.array([[np.nan if c is None else c for c in row] for row in grid["costs"][method["name"]]])
        _contours(ax, u, costs)
        for start in sample["starts"]:
            if start["method"] == method["name"]:
                _walk(ax, start, column[x_name], column[y_name])
        ax.plot(0, 0, marker="+", color="black", markersize=11, markeredgewidth=2, zorder=5)
        reach = 1.1 * max(u[-1], *result["settings"]["distances"])
        ax.set(title=_method(method), xlim=(-reach, reach), ylim=(-reach, reach), xlabel=f"$u$ of {_symbol(x_name)}")
        ax.title.set_fontsize(9.5)
        ax.grid(False)
    for ax in axes[::_COLUMNS]:
        ax.set_ylabel(f"$u$ of {_symbol(y_name)}")
    marks: list[Any] = [
        Line2D([], [], color=colour, marker="o", linestyle="", label=text) for colour, text in _LOOK.values()
    ]
    marks.append(Line2D([], [], color="black", marker="+", linestyle="", markersize=10, label="target"))
    _legend(figure, axes, len(methods), marks)
    return figure, (
        "Starts (dots), coloured by their outcome, and the way from there to the end of the fit (lines), projected "
        f"on two of the six parameters; {_sample(sample)}. Grey: the objective in this plane through the target "
        f"(dark: small), in 12 steps of its square root, from {words.count(len(u) ** 2, 'point')}. {_distance()} "
        f"{_outcomes(result)}"
    )


def lines(result: Result) -> tuple[Figure, str]:
    """Every objective along a line for each parameter, with its false minima."""
    methods, samples = result["methods"], result["samples"]
    names = list(result["target"])
    figure = Figure(figsize=(9.6, 1.25 * len(methods) + 0.9), layout="constrained")
    axes = figure.subplots(len(methods), len(names), sharex=True, sharey=True, squeeze=False)
    for row, method in zip(axes, methods, strict=True):
        for ax, name in zip(row, names, strict=True):
            for sample, colour in zip(samples, _SAMPLES, strict=False):
                line = next(line for line in sample["lines"] if line["parameter"] == name)
                _profile(ax, line, method["name"], colour)
            ax.tick_params(labelsize=8)
            ax.set(ylim=(-0.08, 1.08), yticks=[])
        row[0].set_ylabel(_method(method, broken=True), fontsize=8)
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(_symbol(name))
    figure.supxlabel("distance u from the target (range of the table: −1 to 1)", fontsize=10)
    marks = [Line2D([], [], color=c, label=s["name"]) for c, s in zip(_SAMPLES, samples, strict=False)]
    marks.append(Line2D([], [], color="black", marker="v", linestyle="", label="false minimum"))
    figure.legend(handles=marks, loc="outside upper center", ncols=3)
    counts = ", ".join(
        f"{sum(len(line['minima'][method['name']]) for sample in samples for line in sample['lines'])} {method['name']}"
        for method in methods
    )
    points = words.count(result["settings"]["line_points"], "point")
    return figure, (
        "What each method makes small, along lines through the target on which one parameter moves and the five "
        f"others stand at their true values: its square root, scaled to its own height ({points} on a line; "
        f"{_samples(result)}). "
        "A false minimum is one, not the nearest to the target, from which the curve rises to both sides by more "
        f"than 1 % of its height. Found: {counts}. {_distance()}"
    )


def _grid(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Panels for `count` methods; those that are left over show nothing."""
    figure, axes = panels(_COLUMNS, -(-count // _COLUMNS), height)
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes


def _legend(figure: Figure, axes: Sequence[Axes], used: int, marks: list[Any]) -> None:
    """In a panel that is left over, or below."""
    if used < len(axes):
        axes[used].legend(handles=marks, loc="center left", fontsize=9)
    else:
        figure.legend(handles=marks, loc="outside lower center", ncols=3)


def _share(sample: Result, method: str, distance: float, outcome: str) -> float:
    ends = [s["outcome"] for s in sample["starts"] if s["method"] == method and s["distance"] == distance]
    return ends.count(outcome) / max(len(ends), 1)


def _contours(ax: Axes, u: Any, costs: Any) -> None:
    finite = np.isfinite(costs)
    if not finite.any() or np.ptp(costs[finite]) == 0:
        return
    # The square root of a bowl is a cone, whose contours lie evenly.
    height = np.sqrt(costs - costs[finite].min())
    ax.contourf(u, u, np.ma.masked_invalid(height), levels=12, cmap="Greys_r", alpha=0.55, zorder=0)


def _walk(ax: Axes, start: Result, x: int, y: int) -> None:
    colour = _LOOK[start["outcome"]][0]
    at, end = start["start_u"], start["end_u"]
    if end is not None:
        ax.plot([at[x], end[x]], [at[y], end[y]], color=colour, linewidth=0.9, zorder=3)
    ax.plot(at[x], at[y], marker="o", color=colour, markersize=5, markeredgecolor="white", zorder=4)


def _profile(ax: Axes, line: Result, method: str, colour: str) -> None:
    u = np.array(line["u"])
    costs = np.array([np.nan if c is None else c for c in line["costs"][method]], dtype=np.float64)
    if not np.isfinite(costs).any():
        return
    low, height = np.nanmin(costs), np.nanmax(costs) - np.nanmin(costs)
    # The square root of a bowl is a V, in which shallow minima beside a high wall are still seen.
    scaled = np.sqrt((costs - low) / (height or 1.0))
    ax.plot(u, scaled, color=colour, linewidth=1.3)
    for minimum in line["minima"][method]:
        k = int(np.argmin(np.abs(u - minimum)))
        ax.plot(u[k], scaled[k], marker="v", color=colour, markeredgecolor="black", markersize=6, zorder=4)
    ax.axvline(0, color="black", linewidth=0.6, linestyle=":")


def _symbol(name: str) -> str:
    return symbol(table()[name])


def _method(method: Result, *, broken: bool = False) -> str:
    """The name, and what the method makes small where the name does not tell."""
    name, objective = str(method["name"]), str(method["objective"])
    if not name.endswith(objective):
        between = "\n" if broken or len(name) + len(objective) > 20 else " "
        return f"{name}{between}({objective})"
    return name.replace("_", "\n", 1) if broken else name


def _sample(sample: Result) -> str:
    tracks = words.count(sample["tracks"], "track")
    return f"{sample['name']}: {sample['length_cm']:.0f} cm, {tracks}, {words.count(sample['events'], 'event')}"


def _samples(result: Result) -> str:
    return "; ".join(map(_sample, result["samples"]))


def _distance() -> str:
    return (
        "Distances are logarithmic: u = ±1 is the upper or lower end of a parameter's range in Table I, and the "
        "distance of a point is the largest |u| of the six."
    )


def _outcomes(result: Result) -> str:
    s = result["settings"]
    kinds = {method["optimiser"] for method in result["methods"]}
    limits = []
    if "adam" in kinds:
        limits.append(f"{100 * s['adam_tolerance']:g} % after {words.count(s['adam_iterations'], 'step')} of adam")
    if "levenberg_marquardt" in kinds:
        limits.append(f"{s['tolerance']:g} for Gauss-Newton steps")
    return (
        f"At the target: the largest relative error of the six is at most {', '.join(limits)}. Under way: it is not, "
        "but along the straight line from the end of the fit to the target, looked at in nine places, the objective "
        "nowhere rises by more than a tenth of what still separates the two. Stuck: it does, which may also be a bent "
        "valley. Failed: no hits were left to compare, or the fit ran off to a distance above 10."
    )
