"""Objectives: what a fit makes small, with the gradient and the Gauss-Newton matrix at a point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..simulate.observe import ObservableModel
from ..tables import Floats, Observables
from .residuals import match, scaled_residuals


@dataclass(frozen=True)
class Evaluation:
    """An objective at one point: `cost`, `gradient` `(P,)` and `curvature` `(P, P)` (positive semi-definite), float64.

    `counts` are plain numbers for the history: `matched`, `unmatched_model`, `unmatched_data`.
    """

    cost: float
    gradient: Floats
    curvature: Floats
    counts: Mapping[str, float]


class Objective(Protocol):
    """What an optimiser asks for."""

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation:
        """Cost with derivatives to the parameters `names` at `values` (physical units)."""
        ...


@dataclass(frozen=True)
class MatchedResiduals:
    """Fair cost of matched charge and time residuals.

    `cost = sum c^2 (|r|/c - ln(1 + |r|/c))` over residuals r in units of `scales`, whose weight is `1 / (1 + |r|/c)`
    (the Fair M-estimator; c is `fair_scale`): a hit that moved to another crossing pulls little. A hit without
    partner costs as much as a residual of c in each value, so hits cannot be gained by losing partners.
    """

    model: ObservableModel
    data: Observables
    scales: Floats
    fair_scale: float

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation:
        """See `Objective.evaluate`."""
        simulated, jacobian = self.model.linearise(values, names)
        pairs = match(simulated, self.data)
        r = scaled_residuals(simulated, self.data, pairs, self.scales)
        j = jacobian[pairs.model] / self.scales[:, None]
        # A crossing on a plateau has no finite slope; such a row says nothing about the parameters.
        usable = np.isfinite(j).all(axis=2)
        r, j = r[usable], j[usable]
        weight = 1 / (1 + np.abs(r) / self.fair_scale)
        unmatched = pairs.unmatched_model + pairs.unmatched_data
        penalty = unmatched * len(self.scales) * float(self._fair(np.array(self.fair_scale)))
        weighted = j * weight[:, None]
        return Evaluation(
            cost=float(self._fair(r).sum()) + penalty,
            gradient=weighted.T @ r,
            curvature=weighted.T @ j,
            counts={
                "matched": len(pairs.model),
                "unmatched_model": pairs.unmatched_model,
                "unmatched_data": pairs.unmatched_data,
            },
        )

    def _fair(self, r: Floats) -> Floats:
        scaled = np.abs(r) / self.fair_scale
        return np.asarray(self.fair_scale**2 * (scaled - np.log1p(scaled)))
