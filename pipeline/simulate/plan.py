"""Which piece of which deposit can reach which pixel: computed once, whatever the parameters.

Deposits are cut at the drift volumes, covered with Gauss-Legendre nodes, and every node is paired with the pixels
within its largest transverse spread. Pairs are sorted by (event, pixel) and cut into blocks of bounded size between
pixels, so memory is bounded for any sample and sums have a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..detector.geometry import DetectorGeometry
from ..tables import Floats, Ints, Segments
from .accuracy import Accuracy

#: Deposits closer to the anode than this [cm] diffuse as if they were this far, so that no width vanishes.
MIN_DIFFUSION_DISTANCE = 0.02

_PANEL = 8  # largest Gauss-Legendre order; longer deposits take several panels


@dataclass(frozen=True)
class Reach:
    """Largest spread a plan must hold: `width` = sqrt(2 D_T / v) [sqrt(cm)], `shift` on the anode plane and `depth`, a
    shift away from the anode [cm]."""

    width: float
    shift: float = 0.0
    depth: float = 0.0


@dataclass(frozen=True)
class Nodes:
    """Points `(nodes,)` that stand for pieces of segments: `segment` row, `fraction` of the segment's energy, `place`
    between its start (0) and its end (1), `distance` [cm] to the anode, and `outward`: the sign by which this grows
    with z."""

    segment: npt.NDArray[np.int32]
    fraction: npt.NDArray[np.floating[Any]]
    place: npt.NDArray[np.floating[Any]]
    distance: npt.NDArray[np.floating[Any]]
    outward: npt.NDArray[np.int8]

    def take(self, rows: Ints) -> Nodes:
        """These of them."""
        return Nodes(*(column[rows] for column in vars(self).values()))


@dataclass(frozen=True)
class Plan:
    """Pairs of (node, pixel), sorted by pixel.

    Per pair: row of its node in `nodes`, `x`, `y` [cm] from the pixel centre, `delay` [us] of the deposit after the
    pixel's reference time. Pairs of a pixel are sorted by segment. Per pixel: `event`, `channel`, `time` [us] reference
    after the event's earliest deposit, `first` pair (with the total appended). `blocks` are ranges of pixels.
    """

    nodes: Nodes
    node: npt.NDArray[np.int32]
    x: npt.NDArray[np.floating[Any]]
    y: npt.NDArray[np.floating[Any]]
    delay: npt.NDArray[np.floating[Any]]
    event: Ints
    channel: Ints
    time: Floats
    first: Ints
    blocks: tuple[tuple[int, int], ...]
    reach: Reach
    event_t0: dict[int, float]

    @property
    def segment(self) -> npt.NDArray[np.int32]:
        """Row of the segment of each pair."""
        return self.nodes.segment[self.node]

    @property
    def pixel(self) -> Ints:
        """Number of the pixel of each pair."""
        return np.repeat(np.arange(len(self.event)), np.diff(self.first))

    def segments_of(self, block: tuple[int, int]) -> Ints:
        """Row of the segment of each pair of a block of pixels."""
        return np.asarray(self.nodes.segment[self.node[self.pairs_of(block)]], dtype=np.int64)

    def pairs_of(self, block: tuple[int, int]) -> slice:
        """The pairs of a block of pixels."""
        return slice(int(self.first[block[0]]), int(self.first[block[1]]))

    def nodes_of(self, block: tuple[int, int]) -> tuple[Nodes, Ints]:
        """The nodes of a block of pixels, and the row `(pairs,)` of each pair in these."""
        node = self.node[self.pairs_of(block)].astype(np.int64)
        if not len(node):
            return self.nodes.take(node), node
        low = node.min()
        there = np.zeros(node.max() - low + 1, dtype=bool)
        there[node - low] = True
        return self.nodes.take(np.flatnonzero(there) + low), (np.cumsum(there) - 1)[node - low]

    @property
    def largest_block(self) -> int:
        """Pairs in the largest block."""
        return max((int(self.first[b] - self.first[a]) for a, b in self.blocks), default=0)

    def moved(self, before: Segments, after: Segments) -> Plan:
        """The same pairs, their nodes moved with their segments from `before` to `after`.

        Neither nodes nor pixels come and go, so that what is computed with the plan is a smooth function of the places
        of segments. They must not move further than the reach allows for.
        """
        row, f = self.nodes.segment, self.nodes.place.astype(np.float64)[:, None]
        start, end = after.start - before.start, after.end - before.end
        x, y, z = ((1 - f) * start[row] + f * end[row]).T
        nodes = replace(self.nodes, distance=self.nodes.distance + self.nodes.outward * z)
        return replace(self, nodes=nodes, x=self.x + x[self.node], y=self.y + y[self.node])


_NODES_AT_ONCE = 100_000


def build_plan(
    segments: Segments,
    geometry: DetectorGeometry,
    accuracy: Accuracy,
    reach: Reach,
    *,
    nominal_width: float,
    block_pairs: int,
) -> Plan:
    """Pair all deposits with the pixels they can reach.

    `nominal_width` = sqrt(2 D_T / v) [sqrt(cm)] at the nominal parameters sets the spacing of nodes near the anode,
    so that nodes do not move during a fit.
    """
    events, event_index = np.unique(segments.event_id, return_inverse=True)
    earliest = np.full(len(events), np.inf)
    np.minimum.at(earliest, event_index, segments.t0)
    order = np.argsort(event_index, kind="stable")
    # Deposits without energy make no charge, and their dE/dx = 0 has no place in the recombination models.
    order = order[segments.dE[order] > 0]
    # Whole events at a time, so that temporary memory does not grow with the sample.
    estimate = np.cumsum(segments.length[order] / accuracy.node_spacing + 1)
    group = (estimate // _NODES_AT_ONCE).astype(np.int64)
    ends = np.flatnonzero(np.diff(event_index[order])) + 1
    cuts = [0]
    for end in [*ends.tolist(), len(order)]:  # an empty sample has one empty part
        if end == len(order) or group[end] > group[cuts[-1]]:
            cuts.append(end)
    parts = [
        _pairs(segments, order[a:b], event_index, earliest, geometry, accuracy, reach, nominal_width)
        for a, b in pairwise(cuts)
    ]
    nodes = Nodes(*(np.concatenate(c) for c in zip(*(vars(n).values() for n, *_ in parts), strict=True)))
    before = np.cumsum([0] + [len(n.segment) for n, *_ in parts])
    columns = [(node + k, *others) for k, (_, node, *others) in zip(before, parts, strict=False)]
    node, x, y, delay, event, channel, time, size = (np.concatenate(c) for c in zip(*columns, strict=True))
    first = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    return Plan(
        nodes=nodes,
        node=node.astype(np.int32),
        x=x,
        y=y,
        delay=delay,
        event=events[event],
        channel=channel,
        time=time,
        first=first,
        blocks=_blocks(first, block_pairs),
        reach=reach,
        event_t0={int(e): float(t) for e, t in zip(events, earliest, strict=True)},
    )


def _blocks(first: Ints, block_pairs: int) -> tuple[tuple[int, int], ...]:
    """Ranges of pixels with about equal numbers of pairs, `block_pairs` or little more (unless one pixel has more)."""
    pairs, pixels = int(first[-1]), len(first) - 1
    # At least two blocks where there is enough to share between two workers.
    count = max(-(-pairs // block_pairs), min(2, 8 * pairs // block_pairs), 1)
    edges = np.searchsorted(first, np.arange(count) * pairs / count)
    ends = np.unique(np.append(edges, pixels))
    return tuple((int(a), int(b)) for a, b in pairwise(ends))


def _pairs(
    segments: Segments,
    rows: Ints,
    event_index: Ints,
    earliest: Floats,
    geometry: DetectorGeometry,
    accuracy: Accuracy,
    reach: Reach,
    nominal_width: float,
) -> tuple[Any, ...]:
    """Nodes and sorted pairs of some whole events (node, x, y, delay), and per pixel: event index, channel, reference
    time, number of pairs."""
    row, tpc, low, high = _cut_at_volumes(segments, rows, geometry)
    anode = np.array([t.z_anode for t in geometry.tpcs])[tpc]
    start, step = segments.start[row], segments.end[row] - segments.start[row]
    nearest = np.minimum(
        np.abs(start[:, 2] + low * step[:, 2] - anode), np.abs(start[:, 2] + high * step[:, 2] - anode)
    )
    spacing = np.clip(
        accuracy.node_widths * nominal_width * np.sqrt(nearest), accuracy.node_floor, accuracy.node_spacing
    )
    piece, position, weight = _nodes((high - low) * segments.length[row], spacing)
    where = low[piece] + (high - low)[piece] * position
    point = start[piece] + where[:, None] * step[piece]
    distance = np.abs(point[:, 2] - anode[piece])
    node, ix, iy, x, y = _near_pixels(point, distance, geometry, accuracy, reach)
    piece_of = piece[node]
    event = event_index[row[piece_of]]
    channel = geometry.channel(tpc[piece_of], ix, iy)
    sort = np.lexsort((channel, event))
    piece_of, node = piece_of[sort], node[sort]
    event, channel = event[sort], channel[sort]
    delay = segments.t0[row[piece_of]] - earliest[event]
    new = np.ones(len(event), dtype=bool)
    new[1:] = (event[1:] != event[:-1]) | (channel[1:] != channel[:-1])
    first = np.flatnonzero(new)
    size = np.diff(np.append(first, len(event)))
    time = np.minimum.reduceat(delay, first) if len(first) else np.zeros(0)
    # Single precision of offsets from the pixel and of fractions is far below the quadrature error.
    single = np.float32
    nodes = Nodes(
        row[piece].astype(np.int32),
        ((high - low)[piece] * weight).astype(single),
        where.astype(single),
        distance.astype(single),
        geometry.outward(tpc[piece]).astype(np.int8),
    )
    pairs = (x[sort], y[sort], delay - np.repeat(time, size))
    return nodes, node, *(p.astype(single) for p in pairs), event[first], channel[first], time, size


def _cut_at_volumes(segments: Segments, rows: Ints, geometry: DetectorGeometry) -> tuple[Ints, Ints, Floats, Floats]:
    """Parts of segments inside drift volumes: segment row, tpc, and the range of the part in 0 ... 1."""
    z = segments.start[rows, 2]
    dz = segments.end[rows, 2] - z
    parts = []
    for t in geometry.tpcs:
        below, above = sorted((t.z_anode, t.z_cathode))
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (below - z) / dz, (above - z) / dz
        flat = dz == 0
        inside = (z >= below) & (z <= above)
        low = np.where(flat, 0.0, np.clip(np.fmin(a, b), 0, 1))
        high = np.where(flat, inside.astype(float), np.clip(np.fmax(a, b), 0, 1))
        keep = high > low
        parts.append((rows[keep], np.full(keep.sum(), t.tpc), low[keep], high[keep]))
    row, tpc, low, high = (np.concatenate(c) for c in zip(*parts, strict=True))
    return row, tpc, low, high


def _nodes(length: Floats, spacing: Floats) -> tuple[Ints, Floats, Floats]:
    """Gauss-Legendre nodes: number of the piece, position 0 ... 1 in it, weight (sum 1 per piece)."""
    wanted = np.maximum(np.ceil(length / spacing), 1).astype(np.int64)
    panels = -(-wanted // _PANEL)
    order = -(-wanted // panels)
    points = np.zeros((_PANEL + 1, _PANEL))
    weights = np.zeros((_PANEL + 1, _PANEL))
    for n in range(1, _PANEL + 1):
        p, w = np.polynomial.legendre.leggauss(n)
        points[n, :n], weights[n, :n] = (p + 1) / 2, w / 2
    count = panels * order
    piece = np.repeat(np.arange(len(length)), count)
    k = np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)
    panel, i = np.divmod(k, order[piece])
    position = (panel + points[order[piece], i]) / panels[piece]
    return piece, position, weights[order[piece], i] / panels[piece]


def _near_pixels(
    point: Floats, distance: Floats, geometry: DetectorGeometry, accuracy: Accuracy, reach: Reach
) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Pixels within the reach of each node: node, pixel x and y, offset [cm] of the node from the pixel centre."""
    pitch = geometry.pixel_pitch
    radius = accuracy.reach * reach.width * np.sqrt(distance + MIN_DIFFUSION_DISTANCE + reach.depth) + reach.shift
    lows, counts = [], []
    for axis, origin in ((0, geometry.x_range[0]), (1, geometry.y_range[0])):
        low = np.maximum(np.floor((point[:, axis] - radius - origin) / pitch), 0).astype(np.int64)
        high = np.floor((point[:, axis] + radius - origin) / pitch).astype(np.int64)
        lows.append(low)
        counts.append(np.maximum(np.minimum(high, geometry.pixels[axis] - 1) - low + 1, 0))
    total = counts[0] * counts[1]
    node = np.repeat(np.arange(len(point)), total)
    k = np.arange(len(node)) - np.repeat(np.cumsum(total) - total, total)
    ix, iy = np.divmod(k, counts[1][node])
    ix += lows[0][node]
    iy += lows[1][node]
    x = point[node, 0] - (geometry.x_range[0] + (ix + 0.5) * pitch)
    y = point[node, 1] - (geometry.y_range[0] + (iy + 0.5) * pitch)
    gap = np.hypot(np.maximum(np.abs(x) - pitch / 2, 0), np.maximum(np.abs(y) - pitch / 2, 0))
    keep = gap <= radius[node]
    return node[keep], ix[keep], iy[keep], x[keep], y[keep]
