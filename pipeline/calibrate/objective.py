"""Objectives: what a fit makes small, with the gradient and the Gauss-Newton matrix at a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..tables import Bools, Floats, Linearised, Observables
from .residuals import match, residuals


class ObservableModel(Protocol):
    """What a fit asks of any detector readout."""

    def observe(self, values: Mapping[str, float]) -> Observables:
        """Observables at the parameter values."""
        ...

    def linearise(self, values: Mapping[str, float], names: tuple[str, ...]) -> Linearised:
        """Observables and their derivatives to the parameters `names`."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """An objective at one point: `cost`, `gradient` `(P,)` and `curvature` `(P, P)` (positive semi-definite), float64.

    Objectives that are no sum of squares have no curvature (None). `effective` `(P,)` says which parameters change the
    observables at all; None: those with curvature.
    `counts` are plain numbers for the history: `matched`, `unmatched_model`, `unmatched_data`. Where the units of the
    residuals depend on the point, `gradient` and `curvature` are those at fixed `units`, and `seen_from` gives the cost
    here in the units of another point, so that two points can be compared.
    """

    cost: float
    gradient: Floats
    curvature: Floats | None
    counts: Mapping[str, float]
    units: Floats | None = None
    seen_from: Callable[[Floats], float] | None = None
    effective: Bools | None = None

    def cost_seen_from(self, other: Evaluation) -> float:
        """The cost here, in the units of `other`."""
        if self.seen_from is None or other.units is None:
            return self.cost
        return self.seen_from(other.units)


class Objective(Protocol):
    """What an optimiser asks for."""

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation:
        """Cost with derivatives to the parameters `names` at `values` (physical units)."""
        ...


@dataclass(frozen=True)
class MatchedResiduals:
    """Fair cost of matched charge and time residuals.

    `cost = sum c^2 (|r|/c - ln(1 + |r|/c))` over residuals r, whose weight is `1 / (1 + |r|/c)` (the Fair
    M-estimator; c is `fair_scale`): a hit that moved to another crossing pulls little. The unit of a residual is
    `scales` (one per value), widened in quadrature by what `threshold_noise` electrons would move it, so that
    crossings on a plateau, whose time means little, count little, and by the rounding of the data. A hit without
    partner costs as much as a residual of c in each value, so hits cannot be gained by losing partners.
    """

    model: ObservableModel
    data: Observables
    scales: Floats
    fair_scale: float
    threshold_noise: float

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation:
        """See `Objective.evaluate`."""
        at = self.model.linearise(values, names)
        pairs = match(at.observables, self.data)
        fixed = np.hypot(self.scales, self.data.rounding)
        unit = np.hypot(fixed, self.threshold_noise * at.softness[pairs.model])
        difference = residuals(at.observables, self.data, pairs)
        r = (difference / unit).reshape(-1)
        j = (at.jacobian[pairs.model] / unit[:, :, None]).reshape(len(r), len(names))
        weight = 1 / (1 + np.abs(r) / self.fair_scale)
        unmatched = pairs.unmatched_model + pairs.unmatched_data
        penalty = unmatched * len(self.scales) * float(self._fair(np.array(self.fair_scale)))
        weighted = j * weight[:, None]
        units = np.full((len(self.data), len(self.scales)), np.nan)
        units[pairs.data] = unit

        def seen_from(other: Floats) -> float:
            theirs = other[pairs.data]
            # A pair that the other point does not have keeps its own unit.
            return float(self._fair(difference / np.where(np.isfinite(theirs), theirs, unit)).sum()) + penalty

        return Evaluation(
            cost=float(self._fair(r).sum()) + penalty,
            gradient=weighted.T @ r,
            curvature=weighted.T @ j,
            counts={
                "matched": len(pairs.model),
                "unmatched_model": pairs.unmatched_model,
                "unmatched_data": pairs.unmatched_data,
            },
            units=units,
            seen_from=seen_from,
        )

    def _fair(self, r: Floats) -> Floats:
        scaled = np.abs(r) / self.fair_scale
        return np.asarray(self.fair_scale**2 * (scaled - np.log1p(scaled)))
