"""The forward model as a differentiable function: hits whose charges and times know their gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..tables import Ints
from .model import ForwardModel, SimulatedHits


@dataclass(frozen=True)
class DifferentiableHits:
    """Hits sorted by event, channel and order: `charge` [electrons] and `time` [us], `(h,)` float64 tensors that
    carry gradients.
    """

    event: Ints
    channel: Ints
    order: Ints
    charge: Tensor
    time: Tensor


def differentiable_hits(
    model: ForwardModel, theta: Tensor, names: Sequence[str], fixed: Mapping[str, float] | None = None
) -> DifferentiableHits:
    """Simulate with the parameters `names` at `theta` `(P,)` (physical units), so that any loss of the hits can be
    differentiated: `loss(differentiable_hits(...).charge).backward()`.

    The derivatives are exact for a fixed set of hits; hits that appear or vanish have none.
    """
    found: list[SimulatedHits] = []
    charge, time = _Simulate.apply(theta, model, tuple(names), dict(fixed or {}), found)  # type: ignore[no-untyped-call]
    return DifferentiableHits(found[0].event, found[0].channel, found[0].order, charge, time)


class _Simulate(torch.autograd.Function):
    """The derivatives to few parameters come with the simulation, so the backward pass is one product."""

    @staticmethod
    def forward(
        ctx: Any,
        theta: Tensor,
        model: ForwardModel,
        names: tuple[str, ...],
        fixed: dict[str, float],
        found: list[SimulatedHits],
    ) -> tuple[Tensor, Tensor]:
        values = {**fixed, **dict(zip(names, theta.detach().tolist(), strict=True))}
        hits = model.hits_with_derivatives(values, names)
        found.append(hits)
        assert hits.d_charge is not None and hits.d_time is not None
        count = len(names)
        ctx.save_for_backward(torch.from_numpy(hits.d_charge[:, :count]), torch.from_numpy(hits.d_time[:, :count]))
        ctx.like = theta
        return torch.from_numpy(hits.charge), torch.from_numpy(hits.time)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        d_charge, d_time = ctx.saved_tensors
        by_charge, by_time = gradients
        total = d_charge.T @ by_charge.to(d_charge) + d_time.T @ by_time.to(d_time)
        return total.to(ctx.like), None, None, None, None
