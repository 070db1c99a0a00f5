"""Transverse diffusion: how much of a Gaussian cloud falls on each tent function of a pixel, in closed form.

The pixel is cut into 2 n intervals per axis with tent functions at the 2 n + 1 knots. With `Phi` and `G` the Gaussian's integral and
density at the knots, the moments of an interval [a, b] of width h are

    m0 = Phi(b) - Phi(a),     m1 = ((x - a) m0 - sigma^2 (G(b) - G(a))) / h,

and `dG/dsigma = sigma G''` turns the derivative to sigma of a tent's weight into differences of G at its knots.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def axis_weights(offset: Tensor, sigma: Tensor, pitch: float, intervals: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of the folded tents along one axis, and their derivatives to `offset` and to `sigma`.

    `offset` `(n,)` [cm] of the cloud from the pixel centre; `sigma` `(n,)` [cm], above 0; returns three `(n, intervals + 1)`
    tensors, the first tent at the centre, mirror images added.
    """
    h = pitch / 2 / intervals
    knots = torch.arange(-intervals, intervals + 1, dtype=offset.dtype, device=offset.device) * h
    s = sigma[:, None]
    u = (knots - offset[:, None]) / s
    below = 0.5 * torch.erf(u * math.sqrt(0.5))
    density = torch.exp(-0.5 * u * u) / (s * math.sqrt(2 * math.pi))
    rise = density[:, 1:] - density[:, :-1]
    m0 = below[:, 1:] - below[:, :-1]
    m1 = ((offset[:, None] - knots[:-1]) * m0 - s * s * rise) / h
    value = _to_knots(m0 - m1, m1)
    # d/dx of the integral of f G = integral of f' G - [f G] at the pixel's edges.
    by_offset = _to_knots(-m0 / h, m0 / h)
    by_offset[:, 0] += density[:, 0]
    by_offset[:, -1] -= density[:, -1]
    # d/dsigma = sigma times the integral of f G'' = sigma ([f G'] - [f' G] piece by piece).
    by_sigma = _to_knots(rise / h, -rise / h)
    by_sigma[:, 0] += u[:, 0] / sigma * density[:, 0]
    by_sigma[:, -1] -= u[:, -1] / sigma * density[:, -1]
    return _fold(value, intervals), _fold(by_offset, intervals), _fold(by_sigma * s, intervals)


def _to_knots(left: Tensor, right: Tensor) -> Tensor:
    """Give each interval's `left` part to its lower knot and its `right` part to its upper knot."""
    out = torch.zeros(left.shape[0], left.shape[1] + 1, dtype=left.dtype, device=left.device)
    out[:, :-1] = left
    out[:, 1:] += right
    return out


def _fold(values: Tensor, intervals: int) -> Tensor:
    """Add the mirror image about the pixel centre."""
    folded = values[:, intervals:].clone()
    folded[:, 1:] += values[:, :intervals].flip(1)
    return folded
