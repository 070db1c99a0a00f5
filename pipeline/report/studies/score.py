"""Figure of the study `score`: the derivative of the likelihood at the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...parameters import table
from .. import words
from ..plots import BLUE, COLOURS, GREY, panels, symbol


def draw(result: Mapping[str, Any]) -> tuple[Figure, str]:
    """Mean score in standard errors, and variance of the score in units of the information, by parameter."""
    names, targets = result["names"], result["by_target"]
    figure, (left, right) = panels(2)
    width = 0.7 / len(targets)
    for number, (target, found) in enumerate(targets.items()):
        at = np.arange(len(names)) + (number - 0.5 * (len(targets) - 1)) * width
        colour = COLOURS[number % len(COLOURS)] if len(targets) > 1 else BLUE
        left.plot(at, found["mean"], linestyle="", marker="o", markersize=5, color=colour, label=target)
        pixels, draws = found["of_pixels"], found["of_draws"]
        for estimate, look in ((draws, {"marker": "o", "markersize": 3, "alpha": 0.4}), (pixels, {"marker": "s"})):
            right.errorbar(at, estimate["diagonal"], estimate["error"], linestyle="", color=colour, **look)
    left.axhspan(-3, 3, color=GREY, alpha=0.2)
    right.axhspan(0.9, 1.1, color=GREY, alpha=0.2)
    for ax, middle, text in ((left, 0, "mean score / standard error"), (right, 1, "variance / expected information")):
        ax.axhline(middle, color="black", linewidth=0.8)
        ax.set_xticks(range(len(names)), [symbol(table()[n]) for n in names])
        ax.set_ylabel(text)
    if len(targets) > 1:
        left.legend(ncols=2)
    draws = next(iter(targets.values()))["draws"]
    sample = result["deposits"]
    return figure, (
        f"Derivative of the log-likelihood at the true parameters, over {words.count(draws, 'noise draw')} of "
        f"{words.count(sample['tracks'], 'track')}, {sample['length_cm']:.0f} cm. Left: its mean in standard errors, "
        "zero for a likelihood without bias (grey: 3). Right: its variance in units of the expected information, one "
        "where the stated uncertainty is right (grey: 10 %); squares: summed over pixels, whose noise is independent; "
        "pale dots: of whole draws."
    )


def rows(result: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Means and variances, target by target."""
    head = ["Target", "Parameter", "Mean / error", "Variance / information, draws", "…, pixels"]
    return head, [
        [
            target,
            table()[name].symbol,
            f"{found['mean'][k]:+.2f}",
            f"{found['of_draws']['diagonal'][k]:.3f} ± {found['of_draws']['error']:.3f}",
            f"{found['of_pixels']['diagonal'][k]:.3f} ± {found['of_pixels']['error']:.3f}",
        ]
        for target, found in result["by_target"].items()
        for k, name in enumerate(result["names"])
    ]
