"""Logarithms of Gaussian probabilities, accurate far out in the tails and differentiable there."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


def log_density(z: Tensor) -> Tensor:
    """Logarithm of the density of a standard Gaussian."""
    return -0.5 * z * z - LOG_SQRT_2PI


def log_below(z: Tensor) -> Tensor:
    """Logarithm of the probability of a standard Gaussian to lie below `z`."""
    below: Tensor = torch.special.log_ndtr(z)
    return below


def log_between(low: Tensor, high: Tensor) -> Tensor:
    """Logarithm of the probability to lie between `low` and `high` (any of them may be infinite).

    Intervals above zero are mirrored, so that no digits are lost where both cumulative probabilities are close to 1.
    """
    mirrored = low > 0
    a, b = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    wide = torch.isinf(a)
    # A value that stands for minus infinity must not reach a derivative.
    lower = log_below(torch.where(wide, b - 1.0, a))
    upper = log_below(torch.where(torch.isinf(b), torch.full_like(b, 40.0), b))
    inside = upper + torch.log1p(-torch.exp((lower - upper).clamp(max=-1e-15)))
    return torch.where(wide, upper, inside)


def log_with_exponential(x: Tensor, width: Tensor | float, mean: float) -> Tensor:
    """Log-density at `x` of a Gaussian of this `width` plus an exponential of this `mean`."""
    return 0.5 * (width / mean) ** 2 - x / mean + log_below(x / width - width / mean) - math.log(mean)


def hazard(x: Tensor) -> Tensor:
    """phi(x) / Phi(x): the derivative of `log_below`."""
    return torch.exp(log_density(x) - log_below(x))
