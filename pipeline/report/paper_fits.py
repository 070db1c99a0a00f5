"""The figures and tables of arXiv:2309.04639 about fits, 15 to 17 and Table I, with the published fits beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..inspect.pulls import pull
from ..parameters import calibrated
from ..rounding import measured
from ..storage.published import PublishedFit
from ..tables import Floats
from . import words
from .outcome import Fit, distance_history, relative_error
from .plots import BLUE, COLOURS, GREY, ORANGE, panels, symbol, thinned

#: Published seconds per iteration of 100 cm, on an A100 (arXiv:2309.04639).
PUBLISHED_SECONDS = 25.0
#: Distances below this are drawn here: float64 cannot tell them from zero.
SMALLEST = 1e-16
#: Iterations at which fits are compared in the table.
MILESTONES = (500, 1000, 2000, 5000)

_LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Family:
    """Fits of one kind of sample: `key` is what the table of published fits calls it, `figure` its number here."""

    key: str
    figure: int
    words: str
    published: str


MUONS = Family("muon_1GeV", 15, "muons", "muons of 1 GeV")
MIXED = Family("mu_pi_p_mom_range", 16, "muons, pions and protons", "muons, pions and protons")


@dataclass(frozen=True)
class PaperFit:
    """A fit of ours: its sample and family, and the seconds it took, None where not known."""

    sample: str
    family: Family
    fit: Fit
    seconds: float | None = None

    @property
    def distance(self) -> Floats | None:
        """`(iterations + 1,)` largest relative distance to the target; None where the target is not known."""
        return distance_history(self.fit.result)

    @property
    def result_distance(self) -> Floats | None:
        """`(iterations + 1,)` the same of the result that a fit ending there gives: a mean over its last iterations."""
        return distance_history(self.fit.result, int(self.fit.result.diagnostics.get("averaged_iterations", 1)))

    def twin(self, published: Sequence[PublishedFit]) -> PublishedFit | None:
        """The published fit of the same family to the same target, which must be known in all six parameters."""
        target = {p.name: p.target for p in self.fit.result.parameters}
        for other in published:
            pairs = [(value, target.get(name)) for name, value in other.target.items()]
            if other.family == self.family.key and all(t is not None and abs(v - t) < 1e-6 * v for v, t in pairs):
                return other
        return None


def parameter_curves(fits: Sequence[PaperFit], published: Sequence[PublishedFit], sample: str) -> tuple[Figure, str]:
    """Figs. 15 and 16: every parameter over its target against iteration; all fits of one family."""
    family = fits[0].family
    theirs = [p for p in published if p.family == family.key]
    methods = list(dict.fromkeys(f.fit.method for f in fits))
    targets = list(dict.fromkeys(f.fit.target for f in fits))
    figure, axes = panels(columns=3, rows=2, height=3.0)
    figure.set_size_inches(11.5, 6.6)
    for ax, parameter in zip(axes, calibrated(), strict=True):
        for other in theirs:
            ratio = other.values[parameter.name] / other.target[parameter.name]
            twins = [f for f in fits if f.twin([other])]
            colour = COLOURS[targets.index(twins[0].fit.target) % len(COLOURS)] if twins else GREY
            look: dict[str, Any] = {
                "color": colour,
                "marker": ".",
                "linewidth": 0.7,
                "alpha": 0.8,
                "zorder": 3 if twins else 2,
            }
            ax.plot(other.iterations[1:], ratio[1:], **look)
        for f in fits:
            found = [p for p in f.fit.result.parameters if p.name == parameter.name and p.free and p.target]
            if not found or parameter.name not in f.fit.result.history:
                continue
            ratio = np.asarray(f.fit.result.history[parameter.name]) / (found[0].target or np.nan)
            rows = thinned(len(ratio))
            colour = COLOURS[targets.index(f.fit.target) % len(COLOURS)]
            line = _LINES[methods.index(f.fit.method) % len(_LINES)]
            ax.plot(rows, ratio[rows], color=colour, linestyle=line, linewidth=1.3)
            if (sigma := found[0].uncertainty) is not None and np.isfinite(sigma):
                end, bar = found[0].value / (found[0].target or np.nan), sigma / abs(found[0].target or np.nan)
                ax.errorbar(rows[-1:], [end], yerr=[bar], color=colour, capsize=3, linewidth=1.3)
        ax.axhline(1.0, color="black", linewidth=0.8)
        ax.set(title=f"{symbol(parameter)} / target")
        _iterations(ax)
    _legend(figure, targets, methods, bool(theirs))
    return figure, (
        f"The six parameters over their targets against iteration, from their start values; {sample}, {_who(fits)}. "
        f"{_bars_in_words(fits)}{_published_in_words(theirs, published, family)} The axis of iterations is "
        f"linear up to 1, logarithmic beyond."
    )


def largest_errors(fits: Sequence[PaperFit], published: Sequence[PublishedFit]) -> tuple[Figure, str]:
    """Fig. 17: largest relative error over the six parameters, against iteration and against seconds."""
    methods = list(dict.fromkeys(f.fit.method for f in fits))
    families = [family for family in (MUONS, MIXED) if any(f.family is family for f in fits)]
    theirs = [p for p in published if p.family in (MUONS.key, MIXED.key)]
    figure, (by_iteration, by_time) = panels(height=4.4)
    figure.set_size_inches(11.5, 5.2)
    colours = {MUONS.key: BLUE, MIXED.key: ORANGE}
    for other in theirs:
        look: dict[str, Any] = {
            "color": colours[other.family],
            "linewidth": 0.6,
            "alpha": 0.55,
            "marker": ".",
            "markersize": 4,
        }
        by_iteration.plot(other.iterations[1:], other.distance[1:], **look)
        by_time.plot(PUBLISHED_SECONDS * other.iterations[1:], other.distance[1:], **look)
    timed = 0
    for f in fits:
        points, distance = f.distance, f.result_distance
        if points is None or distance is None:
            continue
        line = _LINES[methods.index(f.fit.method) % len(_LINES)]
        rows, shown = thinned(len(distance)), np.maximum(distance, SMALLEST)
        if (points != distance).any():
            faint: dict[str, Any] = {"color": colours[f.family.key], "linewidth": 0.5, "alpha": 0.35}
            by_iteration.plot(rows, np.maximum(points, SMALLEST)[rows], **faint)
        ours: dict[str, Any] = {"color": colours[f.family.key], "linestyle": line, "linewidth": 1.4}
        by_iteration.plot(rows, shown[rows], **ours)
        if f.seconds is not None and len(distance) > 1:
            timed += 1
            by_time.plot(rows[1:] * f.seconds / (len(distance) - 1), shown[rows[1:]], **ours)
    by_iteration.set(yscale="log", ylabel="largest |value / target - 1|")
    _iterations(by_iteration)
    by_time.set(xscale="log", yscale="log", xlabel="time [s]")
    by_time.sharey(by_iteration)
    for family in (MUONS, MIXED) if theirs else families:
        by_time.plot([], [], color=colours[family.key], linewidth=3, label=family.words)
    for number, method in enumerate(methods):
        by_time.plot([], [], color="black", linestyle=_LINES[number % len(_LINES)], label=f"{method} (this code)")
    if theirs:
        by_time.plot([], [], color="black", linewidth=0.6, marker=".", label="published")
    figure.legend(*by_time.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    kinds = " and ".join(f"{sum(f.family is k for f in fits)} of {k.words}" for k in families)
    times = (
        f"The time of {'a fit' if timed == len(fits) else f'{timed} of {len(fits)} fits, where it is known,'} is that "
        "of its work, without starting Python and reading files, shared evenly by its iterations."
        if timed
        else "The times of these fits are not known."
    )
    beside = (
        f"Thin lines with dots: {words.count(len(theirs), 'published fit')} of {MUONS.published} (blue) and of "
        f"{MIXED.published} (orange), known at the dots "
        f"only, and at {PUBLISHED_SECONDS:g} s for an iteration on an A100, which arXiv:2309.04639 quotes. "
        if theirs
        else "Published fits are left out: their table was not given. "
    )
    return figure, (
        f"Largest relative error over the fitted parameters against iteration and against time; fits of this code: "
        f"{kinds}. {_averaged_in_words(fits)}{beside}{times} "
        "Both axes along the bottom are logarithmic (the left one linear up to 1)."
    )


def _bars_in_words(fits: Sequence[PaperFit]) -> str:
    if all(p.uncertainty is None for f in fits for p in f.fit.result.parameters):
        return ""
    return "Bars at the ends: one standard uncertainty to either side. "


def _averaged_in_words(fits: Sequence[PaperFit]) -> str:
    counts = sorted({int(f.fit.result.diagnostics.get("averaged_iterations", 1)) for f in fits} - {1})
    if not counts:
        return ""
    last = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"The result of a fit by small steps is the mean over its last pass through the batches ({last} iterations): "
        "the lines are what it would give if it ended there, the faint ones its single points. "
    )


def _iterations(ax: Axes) -> None:
    ax.set_xscale("symlog", linthresh=1.0, linscale=0.3)
    # Ticks beyond the curves would stretch the axis.
    last = max(float(ax.dataLim.x1), 1.0)
    ticks = [n for n in (0, 1, 10, 100, 1000, 10000) if n <= last]
    ax.set_xticks(ticks, [str(n) for n in ticks])
    ax.set(xlabel="iteration", xlim=(0, last))


def _legend(figure: Figure, targets: Sequence[str], methods: Sequence[str], published: bool) -> None:
    ax = figure.axes[0]
    for number, target in enumerate(targets):
        ax.plot([], [], color=COLOURS[number % len(COLOURS)], linewidth=3, label=target)
    for number, method in enumerate(methods):
        ax.plot([], [], color="black", linestyle=_LINES[number % len(_LINES)], label=f"{method} (this code)")
    if published:
        ax.plot([], [], color=GREY, marker=".", linewidth=0.7, label="published, other targets")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=6)


def _who(fits: Sequence[PaperFit]) -> str:
    """How many fits by which methods, and how many of them did not converge."""
    methods: dict[str, int] = {}
    for f in fits:
        methods[f.fit.method] = methods.get(f.fit.method, 0) + 1
    text = " and ".join(f"{words.count(n, 'fit')} by {name or 'one method'}" for name, n in methods.items())
    bad = sum(not f.fit.result.converged for f in fits)
    return f"{text}, of which {bad} did not converge" if bad else f"{text}, all converged or settled"


def _published_in_words(theirs: Sequence[PublishedFit], given: Sequence[PublishedFit], family: Family) -> str:
    if theirs:
        return (
            f"Dots: {words.count(len(theirs), 'published fit')} of {family.published}, each to a target of its own "
            f"(in the colour of ours to the same target, if there is one), known at the "
            "dots only; the last dot is the end of the fit."
        )
    if given:
        return f"The table of published fits has none of {family.published}."
    return "Published fits are left out: their table was not given."


def parameter_rows() -> list[list[str]]:
    """Table I: the calibrated parameters."""
    rows = []
    for p in calibrated():
        rows.append([p.name, p.symbol, f"{p.nominal:g}", f"{p.low:g}", f"{p.high:g}", p.unit])
    return rows


PARAMETER_HEAD = ["name", "symbol", "nominal", "low", "high", "unit"]
VALUE_HEAD = [
    "sample", "target", "method", "status", "parameter", "value", "uncertainty [%]", "true value", "difference [%]",
    "pull", "unit",
]  # fmt: skip
FIT_HEAD = ["sample", "target", "method", "status", "iterations", "seconds", "seconds per iteration"]


def fit_rows(fits: Sequence[PaperFit], published: Sequence[PublishedFit]) -> tuple[list[str], list[list[str]]]:
    """Largest relative errors at some iterations, of the result that a fit ending there would give and of its single
    points: a row per fit of ours, their log-means, and the published ones of each family (median and worst).
    """
    at = [f"error at {n}" for n in MILESTONES]
    points_at = [f"single point at {n}" for n in MILESTONES]
    head = [*FIT_HEAD, *at, "error at the end", *points_at, "published end, same target"]
    rows = []
    together: dict[tuple[Family, str], list[Floats]] = {}
    for f in fits:
        distance, points = f.result_distance, f.distance
        steps = f.fit.result.iterations
        each = f.seconds / steps if f.seconds is not None and steps else None
        errors = _milestones(distance)
        end = "" if distance is None else f"{distance[-1]:.3g}"
        if distance is not None:
            together.setdefault((f.family, f.fit.method), []).append(distance)
        twin = f.twin(published)
        status = "converged" if f.fit.result.converged else "did not converge"
        seconds = ["" if s is None else f"{s:.4g}" for s in (f.seconds, each)]
        beside = "" if twin is None else f"{twin.distance[-1]:.3g}"
        singles = _milestones(points)
        rows.append(
            [f.sample, f.fit.target, f.fit.method, status, str(steps), *seconds, *errors, end, *singles, beside]
        )
    for (family, method), distances in together.items():
        if len(distances) > 1:
            length = min(map(len, distances))
            mean = np.exp(np.mean(np.log(np.maximum([d[:length] for d in distances], SMALLEST)), axis=0))
            who = [family.words, f"log-mean of {len(distances)}", method, "", "", "", ""]
            rows.append([*who, *_milestones(mean), f"{mean[-1]:.3g}", *[""] * len(points_at), ""])
    for family in (MUONS, MIXED):
        theirs = [p for p in published if p.family == family.key]
        if not theirs:
            continue
        stack = np.stack([p.distance for p in theirs])
        # Columns of the table that stand for the milestones; the last is the end of the fit.
        chosen = [1, 2, 3, 5]
        steps_text = f"{max(p.iterations[-1] for p in theirs):.0f}"
        for name, values in (("median", np.median(stack, axis=0)), ("worst", np.max(stack, axis=0))):
            who = [f"published: {family.published}", f"{name} of {len(theirs)}", "adam", "", steps_text]
            texts = [f"{values[i]:.3g}" for i in chosen]
            rows.append([*who, "", f"{PUBLISHED_SECONDS:g}", *[""] * len(at), texts[-1], *texts, ""])
    return head, rows


def value_rows(fits: Sequence[PaperFit]) -> list[list[str]]:
    """Every free parameter of every fit: value, standard uncertainty, target, difference and pull, as far as known."""
    rows = []
    for f in fits:
        for p in f.fit.result.parameters:
            if not p.free:
                continue
            error, off = relative_error(p), pull(p)
            rows.append(
                [
                    f.sample,
                    f.fit.target,
                    f.fit.method,
                    "converged" if f.fit.result.converged else "did not converge",
                    p.name,
                    measured(p.value, p.uncertainty),
                    "" if p.uncertainty is None or not p.value else f"{100 * abs(p.uncertainty / p.value):.2g}",
                    "" if p.target is None else f"{p.target:.6g}",
                    "" if error is None else f"{100 * error:+.2g}",
                    "" if off is None else f"{off:+.2f}",
                    p.unit,
                ]
            )
    return rows


def _milestones(distance: Floats | None) -> list[str]:
    return ["" if distance is None or len(distance) <= n else f"{distance[n]:.3g}" for n in MILESTONES]


def family_of(species: Sequence[Mapping[str, object]]) -> Family:
    """The family of a sample by the lengths of its species: muons, if pions and protons make less than a tenth."""
    length = {str(row["name"]): float(str(row["length_cm"])) for row in species}
    others = length.get("pions", 0.0) + length.get("protons", 0.0)
    return MUONS if others < 0.1 * sum(length.values()) else MIXED
