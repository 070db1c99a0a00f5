"""Information of a fit on its parameters: scaled to unit diagonal, inverted where it can be, and observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..parameters import Parameter
from ..tables import Bools, Floats
from .objective import Objective

#: Directions with less than this share of the largest eigenvalue are held by nothing but rounding.
PRECISION = 1e-13
#: A parameter with more than this share in a direction that is not held has no uncertainty. Rounding leaves far less.
_SHARE = 1e-8
#: Parameters with more than this share in a direction are named with it.
_NAMED = 0.1


@dataclass(frozen=True)
class Spectrum:
    """A symmetric matrix of information `(P, P)` in units in which its diagonal is 1, and its eigenvectors.

    A parameter without information keeps its row of zeros. Directions with eigenvalues below `precision` times the
    largest are not held by the data.
    """

    information: Floats
    precision: float = PRECISION

    @cached_property
    def finite(self) -> bool:
        """Whether all entries are numbers."""
        return bool(np.isfinite(self.information).all())

    @cached_property
    def scale(self) -> Floats:
        """`(P,)` what the information was divided by, once for rows and once for columns: 1 / conditional sigma."""
        scale = np.sqrt(np.abs(np.diag(self.information)))
        return np.asarray(np.where(scale > 0, scale, 1.0))

    @cached_property
    def normalised(self) -> Floats:
        """`(P, P)` the information with unit diagonal, made symmetric."""
        if not self.finite:
            return np.full(self.information.shape, np.nan)
        scaled = self.information / self.scale / self.scale[:, None]
        return np.asarray(0.5 * (scaled + scaled.T))

    @cached_property
    def _eigen(self) -> tuple[Floats, Floats]:
        if not self.finite:
            return np.full(len(self.scale), np.nan), np.full(self.information.shape, np.nan)
        values, vectors = np.linalg.eigh(self.normalised)
        return values, vectors

    @property
    def eigenvalues(self) -> Floats:
        """`(P,)` in ascending order; NaN where the information is not finite."""
        return self._eigen[0]

    @property
    def eigenvectors(self) -> Floats:
        """`(P, P)` columns."""
        return self._eigen[1]

    @property
    def held(self) -> Bools:
        """`(P,)` which eigenvectors the data hold."""
        return np.asarray(self.eigenvalues >= self.precision * self.eigenvalues[-1])

    @property
    def indefinite(self) -> bool:
        """Whether some eigenvalue is negative by more than rounding: no information has that."""
        return bool((self.eigenvalues < -self.precision * np.abs(self.eigenvalues).max()).any())

    @property
    def known(self) -> Bools:
        """`(P,)` which parameters have an uncertainty: those with no share in a direction that is not held."""
        if not self.finite or self.indefinite:
            return np.zeros(len(self.scale), dtype=bool)
        return np.asarray((np.abs(self.eigenvectors[:, ~self.held]) <= _SHARE).all(axis=1))

    def half_inverse(self) -> Floats:
        """`(P, directions held)` W with W W^T the inverse of the information on the directions that are held."""
        root = self.eigenvectors[:, self.held] / np.sqrt(self.eigenvalues[self.held])
        return np.asarray(root / self.scale[:, None])

    def inverse(self) -> Floats:
        """`(P, P)` covariance; NaN for parameters that are not `known`."""
        if not self.known.any():
            return np.full(self.information.shape, np.nan)
        half = self.half_inverse()
        return self.only_known(half @ half.T)

    def only_known(self, covariance: Floats) -> Floats:
        """`covariance` `(P, P)` with NaN for parameters that are not `known`."""
        return np.asarray(np.where(np.outer(self.known, self.known), covariance, np.nan))

    def undetermined(self, names: Sequence[str]) -> list[str]:
        """A sentence for every direction in which the data do not hold the parameters `names` at all."""
        if not self.finite:
            return []
        remarks = []
        for vector in self.eigenvectors[:, ~self.held].T:
            involved = [name for name, share in zip(names, vector, strict=True) if abs(share) > _NAMED]
            how = "separately; fix one of them." if len(involved) > 1 else "at all; take it out of the free parameters."
            remarks.append(f"{' and '.join(involved)} cannot be determined from these data {how}")
        return remarks


def chain(parameters: Sequence[Parameter], values: Mapping[str, float]) -> Floats:
    """`(P,)` derivatives of the values to the coordinates that fits move in."""
    return np.array([p.derivative(values[p.name]) for p in parameters])


@dataclass(frozen=True)
class Observed:
    """Observed information `(P, P)` in the coordinates that fits move in, and how accurate it is: the largest
    `asymmetry` that the matrix of differences had, in units of its diagonal."""

    information: Floats
    asymmetry: float


def observed_information(
    objective: Objective, parameters: Sequence[Parameter], values: Mapping[str, float], step: Floats
) -> Observed:
    """Second derivatives of the cost at `values`, by central differences of its exact gradient over +- `step` `(P,)`.

    `step` is in the coordinates that fits move in (see `Parameter.to_internal`); a step that would come near a physical
    bound is shortened. Rounding and hits that appear or vanish within a step make the matrix of differences asymmetric.
    Raises `ModelRangeError` where the model cannot compute a displaced point.
    """
    names = tuple(p.name for p in parameters)
    rows = []
    for parameter, wanted in zip(parameters, step, strict=True):
        at = parameter.to_internal(values[parameter.name])
        size = min(float(wanted), 0.1 * _room(parameter, at))
        gradients = []
        for sign in (1, -1):
            displaced = {**values, parameter.name: parameter.from_internal(at + sign * size)}
            gradients.append(objective.evaluate(displaced, names).gradient * chain(parameters, displaced))
        rows.append((gradients[0] - gradients[1]) / (2 * size))
    differences = np.array(rows)
    scale = np.sqrt(np.abs(np.diag(differences)))
    scale = np.where(scale > 0, scale, 1.0)
    asymmetry = np.abs(differences - differences.T) / 2 / scale / scale[:, None]
    return Observed(0.5 * (differences + differences.T), float(asymmetry.max()))


def _room(parameter: Parameter, at: float) -> float:
    """Distance of a coordinate from the nearest physical bound."""
    bounds = [0.0] if parameter.fit_inverse else [parameter.to_internal(parameter.minimum)]
    if not parameter.fit_inverse:
        bounds.append(parameter.to_internal(parameter.maximum))
    return min(abs(at - bound) for bound in bounds)
