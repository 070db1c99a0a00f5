"""Geometry of a curve given by its vertices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables import Floats, Ints


@dataclass(frozen=True)
class Foot:
    """Where points `(n, 3)` are nearest to a curve: number of the piece, position 0 ... 1 in it, the nearest point
    `(n, 3)` on the curve and the distance to it [cm].
    """

    piece: Ints
    fraction: Floats
    nearest: Floats
    distance: Floats


def lengths(vertices: Floats) -> Floats:
    """`(m,)` lengths [cm] of the pieces between vertices `(m + 1, 3)`."""
    return np.asarray(np.linalg.norm(np.diff(vertices, axis=0), axis=1))


def arc(vertices: Floats) -> Floats:
    """`(m + 1,)` length [cm] along the curve up to each vertex."""
    return np.concatenate([[0.0], np.cumsum(lengths(vertices))])


def foot(points: Floats, vertices: Floats) -> Foot:
    """The nearest points of a curve with vertices `(m + 1, 3)`, m >= 1."""
    start, step = vertices[:-1], np.diff(vertices, axis=0)
    square = np.maximum((step**2).sum(axis=1), 1e-30)
    fraction = np.clip(((points[:, None] - start) * step).sum(axis=2) / square, 0.0, 1.0)
    away = points[:, None] - (start + fraction[:, :, None] * step)
    distance = np.linalg.norm(away, axis=2)
    row, piece = np.arange(len(points)), distance.argmin(axis=1)
    return Foot(piece, fraction[row, piece], points - away[row, piece], distance[row, piece])


def at(vertices: Floats, s: Floats) -> Floats:
    """`(n, 3)` points at lengths `s` `(n,)` [cm] along the curve; beyond its ends, on its straight continuation."""
    along = arc(vertices)
    piece = np.clip(np.searchsorted(along, s, side="right") - 1, 0, len(along) - 2)
    fraction = (s - along[piece]) / np.maximum(np.diff(along)[piece], 1e-30)
    return np.asarray(vertices[piece] + fraction[:, None] * np.diff(vertices, axis=0)[piece])


def cut_evenly(vertices: Floats, spacing: float, begin: float = 0.0, end: float | None = None) -> Floats:
    """`(k + 1, 3)` vertices about every `spacing` [cm] of the part of a curve between two lengths along it."""
    end = float(arc(vertices)[-1]) if end is None else end
    count = max(int(np.rint((end - begin) / spacing)), 1)
    return at(vertices, np.linspace(begin, end, count + 1))


def inside(vertices: Floats, low: Floats, high: Floats) -> tuple[float, float] | None:
    """The range of lengths along the curve that lies in the box from `low` to `high` `(3,)`: from its first entry to
    its last exit; None if it is nowhere inside.
    """
    start, step = vertices[:-1], np.diff(vertices, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        one, two = (low - start) / step, (high - start) / step
    flat = step == 0
    within = (start >= low) & (start <= high)
    enter = np.where(flat, np.where(within, 0.0, np.inf), np.minimum(one, two)).max(axis=1)
    leave = np.where(flat, np.where(within, 1.0, -np.inf), np.maximum(one, two)).min(axis=1)
    enter, leave = np.clip(enter, 0.0, 1.0), np.clip(leave, 0.0, 1.0)
    pieces = np.flatnonzero(leave > enter)
    if not len(pieces):
        return None
    along, size = arc(vertices), lengths(vertices)
    first, last = pieces[0], pieces[-1]
    return float(along[first] + enter[first] * size[first]), float(along[last] + leave[last] * size[last])
