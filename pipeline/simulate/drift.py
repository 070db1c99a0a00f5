"""From a piece of a deposit to the six quantities through which every parameter acts on a pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..detector import argon
from .plan import MIN_DIFFUSION_DISTANCE


@dataclass(frozen=True)
class Deposits:
    """Pieces of deposits, `(n,)` each: `energy` [MeV], `dedx` [MeV/cm], `distance` [cm] to the anode."""

    energy: Tensor
    dedx: Tensor
    distance: Tensor


#: Names of the six quantities, in the order of `packets`.
QUANTITIES = ("charge", "x", "y", "time", "sigma_transverse", "sigma_time")


def packets(
    deposits: Deposits, p: Mapping[str, Tensor], *, recombination: str, response_start: float, temperature: float
) -> tuple[Tensor, ...]:
    """Charge packets at the response's start plane: the tuple of `QUANTITIES`, `(n,)` each.

    charge [electrons], shifts in x, y [cm], drift time [us], transverse width [cm], width in time [us].
    `p` holds parameter values, scalars or `(n,)`.
    """
    velocity = argon.scaled_drift_velocity(p, temperature)
    distance = deposits.distance + p["shift_z"]
    time = (distance - response_start) / velocity
    spread = distance.clamp(min=MIN_DIFFUSION_DISTANCE) / velocity
    escape = argon.RECOMBINATION[recombination](deposits.dedx * p["dedx_scale"], p)
    charge = deposits.energy * p["dedx_scale"] * argon.ELECTRONS_PER_MEV * escape * argon.survival(time, p)
    return (
        charge,
        p["shift_x"].expand_as(distance),
        p["shift_y"].expand_as(distance),
        time,
        argon.diffusion_width(p["transverse_diffusion"], spread),
        argon.diffusion_width(p["longitudinal_diffusion"], spread) / velocity,
    )


@dataclass(frozen=True)
class Tangents:
    """Derivatives of packets to parameters: `values` `(n, quantities, P)` of those `quantities` (in the order of
    `QUANTITIES`) that any of the P parameters moves."""

    quantities: tuple[str, ...]
    values: Tensor


def packets_with_derivatives(
    deposits: Deposits, values: Mapping[str, Tensor], free: tuple[str, ...], **model: Any
) -> tuple[tuple[Tensor, ...], Tangents]:
    """Packets and their derivatives to the parameters `free`.

    Every quantity of a packet depends on the parameters of that packet alone, so giving each packet its own copy of a
    parameter turns one backward pass per quantity into all derivatives of all packets at once.
    """
    n = deposits.energy.shape[0]
    copies = {name: values[name].expand(n).clone().requires_grad_() for name in free}
    names, rows = [], []
    with torch.enable_grad():
        outputs = packets(deposits, {**values, **copies}, **model)
        for name, output in zip(QUANTITIES, outputs, strict=True):
            if output.requires_grad:
                names.append(name)
                rows.append(
                    torch.autograd.grad(
                        output.sum(),
                        list(copies.values()),
                        retain_graph=True,
                        allow_unused=True,
                        materialize_grads=True,
                    )
                )
    # Parameters that the chosen models do not use move no quantity.
    tangents = (
        torch.stack([torch.stack(row, dim=1) for row in rows], dim=1) if rows else outputs[0].new_zeros(n, 0, len(free))
    )
    return tuple(o.detach() for o in outputs), Tangents(tuple(names), tangents)
