"""A drift chamber that fits in a few formulas: a model to try fits on, independent of the simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.errors import ModelRangeError
from pipeline.parameters import nominal_values
from pipeline.tables import Linearised, Observables


@dataclass
class ToyChamber:
    """Point charges at distances `d` from a plane, seen one by one: `charge = 100 A_B exp(-t / tau) / (1 + k x / E)`
    and `t = d / (0.32 E)`, shifted by `shift_z`.

    A count is 1000 electrons. Charges below `threshold` leave no hit; fields above `largest_field` are refused;
    `softness` and `reset` are those of every hit.
    """

    hits: int = 60
    threshold: float = 0.0
    largest_field: float = np.inf
    softness: float = 0.0
    reset: float = 0.0
    asked: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(7)
        self.distance = rng.uniform(1, 30, self.hits)
        self.dedx = rng.uniform(2, 12, self.hits)
        self.event = np.arange(self.hits) // 20
        self.channel = np.arange(self.hits) % 20 // 2
        self.order = np.arange(self.hits) % 2

    def formula(self, p: Mapping[str, complex]) -> np.ndarray:
        """`(hits, 2)` charges and times; any parameter may be complex."""
        time = (self.distance + p["shift_z"]) / (0.32 * p["electric_field"])
        quenching = 1 + p["birks_kb"] * self.dedx / (p["electric_field"] * p["density"])
        return np.stack([100 * p["birks_ab"] * np.exp(-time / p["electron_lifetime"]) / quenching, time], axis=1)

    def observe(self, values: Mapping[str, float]) -> Observables:
        p = {**nominal_values(), **values}
        if p["electric_field"] > self.largest_field:
            raise ModelRangeError(f"electric_field = {p['electric_field']} is too strong.")
        seen = self.formula(p)
        keep = seen[:, 0] >= self.threshold
        return Observables(
            self.event[keep],
            self.channel[keep],
            self.order[keep],
            seen[keep],
            ("adc", "t"),
            np.ones(keep.sum(), bool),
            {"charge": 1000 * seen[keep, 0].real},
        )

    def linearise(self, values: Mapping[str, float], names: tuple[str, ...]) -> Linearised:
        self.asked.append(dict(values))
        observables = self.observe(values)
        keep = self.formula({**nominal_values(), **values})[:, 0] >= self.threshold
        p = {**nominal_values(), **values}
        # Derivatives of analytic formulas to the last digit: the imaginary part of a tiny complex step.
        columns = [self.formula({**p, n: p[n] + 1e-30j}).imag / 1e-30 for n in names]
        jacobian = np.stack(columns, axis=2)[keep] if names else np.zeros((keep.sum(), 2, 0))
        softness, reset = (np.full((keep.sum(), 2), size) for size in (self.softness, self.reset))
        return Linearised(observables, jacobian, softness, reset)


def noisy(data: Observables, seed: int, charge: float = 1.0, time: float = 0.1) -> Observables:
    """The same hits with Gaussian noise."""
    rng = np.random.default_rng(seed)
    return replace(data, values=data.values + rng.normal(size=data.values.shape) * [charge, time])
