"""Figure of the study `bootstrap`: three uncertainties of a fit beside the spread of fits to simulated data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...parameters import table
from .. import words
from ..plots import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, symbol

Result = Mapping[str, Any]

#: Bars of a parameter lie so far apart, the first so far above its line; its fits lie lower still.
_APART, _FIRST, _FITS = 0.12, 0.3, 0.36


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
        f"{words.count(result['tracks'], 'track')}, {result['length_cm']:.0f} cm, with electronics noise), in several "
        f"ways. Dots and grey bars: {words.count(spread['fits'], 'fit')} of data simulated at the fitted values "
        f"with fresh noise, and the central 68 % of them{failed}; their standard deviation is known to "
        f"{words.percent(1 / np.sqrt(2 * (spread['fits'] - 1)))}. A grey bar that is not centred on 0 is a bias."
        f"{verdict}"
    )


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Standard uncertainties by all ways, in the unit of the parameter, and the bias in standard deviations."""
    spread, minuit, expected = result["bootstrap"], result["minuit"], result["expected"]
    kind = "Expected" if expected is None else expected["kind"].capitalize()
    others = result["others"]
    head = ["Parameter", "Unit", "Fitted", kind, *(way.capitalize() for way in others), "HESSE", "MINOS"]
    head += ["Bootstrap", "Central 68 % of the fits", "Bias / spread"]
    lines = []
    for k, name in enumerate(result["names"]):
        parameter = table()[name]

        def text(value: float, sign: str = "-", parameter: Any = parameter) -> str:
            return words.number(words.scaled(parameter, value), 3, sign)

        def ends(interval: Sequence[float] | None, middle: float = result["fitted"][k], text: Any = text) -> str:
            return "–" if interval is None else ", ".join(text(end - middle, "+") for end in interval)

        unit = spread["standard"][k]
        bias = [
            words.number(v / unit, 2, sign) for v, sign in ((spread["bias"][k], "+"), (spread["bias_error"][k], "-"))
        ]
        lines.append(
            [
                parameter.symbol,
                words.display_unit(parameter),
                words.number(words.scaled(parameter, result["fitted"][k]), 5),
                *(
                    "–" if s is None else text(s)
                    for s in (_standard(w, k) for w in (expected, *others.values(), minuit))
                ),
                ends(None if minuit is None else minuit["intervals"].get(name)),
                f"{text(unit)} ± {text(spread['standard_error'][k])}",
                ends(spread["interval"][k]),
                " ± ".join(bias),
            ]
        )
    return head, lines


def _parameter(ax: Axes, result: Result, k: int) -> None:
    """The bars of one parameter; only the first has labels for the legend."""
    spread, minuit, expected = result["bootstrap"], result["minuit"], result["expected"]
    name, middle, unit = result["names"][k], result["fitted"][k], spread["standard"][k]
    bars: list[tuple[str, str, Sequence[float] | None]] = [
        ("" if expected is None else expected["kind"], BLUE, _around(expected, name, middle, k)),
        *((way, SKY, _around(other, name, middle, k)) for way, other in result["others"].items()),
        ("Minuit, HESSE", ORANGE, _around(minuit, name, middle, k)),
        ("Minuit, MINOS", GREEN, None if minuit is None else minuit["intervals"].get(name)),
        ("central 68 % of the fits", GREY, spread["interval"][k]),
    ]
    for number, (text, colour, ends) in enumerate(bars):
        if ends is None:
            continue
        u = [(end - middle) / unit for end in ends]
        at = k - _FIRST + number * _APART
        ax.plot(u, [at, at], color=colour, marker="|", markersize=8, linewidth=2.4, label=None if k else text)
    fits = (np.array(spread["values"])[:, k] - middle) / unit
    ax.plot(
        fits, np.full(len(fits), k + _FITS), linestyle="", marker="o", markersize=3, alpha=0.5, color=PURPLE,
        markeredgewidth=0, label=None if k else "fits of simulated data",
    )  # fmt: skip


def _standard(found: Mapping[str, Any] | None, k: int) -> float | None:
    return None if found is None or found["standard"] is None else float(found["standard"][k])


def _around(found: Mapping[str, Any] | None, name: str, middle: float, k: int) -> tuple[float, float] | None:
    """One standard uncertainty to either side, in the coordinate that fits move in: the lifetime's is its inverse."""
    standard, parameter = _standard(found, k), table()[name]
    if standard is None:
        return None
    at, size = parameter.to_internal(middle), standard / parameter.derivative(middle)
    low, high = (parameter.from_internal(at + side * size) for side in (-1, 1))
    # An inverse that may be 0 has no upper end.
    return (low, high) if low < middle < high < np.inf else None
