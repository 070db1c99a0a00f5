"""Tracks within one drift volume: straight seeds, each followed in both directions by a road that bends with it.

A charged particle scatters, so that no single line fits it, but over some centimetres it is straight, and its
continuation lies in a narrow road about the line through its last hits. The straightest stretch of hits of an event
is followed first; its hits are taken away, and the next one has fewer hits of others to go wrong at.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ..config.finding import Finding
from ..tables import Bools, Floats, Ints
from .lines import Line, covered_length, fit_line, fit_line_trimmed

#: Bin [cm] in which hits count once for the length that they cover.
_BIN = 0.45

#: Hits this much [cm] further than the next one are taken in the same step.
_STEP = 0.8


def find_pieces(points: Floats, settings: Finding) -> list[Ints]:
    """Pieces of tracks among points `(n, 3)` [cm] of one drift volume: rows of each, in order along it.

    No point is in two pieces; points of knock-on electrons and noise are in none.
    """
    free = np.ones(len(points), dtype=np.bool_)
    pieces = []
    seeds, covered = _seeds(points, settings)
    for i in np.argsort(-covered, kind="stable"):
        line = seeds[i]
        if line is None or not free[i]:
            continue
        near = _near(points, free, points[i], settings.seed_cm)
        if len(near) < 3:
            continue
        line, inside = fit_line_trimmed(points[near], settings.road_cm)
        start = near[inside]
        start = start[np.argsort(line.along(points[start]), kind="stable")]
        if len(start) < 3:
            continue
        rows = _follow(points, free, start, settings)
        rows = _follow(points, free, rows[::-1], settings)
        if _is_track(points[rows], settings):
            pieces.append(rows)
            free[rows] = False
    return pieces


def _near(points: Floats, free: Bools, centre: Floats, radius: float) -> Ints:
    return np.flatnonzero(free & (((points - centre) ** 2).sum(axis=1) <= radius**2))


def _seeds(points: Floats, settings: Finding) -> tuple[list[Line | None], Floats]:
    """The straight line about each point, None where there is none, and the length [cm] that hits cover on it."""
    tree = cKDTree(points)
    lines: list[Line | None] = []
    covered = np.zeros(len(points))
    for i, near in enumerate(tree.query_ball_point(points, settings.seed_cm, return_sorted=True)):
        if len(near) < 4:
            lines.append(None)
            continue
        line, inside = fit_line_trimmed(points[near], 0.5 * settings.road_cm)
        # Straight, and alone: hits beside the line speak against it.
        covered[i] = covered_length(line.along(points[near][inside]), _BIN) - 0.2 * np.count_nonzero(~inside)
        lines.append(line)
    return lines, covered


def _is_track(points: Floats, settings: Finding) -> bool:
    return len(points) >= settings.minimum_hits and covered_length(fit_line(points).along(points), _BIN) >= (
        settings.minimum_cm
    )


def _follow(points: Floats, free: Bools, rows: Ints, settings: Finding) -> Ints:
    """Rows with those appended that continue the track beyond the last."""
    taken = np.zeros(len(points), dtype=np.bool_)
    taken[rows] = True
    chosen = list(rows)
    line = _end_line(points, rows, settings)
    reach = float(line.along(points[rows]).max())
    while True:
        ahead = line.along(points) - reach
        open_ = np.flatnonzero(free & ~taken & (ahead > -_STEP) & (ahead <= settings.gap_cm))
        distance = line.distance(points[open_])
        on_road = distance <= settings.road_cm + settings.scattering * np.maximum(ahead[open_], 0.0)
        open_ = open_[on_road]
        if not (ahead[open_] > 0).any():
            taken[open_] = True
            return np.array([*chosen, *open_], dtype=np.int64)
        nearest = ahead[open_][ahead[open_] > 0].min()
        step = open_[ahead[open_] <= nearest + _STEP]
        step = step[np.argsort(ahead[step], kind="stable")]
        chosen += step.tolist()
        taken[step] = True
        line = _end_line(points, np.array(chosen), settings)
        reach = float(line.along(points[step]).max())


def _end_line(points: Floats, rows: Ints, settings: Finding) -> Line:
    """The line through the last hits of a track, pointing onwards."""
    last = points[rows]
    near = ((last - last[-1]) ** 2).sum(axis=1) <= settings.window_cm**2
    near[-3:] = True
    return fit_line_trimmed(last[near], settings.road_cm)[0]
