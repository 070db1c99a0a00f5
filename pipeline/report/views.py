"""Deposits or hits in the detector, seen from above and from the side: in characters, or as a picture."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..tables import Floats, Hits, Ints, Segments
from .words import species as species_name

#: From little to much in a cell; each step is half a decade.
DENSITY = ".:-+*%@"
ANODE, CATHODE, EDGE = "#", "|", "="
#: More than this are not drawn in a picture: the largest are, and the title says so.
MOST_DRAWN = 40_000
_MARGIN = 2  # columns drawn beyond the anodes
_PAD = 3.0  # cm shown around the detector in a picture
_COLOURS = ("#2c5f9e", "#d1495b", "#2a9d6f", "#e9a23b", "#5b1a5e", "#7d8fa3", "#6baed6")


@dataclass(frozen=True)
class Cloud:
    """Things to draw, in the simulation frame: `start`, `end` `(n, 3)` [cm], `weight` `(n,)` in `unit`, called `what`;
    `species` `(n,)` PDG codes where there are any."""

    start: Floats
    end: Floats
    weight: Floats
    what: str
    unit: str
    species: Ints | None = None

    def finite(self) -> Cloud:
        """Those with finite numbers and something in them."""
        good = np.isfinite(self.start).all(axis=1) & np.isfinite(self.end).all(axis=1) & np.isfinite(self.weight)
        return self.take(np.flatnonzero(good & (self.weight > 0)))

    def take(self, rows: Ints) -> Cloud:
        """Some of them."""
        kinds = None if self.species is None else self.species[rows]
        return Cloud(self.start[rows], self.end[rows], self.weight[rows], self.what, self.unit, kinds)


def cloud_of_segments(segments: Segments) -> Cloud:
    """Segments, by their energy."""
    return Cloud(segments.start, segments.end, segments.dE, "energy", "MeV", segments.pdg_id)


def cloud_of_hits(hits: Hits) -> Cloud:
    """Hits at their drift coordinate, by their charge."""
    points = np.stack([hits.x, hits.y, hits.z], axis=1)
    return Cloud(points, points, hits.charge / 1000, "charge", "ke-")


def ascii_views(cloud: Cloud, geometry: DetectorGeometry, width: int = 80) -> str:
    """Top view (z along the drift, x) and side view (z, y up) side by side, at most `width` characters wide.

    `#` marks anodes, `|` cathodes, `=` the other edges; the characters of `DENSITY` how much is in a cell, summed over
    all events. The scale is the same in both views and directions, at characters twice as high as wide.
    """
    with np.errstate(all="ignore"):  # absurd numbers lie outside, however they get there
        return _ascii_views(cloud.finite(), geometry, width)


def _ascii_views(cloud: Cloud, geometry: DetectorGeometry, width: int) -> str:
    z = sorted(face for tpc in geometry.tpcs for face in (tpc.z_anode, tpc.z_cathode))
    columns = (max(width, 48) - 2 * 8 - 3) // 2
    cell = (z[-1] - z[0]) / (columns - 2 * _MARGIN - 1)
    points, weight = _pieces(cloud, cell)
    panels = [_Panel.of(geometry, axis, cell, columns) for axis in (0, 1)]
    top = max((float(panel.sums(points, weight).max(initial=0.0)) for panel in panels), default=0.0)
    drawn = [panel.lines(points, weight, top) for panel in panels]
    height = max(map(len, drawn))
    for lines in drawn:
        lines += [" " * len(lines[0])] * (height - len(lines))
    outside = int(np.count_nonzero(~panels[0].holds(cloud) | ~panels[1].holds(cloud)))
    caption = f"{columns * cell:.0f} cm across; a character is {cell:.2g} x {2 * cell:.2g} cm; # anode, | cathode"
    if top > 0:
        low = top / 10 ** (0.5 * (len(DENSITY) - 1))
        caption += (
            f"\n{DENSITY[0]} to {DENSITY[-1]}: {cloud.what} in a cell, {low:.2g} to {top:.3g} {cloud.unit}, by sqrt(10)"
        )
    if outside:
        caption += f"\n{outside:,} of {len(cloud.weight):,} lie outside what is drawn"
    below = [line for sentence in caption.split("\n") for line in textwrap.wrap(sentence, max(width, 48))]
    return "\n".join([*("   ".join(pair).rstrip() for pair in zip(*drawn, strict=True)), *below])


def _pieces(cloud: Cloud, cell: float) -> tuple[Floats, Floats]:
    """Points `(m, 3)` along everything that is longer than half a cell, and their share of the weight."""
    length = np.linalg.norm(cloud.end - cloud.start, axis=1)
    # A wrong unit makes lengths absurd; they are outside anyway.
    count = np.clip(np.ceil(length / (0.5 * cell)), 1, 200).astype(np.int64)
    owner = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    share = ((number + 0.5) / count[owner])[:, None]
    points = cloud.start[owner] * (1 - share) + cloud.end[owner] * share
    return points, (cloud.weight / count)[owner]


@dataclass(frozen=True)
class _Panel:
    """One view: z to the right from `z0`, axis `axis` (0 is x, 1 is y) up from `low` to `high` [cm]."""

    geometry: DetectorGeometry
    axis: int
    cell: float
    columns: int
    rows: int
    z0: float
    low: float
    high: float

    @classmethod
    def of(cls, geometry: DetectorGeometry, axis: int, cell: float, columns: int) -> _Panel:
        low, high = (geometry.x_range, geometry.y_range)[axis]
        rows = int(np.ceil((high - low) / (2 * cell)))
        faces = [face for tpc in geometry.tpcs for face in (tpc.z_anode, tpc.z_cathode)]
        z0 = 0.5 * (min(faces) + max(faces)) - 0.5 * columns * cell
        return cls(geometry, axis, cell, columns, rows, z0, low, high)

    def _place(self, points: Floats) -> tuple[Ints, Ints, Any]:
        """Row from the top, column, and whether a point `(m, 3)` is in the panel."""
        with np.errstate(invalid="ignore"):
            column = np.floor((points[:, 2] - self.z0) / self.cell)
            row = np.floor((self.high - points[:, self.axis]) / (self.high - self.low) * self.rows)
        inside = (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
        return np.where(inside, row, 0).astype(np.int64), np.where(inside, column, 0).astype(np.int64), inside

    def holds(self, cloud: Cloud) -> Any:
        """`(n,)` whether the middle of each thing is in the panel."""
        return self._place(0.5 * (cloud.start + cloud.end))[2]

    def sums(self, points: Floats, weight: Floats) -> Floats:
        """`(rows, columns)` weight in each cell."""
        row, column, inside = self._place(points)
        cells = np.bincount((row * self.columns + column)[inside], weight[inside], minlength=self.rows * self.columns)
        return cells.reshape(self.rows, self.columns).astype(np.float64)

    def lines(self, points: Floats, weight: Floats, most: float) -> list[str]:
        """The view as lines of equal width: title, upper edge, cells, lower edge, z axis."""
        sums = self.sums(points, weight)
        grid = np.full(sums.shape, " ")
        # Cathodes first: where faces share a column, the anode is drawn.
        for mark, faces in ((CATHODE, "z_cathode"), (ANODE, "z_anode")):
            for tpc in self.geometry.tpcs:
                at = int(np.floor((getattr(tpc, faces) - self.z0) / self.cell))
                grid[:, min(max(at, 0), self.columns - 1)] = mark
        grid_of_planes = grid.copy()
        if most > 0:
            with np.errstate(divide="ignore"):
                step = np.floor(2 * np.log10(sums / most) + 1e-9) + len(DENSITY) - 1
            some = sums > 0
            grid[some] = np.array(list(DENSITY))[np.clip(step[some], 0, len(DENSITY) - 1).astype(int)]
        label = "xy"[self.axis]
        title = f"{('from above', 'from the side')[self.axis]} [cm]"
        left = [f"{label}{self.high:7.1f}"[:8], *[" " * 8] * (self.rows - 2), f"{label}{self.low:7.1f}"[:8]]
        faces_z = [face for tpc in self.geometry.tpcs for face in (tpc.z_anode, tpc.z_cathode)]
        low, high = (f"{value:.1f}" for value in (min(faces_z), max(faces_z)))
        ruler = f"{low}{'z (drift)':^{max(self.columns - len(low) - len(high), 9)}}{high}"[: self.columns]
        # Under many deposits only the edges still tell where the planes are.
        marks = grid_of_planes[0]
        edge = " " * 8 + "".join(EDGE if mark == " " else mark for mark in marks)
        body = [text + "".join(cells) for text, cells in zip(left, grid, strict=True)]
        return [" " * 8 + f"{title:<{self.columns}}", edge, *body, edge, " " * 8 + f"{ruler:<{self.columns}}"]


def picture(cloud: Cloud, geometry: DetectorGeometry, title: str, form: str) -> bytes:
    """The same two views as a PNG or SVG picture (`form`): by species where they are known, and by weight."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cloud = cloud.finite()
    total = len(cloud.weight)
    if total > MOST_DRAWN:
        cloud = cloud.take(np.sort(np.argsort(-cloud.weight, kind="stable")[:MOST_DRAWN]))
        title += f" (the largest {MOST_DRAWN:,} of {total:,})"
    x, y = (np.ptp(side) for side in (geometry.x_range, geometry.y_range))
    modes = ["weight"] if cloud.species is None else ["species", "weight"]
    # One salt: the names inside an SVG are then the same every time.
    with rc_context({"svg.hashsalt": "gradcal", "svg.fonttype": "path", "font.size": 9}):
        figure = Figure(figsize=(4.2 * len(modes), 9.0), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(2, len(modes), squeeze=False, sharex=True, height_ratios=(x + 2 * _PAD, y + 2 * _PAD))
        for column, mode in enumerate(modes):
            for axis in (0, 1):
                _draw(figure, axes[axis, column], cloud, geometry, axis, mode)
        figure.suptitle(title)
        out = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(out, format=form, dpi=130, metadata=metadata)
    return out.getvalue()


def _draw(figure: Any, axes: Any, cloud: Cloud, geometry: DetectorGeometry, axis: int, mode: str) -> None:
    """One view into `axes`."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LogNorm

    lines = np.stack([cloud.start[:, [2, axis]], cloud.end[:, [2, axis]]], axis=1)
    width = 1.0 if len(lines) < 5000 else 0.5
    # What has no length would not be seen.
    short = np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1) < 0.2
    lines[short, 0, 0] -= 0.1
    lines[short, 1, 0] += 0.1
    if mode == "species":
        colours, names = _species_colours(cloud)
        axes.add_collection(LineCollection(list(lines), colors=colours, linewidths=width))
        if axis == 0:
            for colour, name in names:
                axes.plot([], [], color=colour, label=name)
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, title="species")
    elif len(lines):
        low, high = np.percentile(cloud.weight, (5, 99))
        norm = LogNorm(max(low, 1e-12), max(high, 1.001 * low, 2e-12))
        drawn = LineCollection(list(lines), array=cloud.weight, cmap="viridis", norm=norm, linewidths=width)
        axes.add_collection(drawn)
        if axis == 0:
            figure.colorbar(drawn, ax=axes, location="top", shrink=0.5, label=f"{cloud.what} [{cloud.unit}]")
    _outline(axes, geometry, axis)


def _species_colours(cloud: Cloud) -> tuple[list[str], list[tuple[str, str]]]:
    """A colour for each thing, and the legend: the most frequent species, then all others in one colour."""
    assert cloud.species is not None
    codes, counts = np.unique(cloud.species, return_counts=True)
    common = codes[np.argsort(-counts, kind="stable")][: len(_COLOURS)].tolist()
    colour = dict(zip(common, _COLOURS))
    legend = [(colour[code], species_name(code)) for code in common]
    if len(codes) > len(common):
        legend.append(("#b8c0c8", "other"))
    return [colour.get(code, "#b8c0c8") for code in cloud.species.tolist()], legend


def _outline(axes: Any, geometry: DetectorGeometry, axis: int) -> None:
    """Edges of the drift volumes, anodes and cathodes, axes."""
    low, high = (geometry.x_range, geometry.y_range)[axis]
    for tpc in geometry.tpcs:
        a, c = tpc.z_anode, tpc.z_cathode
        axes.plot([a, c], [low, low], [a, c], [high, high], color="#1f2933", linewidth=0.6)
        axes.plot([a, a], [low, high], color="#7d8fa3", linewidth=2.5)
        axes.plot([c, c], [low, high], color="#b07d2b", linewidth=1.2, linestyle="--")
    faces = [face for tpc in geometry.tpcs for face in (tpc.z_anode, tpc.z_cathode)]
    axes.set(xlim=(min(faces) - _PAD, max(faces) + _PAD), ylim=(low - _PAD, high + _PAD), aspect="equal")
    if axis:
        axes.set(ylabel="y, up [cm]", xlabel="z, drift [cm] (grey: anode, brown dashes: cathode)")
    else:
        axes.set(ylabel="x [cm], seen from above")
