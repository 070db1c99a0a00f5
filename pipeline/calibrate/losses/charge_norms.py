"""Losses that compare where the charge is: norms of the difference of two clouds of charge.

With charges q at the places of the hits, positive for the model and negative for the data, each is
`1/2 sum_ij q_i q_j k(|r_i - r_j|)` with a kernel k that falls with distance: what geomloss computes (J. Feydy et al.,
AISTATS 2019, arXiv:1810.08278). Clouds are not normalised to each other, so charge that is lost anywhere is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...config.methods import Loss
from .event_hits import EventHits

#: Numbers of one block of distances: 8 MiB in float64.
_AT_ONCE = 2**20

Kernel = Callable[[Tensor], Tensor]


def energy_distance(model: EventHits, data: EventHits, settings: Loss) -> Tensor:
    """Energy distance [cm] (Székely and Rizzo, J. Stat. Plan. Inference 143 (2013) 1249) of clouds of unequal charge,
    per square of the charge of the data.

    The kernel -r alone is none for unequal charges: more of the same would lower it below zero. The charge that one
    side has more is therefore balanced by a charge `settings.missing_charge_cm` = R away from everything, which turns
    the kernel into 2 R - r (D. Sejdinovic et al., Ann. Statist. 41 (2013) 2263). It is a norm for events of up to 2 R
    across; charges further apart than that are not compared.
    """
    reach = 2 * settings.missing_charge_cm
    charge = _charge(data, settings).sum().clamp(min=1.0)
    return _half_norm(model, data, settings, lambda r: torch.relu(reach - r)) / charge**2


def mmd(model: EventHits, data: EventHits, settings: Loss) -> Tensor:
    """Maximum mean discrepancy (A. Gretton et al., JMLR 13 (2012) 723) with the kernel `settings.kernel` of width
    `settings.kernel_cm`, relative to the norm of the data: about 1 where the clouds do not overlap.
    """
    width = settings.kernel_cm

    def gaussian(r: Tensor) -> Tensor:
        return torch.exp(-0.5 * (r / width) ** 2)

    def laplacian(r: Tensor) -> Tensor:
        return torch.exp(-r / width)

    kernel = gaussian if settings.kernel == "gaussian" else laplacian
    return _half_norm(model, data, settings, kernel) / _half_norm_of(data, settings, kernel)


def multi_scale(model: EventHits, data: EventHits, settings: Loss) -> Tensor:
    """Sum over `settings.scales_cm` of the squared difference of the charge densities, blurred by a Gaussian of that
    width, integrated over space and divided by that of the data.

    The integral of a product of two Gaussians of width s is one of width sqrt(2) s, so no grid is needed. Narrow
    scales tell small displacements, wide ones pull where narrow clouds no longer touch.
    """

    exponents = [-0.25 / width**2 for width in settings.scales_cm]

    def blurred(exponent: float) -> Kernel:
        return lambda r: torch.exp(exponent * r.square())

    norms = [float(_half_norm_of(data, settings, blurred(exponent))) for exponent in exponents]

    def all_scales(r: Tensor) -> Tensor:
        squares, total = r.square(), torch.zeros_like(r)
        for exponent, norm in zip(exponents, norms, strict=True):
            total = total + torch.exp(exponent * squares) / norm
        return total

    return _half_norm(model, data, settings, all_scales)


def _charge(hits: EventHits, settings: Loss) -> Tensor:
    """`(h,)` ADC counts above the pedestal."""
    return hits.adc - settings.pedestal_adc


def _half_norm(model: EventHits, data: EventHits, settings: Loss, of_distance: Kernel) -> Tensor:
    """Half the squared norm of the difference of the two clouds."""
    from geomloss import SamplesLoss

    def kernel(x: Tensor, y: Tensor, **_: Any) -> _KernelMatrix:
        return _KernelMatrix(x, y, of_distance)

    # The name only chooses a branch in which the kernel is ours: geomloss takes distances from differences of squares,
    # which are wrong by 1e-4 cm between hits in one place, and holds the whole matrix.
    loss = SamplesLoss("gaussian", kernel=kernel, backend="tensorized")
    sides = [(_charge(hits, settings), hits.points(settings.drift_cm_per_us)) for hits in (model, data)]
    found: Tensor = loss(*sides[0], *sides[1])
    return found


def _half_norm_of(data: EventHits, settings: Loss, of_distance: Kernel) -> Tensor:
    """That of the data alone; never so small that something divided by it overflows."""
    charge, points = _charge(data, settings), data.points(settings.drift_cm_per_us)[None]
    product = (_KernelMatrix(points, points, of_distance) @ charge[None, :, None]).reshape(-1)
    return (0.5 * charge @ product).clamp(min=1.0)


@dataclass(frozen=True)
class _KernelMatrix:
    """The matrix of a kernel between points `(1, n, 3)` and `(1, m, 3)`, worked out by blocks of rows whenever it is
    multiplied, so that memory is bounded however many hits there are.
    """

    x: Tensor
    y: Tensor
    of_distance: Kernel

    def __matmul__(self, weights: Tensor) -> Tensor:
        """`(1, n, 1)` from `(1, m, 1)`; derivatives are to `x` only, which is all that the norms ask for."""
        x, others, differentiate = self.x[0], self.y[0].detach(), self.x.requires_grad
        # Results have their place from the start: kept among the blocks, they would hold the memory of all of them.
        found, slopes = torch.zeros_like(x[:, :1]), torch.zeros_like(x)
        size = max(_AT_ONCE // len(others), 1)
        for first in range(0, len(x), size):
            rows = x.detach()[first : first + size].clone().requires_grad_(differentiate)
            distance = torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist")
            product = self.of_distance(distance) @ weights[0].detach()
            found[first : first + size] = product.detach()
            if differentiate:
                slopes[first : first + size] = torch.autograd.grad(product.sum(), rows)[0]
        if differentiate:
            # Adds zero, with the derivatives that each block had: no block outlives its turn.
            found = found + ((x - x.detach()) * slopes).sum(dim=1, keepdim=True)
        return found[None]
