"""The fits of the study `pulls`: one for each target and noise draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.methods import Method, Uncertainty
from ..errors import FitError, ModelRangeError
from ..parameters import table
from ..tables import FitResult, Observables
from .experiment import Experiment, noise_seed


@dataclass(frozen=True)
class Job:
    """One fit, by the numbers of its target and of its draw."""

    target: int
    draw: int


@dataclass(frozen=True)
class PullFits:
    """What all fits share; `hold` are parameters held at multiples of their true values."""

    experiment: Experiment
    method: Method
    name: str
    targets: Mapping[str, Mapping[str, float]]
    hold: Mapping[str, float]
    seed: int

    @property
    def free(self) -> tuple[str, ...]:
        """Parameters that are fitted."""
        return tuple(n for n in self.method.free if n not in self.hold)

    def do(self, job: Job) -> dict[str, Any]:
        """Fit from the nominal point; a fit that cannot be made is an answer, too."""
        name, target = list(self.targets.items())[job.target]
        told: dict[str, Any] = {"target": name, "draw": job.draw}
        method = repeated(self.method, self.free, self.hold, target)
        data = self.experiment.data(target, noise_seed(self.seed, job.target, job.draw))
        try:
            result = self.experiment.fit(method, self.name, data, target, self.seed)
        except (FitError, ModelRangeError) as refused:
            return {**told, **nothing(str(refused))}
        told |= {"hits": len(data), **outcome(result, target)}
        return {**told, "scores": self._scores(data, target)}

    def _scores(self, data: Observables, values: Mapping[str, float]) -> dict[str, list[float]]:
        """Number, sum and sum of squares of the normal scores of times and charges at the true values."""
        found = self.experiment.normal_scores(data, values)
        return {name: [len(z), float(z.sum()), float(z @ z)] for name, z in found.items()}


def repeated(method: Method, free: tuple[str, ...], hold: Mapping[str, float], target: Mapping[str, float]) -> Method:
    """The method as it fits `free` in repeated experiments: once, from the nominal point, others of `hold` held at
    that multiple of their true values.
    """
    held = {n: share * target.get(n, table()[n].nominal) for n, share in hold.items()}
    once = {"free": free, "fixed": {**method.fixed, **held}, "initial": {}, "starts": 1}
    # Pulls take the expected information; differences of gradients would cost more than the fit.
    return method.model_copy(update={**once, "uncertainty": Uncertainty(observed=False)})


def nothing(status: str) -> dict[str, Any]:
    """What is left of a fit that was refused, which is an answer, too."""
    return {
        "converged": False,
        "status": status,
        "iterations": 0,
        "hits": 0,
        "outliers": 0,
        "values": {},
        "uncertainties": {},
        "pulls": {},
        "distance": None,
        "scores": {},
    }


def outcome(result: FitResult, target: Mapping[str, float]) -> dict[str, Any]:
    """What studies keep of a fit: values, uncertainties in physical units, pulls, and the square of the distance to
    the truth in units of the covariance, in the coordinates in which fits move.
    """
    values = {p.name: p.value for p in result.parameters if p.free}
    told = {"converged": result.converged, "status": result.status, "iterations": result.iterations}
    outliers = int(result.diagnostics.get("unmatched_data", 0))
    return {**told, "outliers": outliers, "values": values, **_pulls(result, values, target)}


def _pulls(result: FitResult, values: Mapping[str, float], target: Mapping[str, float]) -> dict[str, Any]:
    """Uncertainties in physical units; pulls, and the square of the distance to the truth in units of the covariance,
    in the coordinates in which fits move.
    """
    found = result.uncertainty
    if found is None or not np.isfinite(found.covariance).all():
        return {"uncertainties": {}, "pulls": {}, "distance": None}
    parameters = [table()[n] for n in found.names]
    scale = np.array([p.derivative(values[p.name]) for p in parameters])
    apart = np.array([p.to_internal(values[p.name]) - p.to_internal(target[p.name]) for p in parameters])
    covariance = found.covariance / np.outer(scale, scale)
    sigma = np.sqrt(np.diag(covariance))
    unit = apart / sigma
    return {
        "uncertainties": dict(zip(found.names, found.standard.tolist(), strict=True)),
        "pulls": dict(zip(found.names, unit.tolist(), strict=True)),
        "distance": float(unit @ np.linalg.solve(covariance / np.outer(sigma, sigma), unit)),
    }
