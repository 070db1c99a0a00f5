"""Objectives whose uncertainty is known in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.calibrate.objective import Evaluation
from pipeline.parameters import table
from pipeline.tables import Floats, Uncertainty

#: A strongly and a weakly correlated pair, and one parameter that is alone.
NAMES = ("birks_ab", "birks_kb", "electric_field", "longitudinal_diffusion")
CORRELATION = np.array([[1, 0.98, 0, 0.1], [0.98, 1, 0, 0.1], [0, 0, 1, 0], [0.1, 0.1, 0, 1.0]])


def nominal(names: tuple[str, ...] = NAMES) -> Floats:
    return np.array([table()[n].nominal for n in names])


def covariance() -> Floats:
    """Of `NAMES`: 1, 5, 0.1 and 10 % of the nominal values, correlated."""
    standard = np.array([0.01, 0.05, 0.001, 0.1]) * nominal()
    return CORRELATION * np.outer(standard, standard)


def expected(names: tuple[str, ...], covariance: Floats) -> Uncertainty:
    return Uncertainty("expected information", names, covariance, np.ones(len(names)), np.eye(len(names)))


@dataclass
class GaussianData:
    """Minus log-likelihood `(x - centre)' H (x - centre) / 2` of the parameters `names`, which are linear in the data:
    one group per row of the square root of H.
    """

    centre: Floats
    covariance: Floats
    names: tuple[str, ...] = NAMES
    offset: float = 1e4
    asked: list[dict[str, float]] = field(default_factory=list)

    def away(self, values: Mapping[str, float]) -> Floats:
        return np.array([values[n] for n in self.names]) - self.centre

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation:
        self.asked.append(dict(values))
        away, information = self.away(values), self.information(values, names)
        counts = {"matched": 100, "unmatched_model": 0, "unmatched_data": 0}
        return Evaluation(0.5 * away @ information @ away + self.offset, information @ away, information, counts)

    def scores(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        root = np.linalg.cholesky(self.information(values, names)).T
        return -root * (root @ self.away(values))[:, None]

    def information(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        assert names == self.names
        return np.linalg.inv(self.covariance)
