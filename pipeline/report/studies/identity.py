"""Figure of the study `identity`: confusion matrices, calibration of the probabilities, muons against pions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import words
from ..plots import BLUE, COLOURS, GREEN, ORANGE
from ..study import Result

_WAYS = {"likelihood": "dE/dx against range", "logistic": "logistic regression", "boosting": "boosted trees"}
_WAY_COLOURS = {"likelihood": ORANGE, "logistic": BLUE, "boosting": GREEN}
_SAMPLES = {"generator": "examples", "sample": "the sample"}


def draw(result: Result) -> tuple[Figure, str]:
    """A row of confusion matrices per set of tracks; below, calibration by species, and pions against muons."""
    samples = {name: s for name, s in result["samples"].items() if sum(s["tracks"].values())}
    ways = list(next(iter(samples.values()))["ways"])
    columns = max(len(ways), 2)
    figure = Figure(figsize=(3.6 * columns, 3.4 * (len(samples) + 1) + 0.4), layout="constrained")
    axes = figure.subplots(len(samples) + 1, columns, squeeze=False)
    for row, (name, sample) in zip(axes, samples.items(), strict=False):
        for ax, way in zip(row, ways, strict=False):
            _confusion(ax, result["species"], sample["ways"][way]["confusion"], f"{_SAMPLES[name]}: {_WAYS[way]}")
        for ax in row[len(ways) :]:
            ax.set_visible(False)
    best = min(ways, key=lambda way: samples["generator"]["ways"][way]["loss"])
    _calibration(axes[-1][0], result["species"], samples["generator"]["ways"][best]["calibration"], _WAYS[best])
    _rejection(axes[-1][1], samples["generator"]["ways"])
    for ax in axes[-1][2:]:
        ax.set_visible(False)
    return figure, _caption(result, samples, best)


def rows(result: Result) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Efficiency and purity of each species, by set of tracks and way."""
    head = ["Tracks", "By", "Species", "Number", "Efficiency [%]", "contained [%]", "leaving [%]", "Purity [%]"]
    head.append("Mean −ln p")
    lines = []
    for name, sample in result["samples"].items():
        for way, found in sample["ways"].items():
            for k, kind in enumerate(result["species"]):
                if not sample["tracks"][kind]:
                    continue
                shares = [found[part][k][k] for part in ("confusion", "contained", "leaving")]
                loss = words.number(found["loss"], 3) if k == 0 and found["loss"] is not None else ""
                cells = [_percent(share) for share in (*shares, found["purity"][k])]
                lines.append([_SAMPLES[name], _WAYS[way], kind, str(sample["tracks"][kind]), *cells, loss])
    return head, lines


def _percent(value: float | None) -> str:
    return "" if value is None else words.number(100 * value, 3)


def _confusion(ax: Axes, species: Sequence[str], matrix: Any, title: str) -> None:
    """Shares of the true species in percent, as colours and numbers."""
    values = np.array([[np.nan if v is None else v for v in row] for row in matrix])
    ax.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (i, k), value in np.ndenumerate(values):
        if np.isfinite(value):
            ax.text(k, i, f"{100 * value:.0f}", ha="center", va="center", color="white" if value > 0.5 else "black")
    names = list(species)
    ax.set_xticks(range(len(names)), names, fontsize=8, rotation=30)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.grid(False)
    ax.set(xlabel="taken for", ylabel="true species", title=title)


def _calibration(ax: Axes, species: Sequence[str], found: Any, way: str) -> None:
    """How many tracks are of a species, against the probability that was stated."""
    ax.plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1)
    for name, colour in zip(species, COLOURS, strict=False):
        bins = found.get(name, [])
        stated, true, error = (np.array([b[key] for b in bins]) for key in ("stated", "true", "error"))
        ax.errorbar(stated, true, yerr=error, color=colour, marker="o", markersize=3.5, linewidth=1, label=name)
    ax.set(xlabel="stated probability", ylabel="share of tracks that are", title=f"calibration: {way}")
    ax.legend(fontsize=8)


def _rejection(ax: Axes, ways: Any) -> None:
    """Pions that are kept with the muons by a cut on their probabilities; dashed: of tracks that end inside."""
    for way, found in ways.items():
        for part, style in (("all", "-"), ("contained", "--")):
            curve = found["pion_rejection"][part]
            if curve is None:
                continue
            label = _WAYS[way] if part == "all" else None
            ax.plot(curve["muons"], curve["pions"], color=_WAY_COLOURS[way], linestyle=style, label=label)
    ax.plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1)
    ax.set(xlabel="muons kept", ylabel="pions kept", title="muons against pions")
    ax.legend(fontsize=8)


def _caption(result: Result, samples: Any, best: str) -> str:
    s = result["settings"]
    tracks = "; ".join(
        f"{_SAMPLES[name]}: {', '.join(words.count(n, kind) for kind, n in sample['tracks'].items() if n)}"
        for name, sample in samples.items()
    )
    pions = samples["generator"]["ways"][best]["pions"]
    share = (
        ""
        if pions["stated"] is None
        else f" Among muons with 10 % pions, {_WAYS[best]} with that prior adds up to {100 * pions['stated']:.1f} % of "
        "pions."
    )
    return (
        f"Which particle reconstructed tracks of {s['min_length_cm']:g} cm or more are taken for, in percent of each "
        f"true species ({tracks}). All species are taken to be as frequent. Examples are simulated tracks; each is "
        "identified by what the examples of other events teach, the sample by what all teach. Likelihood: dE/dx "
        "against residual range alone, in both directions, stopping or not. The others know also length, shape, "
        "kinks, and charge around the track. Below: whether as many tracks are of a species as is stated (bars: "
        "binomial), and how many pions stay with the muons when their ratio is cut upon (dashed: tracks that end "
        f"inside). A muon and a pion that cross differ by nothing that is seen.{share}"
    )
