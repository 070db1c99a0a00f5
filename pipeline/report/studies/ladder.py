"""Figure of the study `ladder`: the error of every parameter against what the fit knows of the deposits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from ...parameters import table
from ...study.published_ladder import STAGES
from .. import words
from ..plots import BLUE, COLOURS, GREEN, GREY, ORANGE, symbol
from ..study import Result

_COLUMNS = 3
#: Half-width of the bars of bounds and of published fits.
_WIDE = 0.32


def draw(result: Result) -> tuple[Figure, str]:
    """A panel per parameter, and one of the tracks' distance to the truth where it is known."""
    names, stages = result["free"], list(result["campaigns"][0]["stages"])
    placed = _positions(result)
    count = len(names) + bool(placed)
    lines = -(-count // _COLUMNS)
    figure = Figure(figsize=(10.2, 3.1 * lines + 0.9), layout="constrained")
    axes = list(figure.subplots(lines, _COLUMNS, squeeze=False).flat)
    for ax, name in zip(axes, names, strict=False):
        _parameter(ax, result, stages, name)
        _logarithmic(ax)
        ax.set_title(symbol(table()[name]))
        ax.set_ylabel("√(bias² + spread²) [%]")
    if placed:
        _places(axes[len(names)], result, stages)
    for ax in axes[:count]:
        ax.set_xlim(-0.6, len(stages) - 0.4)
        ax.set_xticks(range(len(stages)), stages)
        ax.grid(axis="x", visible=False)
    for ax in axes[count:]:
        ax.set_axis_off()
    figure.legend(handles=_marks(result), loc="outside lower center", ncols=3)
    return figure, _caption(result, stages)


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Errors and pulls of every length, stage and parameter, and what 40,000 cm would make of them."""
    at = f"at {words.count(result['scaled_to_cm'])} cm"
    head = [
        "Stage",
        "Track [cm]",
        "Parameter",
        "Fits",
        "Converged",
        "Bias [%]",
        "Spread [%]",
        "√(bias² + spread²) [%]",
        "Mean pull",
        "Width",
        "Within 1 [%]",
        "Limits kept",
        f"Total {at} [%]",
        f"If the bias stays {at} [%]",
        f"Stated {at} [%]",
        "Bound [%]",
        "Published bias ± spread [%]",
        "Published total, rounded up [%]",
        "No larger",
        "Tracks to truth [μm]",
    ]
    lines = [
        _line(result, campaign, stage, name)
        for stage in result["campaigns"][0]["stages"]
        for campaign in result["campaigns"]
        for name in result["free"]
    ]
    return head, lines


def _line(result: Result, campaign: Mapping[str, Any], stage: str, name: str) -> list[str]:
    found = campaign["stages"][stage]
    p, scaled = found["parameters"][name], found["scaled"][name]
    pulls, errors = p["pulls"], p["errors_percent"]
    known, bound = result["published"][stage].get(name), result["bounds"][stage].get(name)
    place = found["position_rms_um"]
    return [
        stage,
        words.count(campaign["length_cm"]),
        table()[name].symbol,
        words.count(found["fits"]),
        words.count(found["converged"]),
        *(with_error(errors, what) for what in ("bias", "spread", "total")),
        *(with_error(pulls, what, scale) for what, scale in (("mean", 1), ("width", 1), ("coverage", 100))),
        "yes" if pulls["kept"] else "no",
        with_error(scaled, "total"),
        words.number(scaled["bias_stays"], 2) if "bias_stays" in scaled else "–",
        "–" if scaled["stated"] is None else words.number(scaled["stated"], 2),
        "–" if bound is None else _bound(bound),
        "–" if known is None else f"{known['bias']:+g} ± {known['spread']:.2g}",
        "–" if known is None else words.number(known["total"], 2),
        {None: "–", True: "yes", False: "no"}[scaled["no_larger"]],
        "–" if place is None else words.count(place),
    ]


def with_error(found: Mapping[str, Any], what: str, scale: float = 1.0) -> str:
    """Value and standard error, the error to two digits."""
    if what not in found:
        return "–"
    value, error = scale * found[what], scale * found[f"{what}_error"]
    digits = 0 if not error else max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}".replace("-", "−")


def _bound(bound: Sequence[float]) -> str:
    return " / ".join(f"{b:g}" for b in dict.fromkeys(bound))


def _parameter(ax: Axes, result: Result, stages: Sequence[str], name: str) -> None:
    """Ours by length, scaled; the published total; the bound, from the narrowest prior to the widest."""
    for x, stage in enumerate(stages):
        bound, known = result["bounds"][stage].get(name), result["published"][stage].get(name)
        if bound is not None:
            _band(ax, x, bound)
        if known is not None:
            ax.plot([x - _WIDE, x + _WIDE], [known["total"]] * 2, color=ORANGE, linewidth=2.2)
    many = len(result["campaigns"])
    for number, campaign in enumerate(result["campaigns"]):
        shift = 0.0 if many == 1 else 0.5 * (number / (many - 1) - 0.5)
        for x, stage in enumerate(stages):
            scaled = campaign["stages"][stage]["scaled"][name]
            colour = _colour(number)
            if scaled["stated"] is not None:
                ax.plot(x + shift, scaled["stated"], "_", color=colour, markersize=11, markeredgewidth=1.6)
            if scaled.get("total"):
                # Down to a tenth of the value: there is no zero on this axis.
                error = [[min(scaled["total_error"], 0.9 * scaled["total"])], [scaled["total_error"]]]
                ax.errorbar(x + shift, scaled["total"], yerr=error, color=colour, marker="o", markersize=5, capsize=3)


def _logarithmic(ax: Axes) -> None:
    """Numbers at 1, 2 and 5 of every decade, as numbers."""
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    shown = FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    ax.yaxis.set_minor_formatter(shown)
    ax.tick_params(axis="y", which="minor", labelsize=8)


def _band(ax: Axes, x: float, bound: Sequence[float]) -> None:
    low, high = min(bound), max(bound)
    ax.fill_between([x - _WIDE, x + _WIDE], low, high, color=GREY, alpha=0.3, linewidth=0)
    for value in bound:
        ax.plot([x - _WIDE, x + _WIDE], [value] * 2, color=GREY, linewidth=1.2)


def _colour(number: int) -> str:
    """Of the lengths of track, without that of the published fits."""
    colours = [BLUE, GREEN, *(c for c in COLOURS if c not in (BLUE, GREEN, ORANGE))]
    return colours[number % len(colours)]


def _positions(result: Result) -> bool:
    """Whether any fit tells how far its tracks are from the true ones."""
    return any(found["position_rms_um"] is not None for c in result["campaigns"] for found in c["stages"].values())


def _places(ax: Axes, result: Result, stages: Sequence[str]) -> None:
    """Distance of tracks to the true ones; it does not depend on the length."""
    for x, stage in enumerate(stages):
        known = result["published_position_um"].get(stage)
        if known is not None:
            ax.plot([x - _WIDE, x + _WIDE], [known] * 2, color=ORANGE, linewidth=2.2)
        for number, campaign in enumerate(result["campaigns"]):
            place = campaign["stages"][stage]["position_rms_um"]
            if place is not None:
                ax.plot(x, place, "o", color=_colour(number), markersize=5)
    ax.set_title("tracks")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("rms distance to the truth [μm]")


def _marks(result: Result) -> list[Any]:
    marks: list[Any] = [
        Line2D([], [], color=_colour(n), marker="o", label=f"fits of {words.count(c['length_cm'])} cm")
        for n, c in enumerate(result["campaigns"])
    ]
    marks.append(Line2D([], [], color=BLUE, marker="_", markersize=11, linestyle="", label="uncertainty they state"))
    marks.append(Line2D([], [], color=ORANGE, linewidth=2.2, label="published"))
    priors = ", ".join(f"{p:g}" for p in result["priors_percent"])
    marks.append(Patch(color=GREY, alpha=0.3, label=f"bound; dE/dx known to {priors} %"))
    return marks


def _caption(result: Result, stages: Sequence[str]) -> str:
    held = ", ".join(
        f"{table()[name].symbol} held at {'the truth' if share == 1 else f'{share:g} of its value'}"
        for name, share in result["settings"]["hold"].items()
    )
    counts = "; ".join(
        f"{words.count(c['length_cm'])} cm: "
        + ", ".join(f"{stage} {found['converged']} of {found['fits']}" for stage, found in c["stages"].items())
        for c in result["campaigns"]
    )
    told = "; ".join(f"{stage}: {STAGES[stage]}" for stage in stages)
    return (
        f"Errors of fits of noisy data that know less and less of the deposits ({told}){'; ' + held if held else ''}. "
        f"Every fit is counted, whether it converged or not (converged: {counts}). Points: √(bias² + spread²) with its "
        "standard error, dashes: the uncertainty that fits state, both scaled by 1 / √length to "
        f"{words.count(result['scaled_to_cm'])} cm; the table has what they would be if the bias did not fall with "
        "length. Orange: published fits (campaign report of larnd-sim-jax, July-August 2026, k_B held), both terms "
        "rounded up by half of their last digits. Grey: smallest possible uncertainty (Cramér-Rao) for straight muons "
        "in deposits of 1 cm, for priors of dE/dx of different widths; samples with struck electrons or with tracks "
        "that stop can be better. The lifetime is judged as 1/τ in pulls, as τ in errors."
    )
