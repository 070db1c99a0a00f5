"""The curve of a track: a straight line, or one that bends as multiple scattering bends tracks.

A curve is given by vertices P_i. It may move only across itself, by `D_i = a_i e_i1 + b_i e_i2`, and its kinks

    k_i = (P_i+1 - P_i) / h_i - (P_i - P_i-1) / h_i-1

are Gaussian of variance `theta^2 (h_i-1 + h_i) / 2` per plane: an integrated Wiener process at the vertices. Points
pull it with their own covariance, so the best curve is the solution of a linear system (Gaussian process regression;
Fruehwirth, Nucl. Instrum. Meth. A 262 (1987) 444 for the same as a Kalman filter); it is solved anew about the last
curve until nothing moves, which makes it hold for tracks of any shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse

from ..config.reconstruction import Curves
from ..matter.scattering import across, highland
from ..tables import Floats, Ints
from .polyline import arc, at, cut_evenly, foot, lengths

#: Residuals beyond this many standard deviations pull no harder than at it (Huber).
_HUBER = 2.0
_ITERATIONS = 6


@dataclass(frozen=True)
class Curve:
    """A curve and how well it is known.

    `vertices` `(m + 1, 3)` [cm]; `axes` `(m + 1, 2, 3)`: two unit vectors across it at each vertex; `covariance`
    `(2 (m + 1), 2 (m + 1))` [cm^2] of the displacements along them, vertex by vertex; `s`, `distance` `(n,)`: length
    along the curve to the foot of each point, and distance from it [cm]; `rms` [cm] of the points about it, per plane;
    `straight`: whether a line sufficed.
    """

    vertices: Floats
    axes: Floats
    covariance: Floats
    s: Floats
    distance: Floats
    rms: float
    straight: bool


def scattering_angle(momentum: float) -> float:
    """Width [rad] of the projected angle after 1 cm of liquid argon, by Highland's formula for fast particles.

    From there on it is taken to grow as the root of the path, as in a Wiener process; `momentum` is p beta [MeV].
    """
    return float(highland(np.array(momentum), np.array(1.0), 1.0))


def frames(vertices: Floats) -> Floats:
    """`(m + 1, 2, 3)` two unit vectors across the curve at each vertex."""
    step = np.diff(vertices, axis=0) / lengths(vertices)[:, None]
    tangent = np.concatenate([step[:1], step[:-1] + step[1:], step[-1:]])
    tangent /= np.linalg.norm(tangent, axis=1)[:, None]
    return np.stack(across(tangent), axis=1)


def displacements(axes: Floats) -> scipy.sparse.csr_array:
    """`(3 (m + 1), 2 (m + 1))`: from displacements along the axes to those of the vertices in space."""
    return _blocks(axes.transpose(0, 2, 1))


def _blocks(blocks: Floats) -> scipy.sparse.csr_array:
    """The block-diagonal matrix of blocks `(n, a, b)`."""
    n, a, b = blocks.shape
    columns = np.broadcast_to(np.arange(n)[:, None, None] * b + np.arange(b), blocks.shape)
    return scipy.sparse.csr_array((blocks.ravel(), columns.ravel(), np.arange(n * a + 1) * b), shape=(n * a, n * b))


def kinks(vertices: Floats) -> tuple[scipy.sparse.csr_array, Floats]:
    """The matrix `(3 (m - 1), 3 (m + 1))` that makes kinks of vertices, and `(m - 1,)` path [cm] that each stands for.

    Lengths of pieces are those of `vertices`.
    """
    h = lengths(vertices)
    left, right = 1 / h[:-1], 1 / h[1:]
    matrix = scipy.sparse.diags_array([left, -(left + right), right], offsets=[0, 1, 2], shape=(len(h) - 1, len(h) + 1))
    return scipy.sparse.csr_array(scipy.sparse.kron(matrix, scipy.sparse.eye_array(3))), 0.5 * (h[:-1] + h[1:])


def kink_prior(vertices: Floats, axes: Floats, theta: Floats | float) -> tuple[scipy.sparse.csr_array, Floats]:
    """Prior of displacements from scattering of `theta` [rad per sqrt(cm)] at each inner vertex or at all.

    The precision matrix `(2 (m + 1), 2 (m + 1))` and the pull `(2 (m + 1),)`: the gradient of the log-prior here.
    """
    count = 2 * len(vertices)
    if len(vertices) < 3:
        return scipy.sparse.csr_array((count, count)), np.zeros(count)
    matrix, path = kinks(vertices)
    weight = scipy.sparse.diags_array(np.repeat(1 / (np.broadcast_to(theta, path.shape) ** 2 * path), 3))
    moved = matrix @ displacements(axes)
    push = -(moved.T @ weight @ (matrix @ vertices.ravel()))
    return scipy.sparse.csr_array(moved.T @ weight @ moved), np.asarray(push)


def line_through(points: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Centre `(3,)` and direction `(3,)` of the line with the least weighted square distance from points."""
    centre = np.average(points, axis=0, weights=weight)
    away = (points - centre) * np.sqrt(weight)[:, None]
    return centre, np.linalg.eigh(away.T @ away)[1][:, -1]


