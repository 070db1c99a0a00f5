"""Objectives: what a fit makes small, with the gradient and the Gauss-Newton matrix at a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ..tables import Bools, Floats, Ints, Linearised, Observables, common_numbers
from .residuals import Match, match, residuals, restricted


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
    here in the units of another point, so that two points can be compared. `chi2` is the plain sum of the squares of so
    many `residuals`; None where there are none.
    """

    cost: float
    gradient: Floats
    curvature: Floats | None
    counts: Mapping[str, float]
    units: Floats | None = None
    seen_from: Callable[[Floats], float] | None = None
    effective: Bools | None = None
    chi2: float | None = None
    residuals: int = 0

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
class _Matched:
    """Residuals `r` `(m, k)` in `unit`, their derivatives `j` `(m, k, P)`, and the `difference` in physical units."""

    pairs: Match
    difference: Floats
    unit: Floats
    r: Floats
    j: Floats


@dataclass(frozen=True)
class MatchedResiduals:
    """Fair cost of matched charge and time residuals.

    `cost = sum c^2 (|r|/c - ln(1 + |r|/c))` over residuals r, whose weight is `1 / (1 + |r|/c)` (the Fair
    M-estimator; c is `fair_scale`): a hit that moved to another crossing pulls little. The unit of a residual is
    `scales` (one per value), widened in quadrature by what `threshold_noise` electrons would move it, so that
    crossings on a plateau, whose time means little, count little; by what `reset_noise` electrons, drawn before every
    hit, do to it; and by the rounding of the data. A hit without partner costs as much as a residual of c in each
    value, so hits cannot be gained by losing partners. Only hits `kept` `(h, 3)` (event, channel, order) are looked
    at, on either side; None: all.
    """

    model: ObservableModel
    data: Observables
    scales: Floats
    fair_scale: float
    threshold_noise: float
    kept: Ints | None = None
    reset_noise: float = 0.0

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation:
        """See `Objective.evaluate`."""
        at = self._matched(values, names)
        r, pairs = at.r.reshape(-1), at.pairs
        j = at.j.reshape(len(r), len(names))
        weighted = j * self._weight(r)[:, None]
        unmatched = pairs.unmatched_model + pairs.unmatched_data
        penalty = unmatched * len(self.scales) * float(self._fair(np.array(self.fair_scale)))
        units = np.full((len(self.data), len(self.scales)), np.nan)
        units[pairs.data] = at.unit

        def seen_from(other: Floats) -> float:
            theirs = other[pairs.data]
            # A pair that the other point does not have keeps its own unit.
            return float(self._fair(at.difference / np.where(np.isfinite(theirs), theirs, at.unit)).sum()) + penalty

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
            chi2=float(r @ r),
            residuals=len(r),
        )

    def scores(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(g, P)` minus the derivatives of the cost of each pixel with matched hits; its noise is no other pixel's."""
        at = self._matched(values, names)
        of_hits = -np.einsum("mk,mkp->mp", self._weight(at.r) * at.r, at.j)
        pixel = np.stack([self.data.event, self.data.channel], axis=1)[at.pairs.data]
        group = common_numbers(pixel)[0]
        scores = np.zeros((int(group.max(initial=-1)) + 1, len(names)))
        np.add.at(scores, group, of_hits)
        return scores

    def sensitivity(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(P, P)` second derivative of the cost, but for that of the model, which noise averages to nothing.

        It is not the curvature of `evaluate`, which is never too small for a step.
        """
        at = self._matched(values, names)
        # The second derivative of the Fair cost is the square of its weight.
        slopes = (self._weight(at.r)[:, :, None] * at.j).reshape(-1, len(names))
        return np.asarray(slopes.T @ slopes)

    def _matched(self, values: Mapping[str, float], names: tuple[str, ...]) -> _Matched:
        at = self.model.linearise(values, names)
        pairs = match(restricted(at.observables, self.kept), self._data)
        unit = np.hypot(self.scales, self.data.rounding)
        unit = np.hypot(unit, self.threshold_noise * at.softness[pairs.model])
        unit = np.hypot(unit, self.reset_noise * at.reset[pairs.model])
        difference = residuals(at.observables, self.data, pairs)
        return _Matched(pairs, difference, unit, difference / unit, at.jacobian[pairs.model] / unit[:, :, None])

    @cached_property
    def _data(self) -> Observables:
        return restricted(self.data, self.kept)

    def _weight(self, r: Floats) -> Floats:
        return np.asarray(1 / (1 + np.abs(r) / self.fair_scale))

    def _fair(self, r: Floats) -> Floats:
        scaled = np.abs(r) / self.fair_scale
        return np.asarray(self.fair_scale**2 * (scaled - np.log1p(scaled)))
