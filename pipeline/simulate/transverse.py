"""Transverse diffusion: how much of a Gaussian cloud falls on each tent function of a pixel, in closed form.

The pixel is cut into 2 n intervals per axis with tent functions at the 2 n + 1 knots. With `Phi` and `G` the
Gaussian's integral and density at the knots, the moments of an interval [a, b] of width h are

    m0 = Phi(b) - Phi(a),     m1 = ((x - a) m0 - sigma^2 (G(b) - G(a))) / h,

and `dG/dsigma = sigma G''` turns the derivative to sigma of a tent's weight into differences of G at its knots.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Exponents below this are taken as this: exp(-87) is the smallest normal number in single precision, and exp is slow
#: beyond.
_UNDERFLOW = -87.0


class AxisWeights:
    """Weights of the folded tents along one axis for clouds at `offset` `(n,)` [cm] from the pixel centre, width
    `sigma` [cm] > 0.

    `value`, `by_offset()`, `by_sigma()` are `(n, intervals + 1)`, the first tent at the centre, mirror images added.
    """

    def __init__(self, offset: Tensor, sigma: Tensor, pitch: float, intervals: int) -> None:
        self.intervals = intervals
        self.step = h = pitch / 2 / intervals
        self.sigma = s = sigma[:, None]
        self.u, below, self.density = gaussians_at_knots(offset, sigma, pitch, intervals)
        self.m0 = below.diff(dim=1)
        self.rise = self.density.diff(dim=1)
        m1 = torch.addcmul(self.m0 * (-self.u[:, :-1] * s), s * s, self.rise, value=-1).div_(h)
        self.value = _fold(_to_knots(self.m0 - m1, m1), intervals)

    def by_offset(self) -> Tensor:
        """Derivative to the offset: the integral of f' G, less f G at the pixel's edges."""
        slope = _to_knots(-self.m0 / self.step, self.m0 / self.step)
        slope[:, 0] += self.density[:, 0]
        slope[:, -1] -= self.density[:, -1]
        return _fold(slope, self.intervals)

    def by_sigma(self) -> Tensor:
        """Derivative to sigma: sigma times the integral of f G'', piece by piece [f G'] - [f' G]."""
        rise = self.rise / self.step
        slope = _to_knots(rise, -rise) * self.sigma
        slope[:, 0] += self.u[:, 0] * self.density[:, 0]
        slope[:, -1] -= self.u[:, -1] * self.density[:, -1]
        return _fold(slope, self.intervals)


def gaussians_at_knots(offset: Tensor, sigma: Tensor, pitch: float, intervals: int) -> tuple[Tensor, Tensor, Tensor]:
    """`(..., n, 2 intervals + 1)` distance in widths, integral from the centre and density [1/cm] of Gaussians at
    `offset` `(..., n)` and of width `sigma` `(n,)`, at the knots."""
    knots = torch.arange(-intervals, intervals + 1, dtype=offset.dtype, device=offset.device) * (pitch / 2 / intervals)
    width = sigma[:, None]
    u = (knots - offset[..., None]) / width
    below = torch.erf(u * math.sqrt(0.5)).mul_(0.5)
    density = torch.exp((u * u).mul_(-0.5).clamp_(min=_UNDERFLOW)).div_(width * math.sqrt(2 * math.pi))
    return u, below, density


def _to_knots(left: Tensor, right: Tensor) -> Tensor:
    """Give each interval's `left` part to its lower knot and its `right` part to its upper knot."""
    return torch.cat([left[:, :1], left[:, 1:] + right[:, :-1], right[:, -1:]], dim=1)


def _fold(values: Tensor, intervals: int) -> Tensor:
    """Add the mirror image about the pixel centre."""
    return torch.cat([values[:, intervals, None], values[:, intervals + 1 :] + values[:, :intervals].flip(1)], dim=1)
