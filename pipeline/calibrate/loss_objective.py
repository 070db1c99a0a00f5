"""A loss of hits as an objective: events are compared one by one, and the mean is made small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..config.methods import Loss
from ..errors import FitError
from ..tables import Ints, Observables
from .losses.event_hits import EventHits
from .objective import Evaluation, ObservableModel
from .residuals import match

EventLoss = Callable[[EventHits, EventHits, Loss], Tensor]


@dataclass(frozen=True)
class MeanEventLoss:
    """Mean over events of a loss between the hits of model and data.

    `values` must hold `adc` and `t`, `columns` must hold `x`, `y`, `volume`. Events in which one side has no hits have
    nothing to be compared with and are left out of the mean; their hits are counted as unmatched.
    """

    model: ObservableModel
    data: Observables
    loss: EventLoss
    settings: Loss

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation:
        """See `Objective.evaluate`; there is no curvature.

        Raises `FitError` if the observables have no charges, times and positions.
        """
        at = self.model.linearise(values, names)
        pull, total, compared = np.zeros_like(at.observables.values), 0.0, 0
        for event, rows in _by_event(at.observables):
            if event not in self._recorded:
                continue
            hits, inputs = _event_hits(at.observables, rows, gradients=True)
            loss = self.loss(hits, self._recorded[event], self.settings)
            pull[rows] = torch.stack(torch.autograd.grad(loss, inputs, materialize_grads=True), dim=1).numpy()
            total, compared = total + float(loss.detach()), compared + 1
        pairs = match(at.observables, self.data)
        share = 1 / max(compared, 1)
        return Evaluation(
            cost=total * share,
            gradient=share * np.einsum("nk,nkp->p", pull, at.jacobian),
            curvature=None,
            counts={
                "matched": len(pairs.model),
                "unmatched_model": pairs.unmatched_model,
                "unmatched_data": pairs.unmatched_data,
            },
            effective=np.asarray((at.jacobian != 0).any(axis=(0, 1))),
        )

    @cached_property
    def _recorded(self) -> dict[int, EventHits]:
        return {event: _event_hits(self.data, rows, gradients=False)[0] for event, rows in _by_event(self.data)}


def _by_event(table: Observables) -> list[tuple[int, Ints]]:
    """The valid rows of each event, ordered by x, then y, then time."""
    for name in ("x", "y", "volume"):
        if name not in table.columns:
            raise FitError(f"the loss needs the {name} of every hit, which this readout does not give.")
    rows = np.flatnonzero(table.valid)
    time = table.centre[rows, table.value_names.index("t")]
    order = np.lexsort((time, table.columns["y"][rows], table.columns["x"][rows], table.event[rows]))
    rows = rows[order]
    events, first = np.unique(table.event[rows], return_index=True)
    if not len(events):
        return []  # np.split makes one part of nothing
    return [(int(e), part) for e, part in zip(events, np.split(rows, first[1:]), strict=True)]


def _event_hits(table: Observables, rows: Ints, *, gradients: bool) -> tuple[EventHits, tuple[Tensor, Tensor]]:
    """The hits of some rows, and the tensors of ADC counts and times in the order of `value_names`."""
    columns = {
        name: torch.from_numpy(np.asarray(table.columns[name][rows], dtype=np.float64)) for name in ("x", "y", "volume")
    }
    inputs = [torch.from_numpy(np.ascontiguousarray(table.centre[rows, k])).requires_grad_(gradients) for k in range(2)]
    adc, t = (inputs[table.value_names.index(name)] for name in ("adc", "t"))
    return EventHits(adc=adc, t=t, **columns), (inputs[0], inputs[1])
