"""A linear model with Gaussian noise, of which everything is known in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.calibrate.objective import Evaluation
from pipeline.errors import ModelRangeError
from pipeline.parameters import Parameter, table


def parameters(*names: str) -> list[Parameter]:
    return [table()[name] for name in names]


@dataclass
class LinearGaussian:
    """Data `y = design x + unit noise`, x being the parameters `names` in the coordinates that fits move in."""

    names: tuple[str, ...]
    design: np.ndarray
    data: np.ndarray
    highest: Mapping[str, float] = field(default_factory=dict)
    asked: list[dict[str, float]] = field(default_factory=list)

    def _x(self, values: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
        found = [(p.to_internal(values[p.name]), p.derivative(values[p.name])) for p in parameters(*self.names)]
        return np.array(found).T

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation:
        self.asked.append(dict(values))
        for name, highest in self.highest.items():
            if values[name] > highest:
                raise ModelRangeError(f"{name} is above {highest}.")
        x, slope = self._x(values)
        r = self.design @ x - self.data
        counts = {"matched": len(r), "unmatched_model": 0, "unmatched_data": 0}
        return Evaluation(0.5 * r @ r, self.design.T @ r / slope, self.information(values, names), counts)

    def scores(self, values: Mapping[str, float], names: tuple[str, ...]) -> np.ndarray:
        x, slope = self._x(values)
        return -(self.design @ x - self.data)[:, None] * self.design / slope

    def information(self, values: Mapping[str, float], names: tuple[str, ...]) -> np.ndarray:
        slope = self._x(values)[1]
        return self.design.T @ self.design / np.outer(slope, slope)

    def best(self) -> dict[str, float]:
        """The closed solution of least squares."""
        x = np.linalg.lstsq(self.design, self.data, rcond=None)[0]
        return {p.name: p.from_internal(v) for p, v in zip(parameters(*self.names), x, strict=True)}


def linear(*names: str, seed: int = 1, rows: int = 80, scale: float = 30.0) -> LinearGaussian:
    """A random model and data at the nominal values."""
    rng = np.random.default_rng(seed)
    design = scale * rng.normal(size=(rows, len(names)))
    return LinearGaussian(names, design, design @ np.ones(len(names)) + rng.normal(size=rows))
