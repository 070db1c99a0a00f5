"""Figure of the study `bootstrap`: three uncertainties of a fit beside the spread of fits to simulated data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...parameters import table
from .. import words
from ..plots import BLUE, GREEN, GREY, ORANGE, PURPLE, symbol

Result = Mapping[str, Any]

#: Heights of the four bars of a parameter, and where its fits lie.
_HEIGHTS = (0.27, 0.13, -0.01, -0.15)
_FITS = -0.31


def draw(result: Result) -> tuple[Figure, str]:
    """One line per parameter: intervals around the fitted value, in standard deviations of the fits."""
    names, spread, minuit = result["names"], result["bootstrap"], result["minuit"]
    figure = Figure(figsize=(9.6, 0.95 * len(names) + 1.5), layout="constrained")
    ax = figure.subplots()
    for k in range(len(names)):
        _parameter(ax, result, k)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(names)), [symbol(table()[n]) for n in names])
    ax.set_ylim(len(names) - 0.45, -0.55)
    ax.grid(False, axis="y")
    ax.set_xlabel("value − fitted value [standard deviations of the fits]")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    failed = f"; {words.count(spread['failed'], 'more fit')} failed" if spread["failed"] else ""
    verdict = ""
    if minuit is not None:
        verdict = f" Minuit made {words.count(minuit['evaluations'], 'evaluation')} and "
        verdict += "has no complaints." if minuit["valid"] else "complains: " + " ".join(minuit["complaints"])
    return figure, (
        f"Uncertainty of one fit (method {result['settings']['method']}, "
        f"{words.count(result['tracks'], 'track')}, {result['length_cm']:.0f} cm, with electronics noise), in four "
        f"ways. Dots and grey bars: {words.count(spread['fits'], 'fit')} of data simulated at the fitted values "
        f"with fresh noise, and the central 68 % of them{failed}; their standard deviation is known to "
        f"{words.percent(1 / np.sqrt(2 * (spread['fits'] - 1)))}. A grey bar that is not centred on 0 is a bias."
        f"{verdict}"
    )


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Standard uncertainties by all ways, in the unit of the parameter, and the bias in standard deviations."""
    spread, minuit, expected = result["bootstrap"], result["minuit"], result["expected"]
    kind = "Expected" if expected is None else expected["kind"].capitalize()
    head = ["Parameter", "Unit", "Fitted", kind, "HESSE", "MINOS", "Bootstrap", "Bias / spread"]
    lines = []
    for k, name in enumerate(result["names"]):
        parameter = table()[name]

        def text(value: float, sign: str = "-", parameter: Any = parameter) -> str:
            return words.number(words.scaled(parameter, value), 3, sign)

        interval = None if minuit is None else minuit["intervals"].get(name)
        ends = [] if interval is None else [text(end - result["fitted"][k], "+") for end in interval]
        unit = spread["standard"][k]
        bias = [
            words.number(v / unit, 2, sign) for v, sign in ((spread["bias"][k], "+"), (spread["bias_error"][k], "-"))
        ]
        lines.append(
            [
                parameter.symbol,
                words.display_unit(parameter),
                words.number(words.scaled(parameter, result["fitted"][k]), 5),
                *("–" if s is None else text(s) for s in (_standard(expected, k), _standard(minuit, k))),
                ", ".join(ends) or "–",
                f"{text(unit)} ± {text(spread['standard_error'][k])}",
                " ± ".join(bias),
            ]
        )
    return head, lines


def _parameter(ax: Axes, result: Result, k: int) -> None:
    """The bars of one parameter; only the first has labels for the legend."""
    spread, minuit, expected = result["bootstrap"], result["minuit"], result["expected"]
    middle, unit = result["fitted"][k], spread["standard"][k]
    bars: list[tuple[str, str, Sequence[float] | None]] = [
        ("" if expected is None else expected["kind"], BLUE, _around(expected, middle, k)),
        ("Minuit, HESSE", ORANGE, _around(minuit, middle, k)),
        ("Minuit, MINOS", GREEN, None if minuit is None else minuit["intervals"].get(result["names"][k])),
        ("central 68 % of the fits", GREY, spread["interval"][k]),
    ]
    for height, (text, colour, ends) in zip(_HEIGHTS, bars, strict=True):
        # The y axis points down.
        at = k - height
        if ends is None:
            continue
        u = [(end - middle) / unit for end in ends]
        ax.plot(u, [at, at], color=colour, marker="|", markersize=9, linewidth=2.6, label=None if k else text)
    fits = (np.array(spread["values"])[:, k] - middle) / unit
    ax.plot(
        fits, np.full(len(fits), k - _FITS), linestyle="", marker="o", markersize=3, alpha=0.5, color=PURPLE,
        markeredgewidth=0, label=None if k else "fits of simulated data",
    )  # fmt: skip


def _standard(found: Mapping[str, Any] | None, k: int) -> float | None:
    return None if found is None or found["standard"] is None else float(found["standard"][k])


def _around(found: Mapping[str, Any] | None, middle: float, k: int) -> tuple[float, float] | None:
    standard = _standard(found, k)
    return None if standard is None else (middle - standard, middle + standard)
