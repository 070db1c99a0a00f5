"""The likelihood of data as an objective: minus the logarithm of their probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..tables import Floats, Observables, Probability
from .objective import Evaluation


class ProbabilityModel(Protocol):
    """What a likelihood asks of any detector readout that knows its noise."""

    def probability(self, data: Observables, values: Mapping[str, float], names: tuple[str, ...]) -> Probability:
        """Log-probability of the data at the parameter values, with derivatives to the parameters `names`."""
        ...

    def information(self, data: Observables, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(P, P)` expected information on the parameters `names`: the covariance of the score, at these values."""
        ...


@dataclass(frozen=True)
class Likelihood:
    """Minus log-likelihood. Its curvature only steers; `information` is what uncertainties come from."""

    model: ProbabilityModel
    data: Observables

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation:
        """See `Objective.evaluate`; hits that only an outlier explains count as data without partner."""
        at = self.model.probability(self.data, values, names)
        return Evaluation(
            cost=-float(at.log.sum()),
            gradient=-at.score.sum(axis=0),
            curvature=at.curvature,
            counts={"matched": at.hits, "unmatched_model": 0, "unmatched_data": at.outliers},
        )

    def scores(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(g, P)` derivatives of the log-probability of each independent group of data (a pixel)."""
        return self.model.probability(self.data, values, names).score

    def information(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(P, P)` expected information at the parameter values."""
        return self.model.information(self.data, values, names)
