"""A pixel response as a few shapes over the pixel, each with a smooth table in (time, spread of arrival times).

The cumulative response `C(t; x, y, sigma)` is projected (least squares) on tent functions of x and y on a quarter
pixel, where it is smooth, and these coefficients are compressed by a singular value decomposition:

    C(t; x, y, sigma) = sum_k u_k(x, y) c_k(t, sigma),      u_0 = 1.

Projection and u_0 = 1 make the charge exact once everything is collected. Every c_k is a bicubic spline in t and log
sigma, stored as polynomial coefficients per cell, so value and derivatives come from one look-up and agree to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import factorial

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from torch import Tensor

from ..detector.response import RESPONSES, Response
from ..tables import Floats
from .accuracy import Accuracy

#: Spread of arrival times [us] covered by the table; smaller ones are taken at the lower end (a fifth of a clock tick).
SIGMA_RANGE = (0.02, 2.0)
_SIGMA_NODES = 24
_SHARPEST_WIDTHS = 6.0


@dataclass(frozen=True, eq=False)  # one object per table, so that it can be a key of a cache
class ResponseTable:
    """Tensors of one response, one pitch and one accuracy.

    `shapes` `((n+1)^2, K)`: u_k at the tents of a quarter pixel, x slowest; `cells` `(time cells * sigma cells, 16
    K)`: coefficients of `f^a g^b` (a slowest), f and g the position in the cell; `kernel_time` `(m,)` [us] and
    `kernel` `(K, m)`: the c_k at the smallest sigma, for the coarse search; `envelope` `(m,)`: the largest C over the
    pixel at those times.
    """

    intervals: int
    shapes: Tensor
    cells: Tensor
    sigma_cells: int
    time_cells: int
    time_start: float
    time_step: float
    log_sigma_start: float
    log_sigma_step: float
    kernel_time: Floats
    kernel: Floats
    envelope: Floats
    late: float

    @property
    def count(self) -> int:
        """Number of shapes K."""
        return int(self.shapes.shape[1])


@lru_cache(maxsize=8)
def response_table(
    response: str, pitch: float, accuracy: Accuracy, dtype: torch.dtype, device: torch.device
) -> ResponseTable:
    """The table of a response (by name) for square pixels of `pitch` [cm]."""
    model = RESPONSES[response]()
    time = np.arange(model.early, model.late + _SHARPEST_WIDTHS * SIGMA_RANGE[1], accuracy.time_step)
    log_sigma = np.linspace(np.log(SIGMA_RANGE[0]), np.log(SIGMA_RANGE[1]), _SIGMA_NODES)
    tents = np.stack([_project(model, pitch / 2, accuracy.intervals, time, s) for s in np.exp(log_sigma)], axis=-1)
    shapes, curves = _compress(tents, accuracy.shapes)
    cells = _polynomial_cells(time, log_sigma, curves)
    n_time, n_sigma = cells.shape[:2]
    return ResponseTable(
        intervals=accuracy.intervals,
        shapes=torch.as_tensor(shapes, dtype=dtype, device=device),
        cells=torch.as_tensor(cells.reshape(n_time * n_sigma, -1), dtype=dtype, device=device),
        sigma_cells=n_sigma,
        time_cells=n_time,
        time_start=float(time[0]),
        time_step=accuracy.time_step,
        log_sigma_start=float(log_sigma[0]),
        log_sigma_step=float(log_sigma[1] - log_sigma[0]),
        kernel_time=time,
        kernel=np.ascontiguousarray(curves[:, 0, :].T),
        envelope=np.maximum.accumulate(tents.max(axis=(0, 1, 3))),
        late=model.late,
    )


def _project(model: Response, half: float, intervals: int, time: Floats, sigma: float) -> Floats:
    """Least-squares coefficients `(n+1, n+1, times)` of the response on tents over a quarter pixel."""
    points, weights = np.polynomial.legendre.leggauss(3)
    step = half / intervals
    x = ((np.arange(intervals)[:, None] + (points + 1) / 2) * step).reshape(-1)
    w = np.tile(weights, intervals)
    tent = np.clip(1 - np.abs(x[:, None] / step - np.arange(intervals + 1)), 0, None)
    projector = np.linalg.solve((tent * w[:, None]).T @ tent, (tent * w[:, None]).T)
    i, j = np.triu_indices(len(x))
    values = np.empty((len(x), len(x), len(time)))
    values[i, j] = values[j, i] = model.cumulative(x[i, None], x[j, None], time[None, :], sigma)
    return np.asarray(np.einsum("ia,jb,abt->ijt", projector, projector, values, optimize=True))


def _compress(tents: Floats, count: int) -> tuple[Floats, Floats]:
    """Split `(n+1, n+1, times, sigmas)` into shapes `((n+1)^2, K)` and curves `(times, sigmas, K)`."""
    n = tents.shape[0]
    area = np.ones(n)
    area[[0, -1]] = 0.5
    weight = np.outer(area, area).reshape(-1)
    weight /= weight.sum()
    matrix = tents.reshape(n * n, -1)
    mean = weight @ matrix
    rest = (matrix - mean) * np.sqrt(weight)[:, None]
    # The left singular vectors come from the small covariance matrix; signs are fixed so that the table is
    # reproducible.
    values, vectors = np.linalg.eigh(rest @ rest.T)
    vectors = vectors[:, np.argsort(values)[::-1][: count - 1]]
    vectors *= np.sign(vectors[np.argmax(np.abs(vectors), axis=0), np.arange(vectors.shape[1])])
    shapes = np.concatenate([np.ones((n * n, 1)), vectors / np.sqrt(weight)[:, None]], axis=1)
    curves = np.concatenate([mean[None], vectors.T @ rest], axis=0)
    return shapes, np.moveaxis(curves.reshape(-1, *tents.shape[2:]), 0, -1)


def _polynomial_cells(time: Floats, log_sigma: Floats, curves: Floats) -> Floats:
    """Bicubic spline through `(times, sigmas, K)` as coefficients `(time cells, sigma cells, 16, K)`."""
    in_time = _power_coefficients(time, curves)  # (4, time cells, sigmas, K)
    both = _power_coefficients(log_sigma, np.moveaxis(in_time, 2, 0))  # (4, sigma cells, 4, time cells, K)
    return np.ascontiguousarray(np.transpose(both, (3, 1, 2, 0, 4))).reshape(
        len(time) - 1, len(log_sigma) - 1, 16, curves.shape[-1]
    )


def _power_coefficients(grid: Floats, values: Floats) -> Floats:
    """Cubic spline along axis 0 as coefficients `(4, cells, ...)` of powers of the fraction of a cell."""
    spline = make_interp_spline(grid, values, k=3, axis=0)
    step = grid[1] - grid[0]
    middle = 0.5 * (grid[:-1] + grid[1:])
    # The third derivative jumps at the nodes, so it is read in the middle of each cell.
    at = [grid[:-1], grid[:-1], grid[:-1], middle]
    return np.stack([spline(at[m], nu=m) * step**m / factorial(m) for m in range(4)])
