"""Residuals of hits: simulated minus recorded charge and time, as maps of the anode planes and as histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..tables import Bools, Comparison, Floats, Ints
from . import unmatched, words
from .curves import Figure, axis, numbers
from .outcome import Fit

#: Smallest ends of the colour scales: anything below is far less than what the readout resolves, and drawn as nothing.
_SMALLEST = {"adc": 0.01, "t": 0.001}
#: Diverging and safe for the colour-blind; no red, which means "did not converge".
_SCALE = ((0.0, "#08519c"), (0.25, "#6baed6"), (0.5, "#ffffff"), (0.75, "#fd9a3c"), (1.0, "#a34700"))
#: Where there are no hits, so that it can be told from a residual of nothing.
_EMPTY = "#e1e6eb"
_INK = "#1f2933"
_BAR = {"fitted": "#0072b2", "initial": "#8c98a4"}
_BINS = 60
#: Cells and marks on all maps of a page together: they bound its size.
_MOST_CELLS, _MOST_MARKS = 60_000, 8_000
#: Cells along a side of a plane: more could not be told apart.
_MOST_ALONG = 140
#: A residual this many times the width of the core is a tail.
_TAIL = 8.0


def differences(comparison: Comparison) -> Floats:
    """`(m, k)` model minus data of the matched hits."""
    return np.asarray((comparison.model - comparison.data)[comparison.matched])


#: The points of a fit at which hits are compared, and what the page calls them.
STAGES = {"fitted": "at the fitted values", "initial": "at the start values"}


def section(fits: Sequence[Fit], geometry: DetectorGeometry) -> dict[str, Any]:
    """What the section of hits shows: the fits to choose from, and figures and tables of every choice."""
    shown = [fit for fit in fits if fit.comparison]
    everything = [fit.comparison[stage] for fit in shown for stage in STAGES if stage in fit.comparison]
    size, marks = cell_size(everything, geometry), most_marks(everything)
    choices: list[dict[str, Any]] = [
        {
            "key": f"{n}-{stage}",
            "title": fit.title,
            "stage": STAGES[stage],
            "link": fit.files.get("fit.h5", ""),
            "summary": summary(fit.comparison[stage]),
            "unmatched": unmatched.table(fit.comparison[stage], geometry),
            "marked": min(marks, int((~fit.comparison[stage].matched).sum())),
            "figures": figures(fit.comparison[stage], geometry, stage, size, marks),
        }
        for n, fit in enumerate(shown)
        for stage in STAGES
        if stage in fit.comparison
    ]
    names = sorted({name for choice in choices for name in choice["figures"]})
    return {
        "fits": [fit.title for fit in shown],
        "stages": STAGES,
        "choices": choices,
        "maps": [name for name in names if "map" in name],
        "histograms": [name for name in names if "histogram" in name],
        "cell": "pixel" if size == 1 else f"{size} × {size} pixels",
        "missing": [fit.title for fit in fits if not fit.comparison],
    }


def cell_size(comparisons: Sequence[Comparison], geometry: DetectorGeometry) -> int:
    """Pixels along the side of a cell of the maps: few enough cells to be seen, and for the size of the page."""
    size = max(1, -(-max(geometry.pixels) // _MOST_ALONG))
    while size < max(geometry.pixels) // 8 and sum(_occupied(c, geometry, size) for c in comparisons) > _MOST_CELLS:
        size *= 2
    return size


def _occupied(comparison: Comparison, geometry: DetectorGeometry, size: int) -> int:
    """Number of cells with matched hits, on the maps of all values."""
    tpc, pixel_x, pixel_y = (n // size if i else n for i, n in enumerate(geometry.pixel(comparison.channel)))
    cell = (tpc * geometry.pixels[0] + pixel_x) * geometry.pixels[1] + pixel_y
    return len(comparison.value_names) * len(np.unique(cell[comparison.matched]))


def most_marks(comparisons: Sequence[Comparison]) -> int:
    """Hits without partner that each map marks at most."""
    return int(np.clip(_MOST_MARKS // max(2 * len(comparisons), 1), 20, 400))


def figures(comparison: Comparison, geometry: DetectorGeometry, stage: str, size: int, marks: int) -> dict[str, Figure]:
    """Map and histogram of every value, by the name of their place on the page.

    `stage` is "initial" or "fitted"; `size` pixels along the side of a cell; at most `marks` hits without partner.
    """
    found = {}
    for i, name in enumerate(comparison.value_names):
        values = differences(comparison)[:, i]
        found[f"figure-map-{i}"] = _map(comparison, values, name, geometry, size, marks)
        found[f"figure-histogram-{i}"] = _histogram(values, name, stage)
    return found


def summary(comparison: Comparison) -> list[dict[str, str]]:
    """Number, mean, rms and largest residual of every value, in words."""
    rows = []
    for i, name in enumerate(comparison.value_names):
        title, unit = words.hit_value(name)
        values = differences(comparison)[:, i]
        shown = [f"{words.number(v, 3)} {unit}" if len(values) else "–" for v in _moments(values)]
        mean, rms, largest = shown
        rows.append({"name": title, "count": words.count(len(values)), "mean": mean, "rms": rms, "largest": largest})
    return rows


def _moments(values: Floats) -> tuple[float, float, float]:
    if not len(values):
        return 0.0, 0.0, 0.0
    return float(values.mean()), float(np.sqrt(np.mean(values**2))), float(np.abs(values).max())


def _core(values: Floats) -> float:
    """Half the width of the central 68 % of the values."""
    low, high = np.quantile(values, (0.16, 0.84))
    return float(high - low) / 2


def _nice(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))


def _histogram(values: Floats, name: str, stage: str) -> Figure:
    title, unit = words.hit_value(name)
    largest = float(np.abs(values).max(initial=0.0))
    core = _core(values) if len(values) else 0.0
    tails = 0 < core < largest / _TAIL
    end = _nice(min(largest, 3 * _TAIL * core) if tails else largest) if largest > 0 else 1.0
    counts, edges = np.histogram(values, _BINS, (-end, end))
    mean, rms, _ = _moments(values)
    beyond = int((np.abs(values) > end).sum())
    said = f"{words.count(len(values), 'hit')}, mean {words.number(mean, 2)}, rms {words.number(rms, 2)} {unit}"
    if beyond:
        said += f"; {words.count(beyond)} beyond the ends"
    y = axis("hits" + (" (logarithmic)" if tails else ""), **({"type": "log", "dtick": 1} if tails else {}))
    return {
        "data": [
            {
                "type": "bar",
                "x": numbers((edges[1:] + edges[:-1]) / 2, 6),
                "y": counts.tolist(),
                "width": float(f"{2 * end / _BINS:.6g}"),
                "marker": {"color": _BAR.get(stage, _BAR["fitted"]), "line": {"width": 0}},
                "hovertemplate": "around %{x:.3g} " + unit + ": %{y} hits<extra></extra>",
            }
        ],
        "layout": {
            **_layout(f"{title} residuals<br><span style='font-size:12px'>{said}</span>"),
            "bargap": 0,
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 60, "r": 12, "t": 62, "b": 44},
            "xaxis": axis(f"simulated − recorded [{unit}]" if unit else "simulated − recorded", range=[-end, end]),
            "yaxis": y,
        },
    }


def _layout(title: str) -> Figure:
    return {
        "title": {"text": title, "x": 0.0, "xref": "paper", "xanchor": "left", "font": {"size": 15}},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": _INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": _EMPTY,
        "showlegend": False,
        "hovermode": "closest",
        "separators": ".\u202f",
    }


def _map(
    comparison: Comparison, values: Floats, name: str, geometry: DetectorGeometry, size: int, marks: int
) -> Figure:
    title, unit = words.hit_value(name)
    tpc, pixel_x, pixel_y = geometry.pixel(comparison.channel)
    matched = comparison.matched
    cells = [_cells(values, tpc[matched] == t.tpc, pixel_x[matched], pixel_y[matched], geometry, size)
             for t in geometry.tpcs]  # fmt: skip
    means = np.concatenate([np.abs(z) for _, z, _ in cells])
    end = _nice(max(float(np.quantile(means, 0.95)) if len(means) else 0.0, _SMALLEST.get(name, 1e-12)))
    chosen = unmatched.spread(~matched, marks)
    layout = {**_layout(f"{title} residuals" + (f" [{unit}]" if unit else "")), "margin": _MARGIN}
    data: list[Figure] = []
    for n, (t, found) in enumerate(zip(geometry.tpcs, cells, strict=True)):
        where = {"xaxis": f"x{n + 1 if n else ''}", "yaxis": f"y{n + 1 if n else ''}"}
        data.append({**_heatmap(found, unit, end, geometry, size), **where, "showscale": n == len(cells) - 1})
        data += [{**trace, **where} for trace in _marks(comparison, chosen & (tpc == t.tpc), geometry)]
        layout |= _axes(n, len(cells), t.tpc, geometry)
    return {"data": data, "layout": layout}


_MARGIN = {"l": 50, "r": 6, "t": 40, "b": 44}


def _axes(n: int, count: int, tpc: int, geometry: DetectorGeometry) -> Figure:
    """Axes of the map of one drift volume beside the others, with the same scale in x and y."""
    number = str(n + 1) if n else ""
    width = 1.0 / count
    plain = {"constrain": "domain", "showgrid": False, "automargin": False}
    gap = 0.04 if count > 1 else 0.0
    x = axis("x [cm]", range=list(geometry.x_range), domain=[n * width + gap * (n > 0) / 2, (n + 1) * width - gap / 2],
             anchor=f"y{number}", scaleanchor=f"y{number}", nticks=5, **plain)  # fmt: skip
    y = axis("y [cm]" if n == 0 else "", range=list(geometry.y_range), anchor=f"x{number}", nticks=8, **plain)
    x["title"]["text"] = f"x [cm], TPC {tpc}"
    if n:
        y |= {"matches": "y", "showticklabels": False}
    return {f"xaxis{number}": x, f"yaxis{number}": y}


Cells = tuple[Ints, Floats, Ints]


def _cells(values: Floats, here: Bools, pixel_x: Ints, pixel_y: Ints, geometry: DetectorGeometry, size: int) -> Cells:
    """Number of each occupied cell (row by row), mean of its values and number of hits."""
    across = -(-geometry.pixels[0] // size)
    at, which = np.unique((pixel_y[here] // size) * across + pixel_x[here] // size, return_inverse=True)
    hits = np.bincount(which.reshape(-1), minlength=len(at))
    mean = np.bincount(which.reshape(-1), weights=values[here], minlength=len(at)) / np.maximum(hits, 1)
    return at, mean, hits


def _heatmap(cells: Cells, unit: str, end: float, geometry: DetectorGeometry, size: int) -> Figure:
    at, mean, hits = cells
    side = geometry.pixel_pitch * size
    shape = [-(-n // size) for n in geometry.pixels[::-1]]
    return {
        "type": "heatmap",
        # Most cells are empty: the script of the page makes full tables of these.
        "cells": {"shape": shape, "at": at.tolist(), "z": numbers(mean, 3), "text": hits.tolist()},
        "x0": geometry.x_range[0] + side / 2, "dx": side,
        "y0": geometry.y_range[0] + side / 2, "dy": side,
        "zmin": -end, "zmax": end, "zmid": 0.0,
        "colorscale": [list(step) for step in _SCALE],
        "hoverongaps": False,
        "colorbar": {"thickness": 12, "len": 0.9, "exponentformat": "power", "outlinewidth": 0.5, "x": 1.0, "xpad": 4},
        "hovertemplate": f"x %{{x:.1f}}, y %{{y:.1f}} cm<br>mean %{{z:.3g}} {unit} of %{{text}} hits<extra></extra>",
    }  # fmt: skip


def _marks(comparison: Comparison, chosen: Bools, geometry: DetectorGeometry) -> list[Figure]:
    """Hits without partner: triangles for those of the model only, circles for those of the data only."""
    x, y = geometry.pixel_centre(*geometry.pixel(comparison.channel)[1:])
    traces: list[Figure] = []
    for which, symbol, side in (
        (chosen & ~comparison.in_data, "triangle-up-open", "simulation"),
        (chosen & ~comparison.in_model, "circle-open", "data"),
    ):
        if not which.any():
            continue
        hover: list[Any] = [
            [int(e), int(o), unmatched.short(int(r))]
            for e, o, r in zip(comparison.event[which], comparison.order[which], comparison.reason[which], strict=True)
        ]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": numbers(x[which], 5),
                "y": numbers(y[which], 5),
                "customdata": hover,
                "marker": {"symbol": symbol, "size": 7, "color": _INK, "line": {"width": 1.3, "color": _INK}},
                "hovertemplate": f"only in the {side}: event %{{customdata[0]}}, hit %{{customdata[1]}}"
                "<br>%{customdata[2]}<extra></extra>",
            }
        )
    return traces
