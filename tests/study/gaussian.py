"""A repeated experiment of which everything is known: a drift chamber with Gaussian noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.calibrate.fit import fit
from pipeline.calibrate.likelihood import Likelihood
from pipeline.calibrate.objective import Objective
from pipeline.config.methods import Method
from pipeline.tables import FitResult, Floats, Observables, Probability
from tests.calibrate.stand_in import ToyChamber, noisy

NOISE = np.array([1.0, 0.1])


@dataclass(frozen=True)
class GaussianModel:
    """The probability of data with Gaussian noise, whose width the model takes for `stated` times what it is."""

    chamber: ToyChamber
    stated: float = 1.0

    def probability(self, data: Observables, values: Mapping[str, float], names: tuple[str, ...]) -> Probability:
        at = self.chamber.linearise(values, names)
        unit = (data.values - at.observables.values) / (self.stated * NOISE)
        slopes = at.jacobian / (self.stated * NOISE)[:, None]
        curvature = np.einsum("hkp,hkq->pq", slopes, slopes)
        return Probability(-0.5 * (unit**2).sum(axis=1), np.einsum("hkp,hk->hp", slopes, unit), curvature, len(data), 0)

    def information(self, data: Observables, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        return self.probability(data, values, names).curvature


@dataclass(frozen=True)
class GaussianExperiment:
    """Measurements with a chamber; `bias` [us] is added to all times of the data, and fits do not know."""

    hits: int = 400
    stated: float = 1.0
    bias: float = 0.0

    @property
    def chamber(self) -> ToyChamber:
        return ToyChamber(self.hits)

    def data(self, values: Mapping[str, float], seed: int) -> Observables:
        seen = noisy(self.chamber.observe(values), seed, *NOISE)
        return replace(seen, values=seen.values + np.array([0.0, self.bias]))

    def objective(self, method: Method, data: Observables) -> Objective:
        return Likelihood(GaussianModel(self.chamber, self.stated), data)

    def fit(self, method: Method, name: str, data: Observables, target: Mapping[str, float], seed: int) -> FitResult:
        return fit(self.objective(method, data), method, name, target=target, seed=seed, extra={}, noisy=True)

    def normal_scores(self, data: Observables, values: Mapping[str, float]) -> Mapping[str, Floats]:
        charge, time = ((data.values - self.chamber.observe(values).values) / (self.stated * NOISE)).T
        return {"t": time, "q": charge}