def fit_curve(points: Floats, charge: Floats, spread: Floats, settings: Curves) -> Curve:
    """The curve through points `(n, 3)` [cm], n >= 2, that carry `charge` `(n,)`.

    `spread` `(3,)`: standard deviations of a point along x, y, z. A point with little charge is beside the track rather
    than on it, so its weight is in proportion to its charge, up to the mean. Starts as a line; if that does not explain
    the points (chi^2 per degree of freedom above `settings.straight_chi2`), scattering bends it. Vertices stand
    every `settings.vertex_cm`; the ends half a spacing beyond the outermost points.
    """
    weight = np.clip(charge / charge.mean(), 0.05, 1.0)
    centre, direction = line_through(points, weight)
    along = (points - centre) @ direction
    margin = 0.5 * settings.vertex_cm
    ends = centre + np.array([[along.min() - margin], [along.max() + margin]]) * direction
    line = _line(_bend(ends, points, weight, spread, 1.0), points, weight, settings.vertex_cm)
    free = max(2 * len(points) - 4, 1)
    if _chi2(line, points, weight, spread) <= settings.straight_chi2 * free or len(points) < settings.min_hits_bent:
        return line
    return _bend(line.vertices, points, weight, spread, scattering_angle(settings.momentum_mev))


def _line(ends: Curve, points: Floats, weight: Floats, spacing: float) -> Curve:
    """A line that was fitted by its two ends, with vertices every `spacing` [cm]."""
    vertices = cut_evenly(ends.vertices, spacing)
    share = np.linspace(0.0, 1.0, len(vertices))[:, None]
    matrix = np.kron(np.concatenate([1 - share, share], axis=1), np.eye(2))
    return _curve(vertices, matrix @ ends.covariance @ matrix.T, points, weight, straight=True)


def _bend(vertices: Floats, points: Floats, weight: Floats, spread: Floats, theta: float) -> Curve:
    for _ in range(_ITERATIONS):
        axes = frames(vertices)
        design, pull, precision = _measurements(vertices, axes, points, weight, spread)
        prior, push = kink_prior(vertices, axes, theta)
        # Nothing but the points holds the ends in place; a metre is as good as free.
        total = (design.T @ precision @ design + prior).toarray() + 1e-4 * np.eye(2 * len(vertices))
        factor = scipy.linalg.cho_factor(total)
        moved = scipy.linalg.cho_solve(factor, design.T @ (precision @ pull) + push)
        vertices = vertices + (displacements(axes) @ moved).reshape(-1, 3)
        if np.abs(moved).max() < 1e-4:
            break
        vertices = at(vertices, np.linspace(0.0, lengths(vertices).sum(), len(vertices)))
    covariance = scipy.linalg.cho_solve(factor, np.eye(2 * len(vertices)))
    return _curve(vertices, covariance, points, weight, straight=False)


def _curve(vertices: Floats, covariance: Floats, points: Floats, weight: Floats, *, straight: bool) -> Curve:
    where = foot(points, vertices)
    s = arc(vertices)[where.piece] + where.fraction * lengths(vertices)[where.piece]
    rms = float(np.sqrt(np.average(where.distance**2, weights=weight) / 2))
    return Curve(vertices, frames(vertices), covariance, s, where.distance, rms, straight)


def _measurements(
    vertices: Floats, axes: Floats, points: Floats, weight: Floats, spread: Floats
) -> tuple[scipy.sparse.csr_array, Floats, scipy.sparse.csr_array]:
    """Design `(2 n, 2 (m + 1))`, residuals `(2 n,)` and their precision matrix."""
    where = foot(points, vertices)
    local = axes[where.piece]
    residual = np.einsum("nij,nj->ni", local, points - where.nearest)
    precision = np.linalg.inv(np.einsum("nik,k,njk->nij", local, spread**2, local))
    size = np.sqrt(np.einsum("ni,nij,nj->n", residual, precision, residual))
    precision *= (weight * np.minimum(1.0, _HUBER / np.maximum(size, 1e-30)))[:, None, None]
    n, row = len(points), np.arange(2 * len(points))
    column = (2 * where.piece[:, None] + [0, 1]).ravel()
    share = np.repeat(where.fraction, 2)
    design = scipy.sparse.csr_array(
        (np.concatenate([1 - share, share]), (np.tile(row, 2), np.concatenate([column, column + 2]))),
        shape=(2 * n, 2 * len(vertices)),
    )
    return design, residual.ravel(), _blocks(precision)


def _chi2(curve: Curve, points: Floats, weight: Floats, spread: Floats) -> float:
    _, residual, precision = _measurements(curve.vertices, curve.axes, points, weight, spread)
    return float(residual @ (precision @ residual))


def pieces_of(curves: list[Floats]) -> tuple[Floats, Floats, Ints]:
    """Start and end `(p, 3)` of the pieces of several curves, and the number of the curve `(p,)` that each is of."""
    start = np.concatenate([np.zeros((0, 3)), *(v[:-1] for v in curves)])
    end = np.concatenate([np.zeros((0, 3)), *(v[1:] for v in curves)])
    return start, end, np.repeat(np.arange(len(curves)), [len(v) - 1 for v in curves])
