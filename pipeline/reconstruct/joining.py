"""Pieces of one track put together: across gaps, and across the cathode, where the drift coordinate may jump.

The drift velocity stretches the drift coordinates of either volume about its anode, so that a wrong one opens a gap
along the drift at the cathode, or lets the halves of a track overlap there: the same for all tracks, and opposite in
the two volumes. Two halves are joined if one such jump brings them into line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config.finding import Finding
from ..tables import Floats, Ints
from .lines import Line, covered_length, fit_line_trimmed

#: Uncertainty of the direction of the end of a piece [rad].
_DIRECTION_ERROR = 0.02

#: Overlap [cm] of two pieces in line that may be one track.
_OVERLAP = 2.0

#: Longest distance [cm] over which a track may lie within another, which it crosses at a small angle.
_LONGEST_SHARED = 40.0

#: Difference of directions below which ends point the same way.
_SAME_WAY = 1e-9


@dataclass(frozen=True)
class End:
    """One end of a piece: the last of its hits `(3,)` [cm] on the line through them, which points out of the piece."""

    piece: int
    line: Line
    length: float


def ends_of(points: Floats, pieces: list[Ints], settings: Finding) -> list[tuple[End, End]]:
    """Both ends of pieces of tracks among points `(n, 3)`; their lines begin at the last hit's projection."""
    return [_both_ends(points, rows, i, settings) for i, rows in enumerate(pieces)]


def _both_ends(points: Floats, rows: Ints, piece: int, settings: Finding) -> tuple[End, End]:
    return _end(points[rows[::-1]], piece, settings), _end(points[rows], piece, settings)


def _end(points: Floats, piece: int, settings: Finding) -> End:
    near = ((points - points[-1]) ** 2).sum(axis=1) <= settings.window_cm**2
    near[-3:] = True
    last = points[near]
    line, inside = fit_line_trimmed(last, settings.road_cm)
    along = line.along(last[inside])
    return End(piece, Line(line.at(float(along.max())), line.direction), float(np.ptp(along)))


def mismatch(one: End, other: End, jump: Floats) -> tuple[Floats, Floats]:
    """How badly two ends meet, with the other moved by jumps `(k, 3)` [cm]: `(k,)` offset across and gap along.

    The offset is perpendicular to the line from inside one piece to inside the other; the gap is negative if they
    overlap. Ends that point the same way have no such line, and no gap.
    """
    axis = one.line.direction - other.line.direction
    axis = axis / max(float(np.linalg.norm(axis)), _SAME_WAY)
    apart = other.line.point + jump - one.line.point
    along = apart @ axis
    across = apart - along[:, None] * axis
    return np.asarray(np.sqrt((across**2).sum(axis=1))), np.asarray(along)


def angle_between(one: End, other: End) -> float:
    """Angle [rad] by which a track would turn from one end to the other."""
    return float(np.arccos(np.clip(-(one.line.direction @ other.line.direction), -1.0, 1.0)))


def _allowed_angle(one: End, other: End, settings: Finding) -> float:
    """Short pieces are less well known in direction."""
    return settings.join_angle + 0.3 * (1.0 / max(one.length, 1.0) + 1.0 / max(other.length, 1.0))


def join_gaps(points: Floats, pieces: list[Ints], volume: Ints, settings: Finding) -> list[Ints]:
    """Pieces of one drift volume with those in line joined, the best fit first; `volume`: rows of all of its points."""
    there = points[volume]
    ends = ends_of(points, pieces, settings)
    costs = {(i, j): _pair_cost(ends[i], ends[j], there, settings) for j in range(len(pieces)) for i in range(j)}
    pieces = list(pieces)
    while costs:
        (i, j), (cost, direction) = min(costs.items(), key=lambda item: (item[1][0], item[0]))
        if not np.isfinite(cost):
            break
        joined = np.concatenate([pieces[i], pieces[j]])
        pieces[i] = joined[np.argsort(points[joined] @ direction, kind="stable")]
        pieces[j] = joined[:0]
        ends[i] = _both_ends(points, pieces[i], i, settings)
        costs = {pair: c for pair, c in costs.items() if j not in pair}
        for pair in costs:
            if i in pair:
                costs[pair] = _pair_cost(ends[pair[0]], ends[pair[1]], there, settings)
    return [piece for piece in pieces if len(piece)]


def _pair_cost(one: tuple[End, End], other: tuple[End, End], points: Floats, settings: Finding) -> tuple[float, Floats]:
    """The least mismatch of the ends of two pieces, and the direction `(3,)` of the track that they would make."""
    pairs = [(a, b) for a in one for b in other]
    costs = [_gap_cost(a, b, points, settings) for a, b in pairs]
    best = int(np.argmin(costs))
    return costs[best], pairs[best][0].line.direction


