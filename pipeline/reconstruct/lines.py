"""Straight lines through points in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables import Bools, Floats


@dataclass(frozen=True)
class Line:
    """A straight line through `point` `(3,)` [cm] along `direction` `(3,)` of length 1."""

    point: Floats
    direction: Floats

    def along(self, points: Floats) -> Floats:
        """`(n,)` distance [cm] of points `(n, 3)` along the line from `point`."""
        return np.asarray((points - self.point) @ self.direction)

    def distance(self, points: Floats) -> Floats:
        """`(n,)` perpendicular distance [cm] of points `(n, 3)`."""
        offset = points - self.point
        across = offset - (offset @ self.direction)[:, None] * self.direction
        return np.asarray(np.sqrt((across**2).sum(axis=1)))

    def at(self, along: float) -> Floats:
        """`(3,)` the point at this distance [cm] from `point`."""
        return np.asarray(self.point + along * self.direction)

    def reversed(self) -> Line:
        """The same line, run through the other way."""
        return Line(self.point, -self.direction)


def fit_line(points: Floats) -> Line:
    """The line of least perpendicular squares through points `(n, 3)`, n >= 2, from their centre.

    The first principal axis of the points; its sense is that from the first to the last of them.
    """
    centre = points.mean(axis=0)
    offset = points - centre
    direction = np.linalg.eigh(offset.T @ offset)[1][:, 2]
    if (points[-1] - points[0]) @ direction < 0:
        direction = -direction
    return Line(centre, direction)


def fit_line_trimmed(points: Floats, distance: float) -> tuple[Line, Bools]:
    """The line through most of the points `(n, 3)`, and which `(n,)` lie within `distance` [cm] of it.

    Points further away are left out of a second and third fit, unless fewer than three would be left.
    """
    line = fit_line(points)
    near = line.distance(points) <= distance
    for _ in range(2):
        if near.all() or np.count_nonzero(near) < 3:
            break
        line = fit_line(points[near])
        near = line.distance(points) <= distance
    return line, near


def covered_length(along: Floats, step: float) -> float:
    """Length [cm] of a line that points at `along` `(n,)` cover, in bins of `step` [cm]."""
    return step * len(np.unique(np.floor(along / step)))
