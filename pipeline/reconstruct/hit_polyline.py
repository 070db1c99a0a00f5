"""Polygons through the hits of a track, for telling which hits are near it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables import Floats
from .lines import fit_line

#: Distance [cm] between the corners of a polygon.
_KNOT = 5.0

#: How far [cm] a track goes on beyond its last hits.
_BEYOND = 0.5


@dataclass(frozen=True)
class Polyline:
    """Straight pieces between `vertices` `(m + 1, 3)` [cm]."""

    vertices: Floats

    def distance(self, points: Floats) -> Floats:
        """`(n,)` distance [cm] of points `(n, 3)` to the nearest piece."""
        start, step = self.vertices[:-1], np.diff(self.vertices, axis=0)
        offset = points[:, None] - start
        share = np.clip((offset * step).sum(axis=-1) / (step**2).sum(axis=-1), 0.0, 1.0)
        return np.asarray(np.sqrt(((offset - share[..., None] * step) ** 2).sum(axis=-1)).min(axis=1))


def polyline(points: Floats) -> Polyline | None:
    """The polygon of least squares along the principal axis of points `(n, 3)`; None where they are fewer than three.

    Second differences of its corners are held near zero, as weakly as scattering asks for.
    """
    if len(points) < 3:
        return None
    line = fit_line(points)
    along = line.along(points)
    low, high = float(along.min()), float(along.max())
    if high - low <= 0:
        return None
    knots = max(1, round((high - low) / _KNOT))
    position = np.linspace(low, high, knots + 1)
    at = np.clip((along - low) / (high - low) * knots, 0, knots)
    left = np.minimum(at.astype(np.int64), knots - 1)
    share = at - left
    design = np.zeros((len(points), knots + 1))
    rows = np.arange(len(points))
    design[rows, left] = 1 - share
    design[rows, left + 1] += share
    stiff = np.diff(np.eye(knots + 1), 2, axis=0)
    weight = np.ones(len(points))
    base = line.point + position[:, None] * line.direction
    offset = points - line.point - along[:, None] * line.direction
    vertices = base
    for _ in range(3):
        system = design.T @ (weight[:, None] * design) + stiff.T @ stiff + 1e-9 * np.eye(knots + 1)
        vertices = base + np.linalg.solve(system, design.T @ (weight[:, None] * offset))
        distance = np.sqrt(((offset - design @ (vertices - base)) ** 2).sum(axis=1))
        weight = 1 / (1 + (distance / 0.4) ** 2)
    ends = np.diff(vertices, axis=0)[[0, -1]]
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    vertices[0] -= _BEYOND * ends[0]
    vertices[-1] += _BEYOND * ends[1]
    return Polyline(vertices)