def _gap_cost(one: End, other: End, points: Floats, settings: Finding) -> float:
    """Mismatch of two ends in units of what is allowed; infinite where they do not belong together."""
    if np.linalg.norm(other.line.point - one.line.point) > _LONGEST_SHARED:
        return np.inf
    across, along = (float(v[0]) for v in mismatch(one, other, np.zeros((1, 3))))
    if along < -_OVERLAP:
        return np.inf
    wide = 1.0 if along <= settings.join_gap_cm else 0.5
    angle = angle_between(one, other) / (wide * _allowed_angle(one, other, settings))
    offset = across / (settings.road_cm + wide * (settings.scattering + _DIRECTION_ERROR) * max(along, 0.0))
    if max(angle, offset) > 1 or (along > settings.join_gap_cm and not _shared(one, other, points, settings)):
        return np.inf
    return offset**2 + angle**2


def _shared(one: End, other: End, points: Floats, settings: Finding) -> bool:
    """Whether the gap is full of hits: of another track, which runs so close that it took them."""
    step = other.line.point - one.line.point
    length = float(np.linalg.norm(step))
    line = Line(one.line.point, step / length)
    along = line.along(points)
    inside = (along > 0) & (along < length) & (line.distance(points) <= 2 * settings.road_cm)
    return covered_length(along[inside], 1.0) >= 0.8 * length


@dataclass(frozen=True)
class Crossing:
    """Two pieces that meet at the cathode if both are moved away from it by `jump` [cm] (negative: towards it)."""

    one: int
    other: int
    cost: float
    jump: float
    weight: float


def crossings(
    one: list[tuple[End, End]],
    other: list[tuple[End, End]],
    cathodes: tuple[float, float],
    jumps: tuple[float, float],
    short: float,
    settings: Finding,
) -> list[Crossing]:
    """Pairs of pieces of two drift volumes that are one track across the cathode, best first, each piece once.

    `one` and `other` are the ends of the pieces of either volume, `cathodes` [cm] the drift coordinates of the faces
    of their cathode, `jumps` [cm] the smallest and largest that the drift velocity leaves open; `short` [cm] is the
    length without hits that either piece may end before the cathode.
    """
    found = []
    grid = np.linspace(*jumps, max(2, 1 + int(np.ceil((jumps[1] - jumps[0]) / 0.1))))
    for of_one in one:
        for of_other in other:
            for a in of_one:
                for b in of_other:
                    crossing = _crossing(a, b, cathodes, grid, short, settings)
                    if crossing is not None:
                        found.append(crossing)
    used_one: set[int] = set()
    used_other: set[int] = set()
    chosen = []
    for crossing in sorted(found, key=lambda c: c.cost):
        if crossing.one not in used_one and crossing.other not in used_other:
            chosen.append(crossing)
            used_one.add(crossing.one)
            used_other.add(crossing.other)
    return chosen


def _crossing(
    one: End, other: End, cathodes: tuple[float, float], grid: Floats, short: float, settings: Finding
) -> Crossing | None:
    """The jump at which two ends meet best, if they do."""
    angle = angle_between(one, other) / _allowed_angle(one, other, settings)
    if angle > 1:
        return None
    # Away from the cathode: each volume on its own side.
    away = np.sign(cathodes[0] - cathodes[1])
    jump = np.zeros((len(grid), 3))
    jump[:, 2] = -2.0 * away * grid
    across, along = mismatch(one, other, jump)
    # Both have to end at the cathode, but for the steps of the readout: they may stop short of it, but not go beyond.
    steep = max(abs(one.line.direction[2]), abs(other.line.direction[2]), 0.02)
    step = 0.7 + 0.7 * steep
    left = (
        np.stack([away * (one.line.point[2] - cathodes[0]), -away * (other.line.point[2] - cathodes[1])])[:, None]
        + grid
    )
    at_cathode = ((left >= -step) & (left <= step + short * steep)).all(axis=0) & (
        (along <= settings.gap_cm + 2 * short + abs(cathodes[0] - cathodes[1]) / steep) & (along >= -3.0)
    )
    allowed = settings.road_cm + (settings.scattering + _DIRECTION_ERROR) * np.maximum(along, 0.0)
    cost = np.where(at_cathode, (across / allowed) ** 2, np.inf)
    best = int(np.argmin(cost))
    if cost[best] > 1:
        return None
    return Crossing(one.piece, other.piece, float(cost[best]) + angle**2, float(grid[best]), float(1 - steep**2))


def weighted_median(values: Floats, weights: Floats) -> float:
    """The weighted median of `values` `(k,)`, k >= 1."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])
