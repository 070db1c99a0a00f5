"""How well a fit knows its parameters: covariance from information or from scores, in the coordinates of the fit,
carried to physical units.

Nothing here guesses: what the data do not hold is NaN in the covariance and has a caveat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from ..config import methods as config
from ..errors import ModelRangeError
from ..parameters import Parameter
from ..tables import Floats, Uncertainty
from .directions import weakest
from .information import PRECISION, Observed, Spectrum, chain, observed_information
from .objective import Objective

#: Steps of differences in units of the expected uncertainty.
STEP = 0.05
#: Standard uncertainties by two means that differ by more are worth a word.
_APART = 0.2
#: Relative uncertainty of an inverse from which the interval of its value is visibly asymmetric.
_ASYMMETRIC = 0.1

#: Relative uncertainties of an uncertainty that are worth a word.
_SELF_KNOWN = 0.15

EXPECTED, OBSERVED, SANDWICH = "expected information", "observed information", "sandwich"
#: Of fits of unknown segments: of the likelihood with these integrated over, and where its gradient was simulated.
MARGINAL, SIMULATED = "marginal information", "scatter of simulated tracks"
#: What these would say if the segments were known, and if where they lie was.
SEGMENTS_KNOWN, GEOMETRY_KNOWN = "segments known", "geometry known"


@runtime_checkable
class Informative(Objective, Protocol):
    """An objective that knows the probability of data, such as a likelihood."""

    def information(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(P, P)` expected information at the parameter values (physical units)."""
        ...


@runtime_checkable
class Weighted(Objective, Protocol):
    """An objective whose weights are not those of a probability."""

    def scores(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(g, P)` minus the derivatives of the cost of each independent group of data (physical units)."""
        ...

    def sensitivity(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(P, P)` expected second derivative of the cost (physical units)."""
        ...


def from_information(
    information: Floats,
    parameters: Sequence[Parameter],
    values: Mapping[str, float],
    *,
    kind: str = EXPECTED,
    precision: float = PRECISION,
) -> Uncertainty:
    """Uncertainty from the `information` `(P, P)` in the coordinates that fits move in (see `Parameter.to_internal`).

    The inverse is taken of the matrix scaled to unit diagonal. Parameters that have a share in a direction that the
    data do not hold (to `precision`) are NaN in the covariance; so are all if the information is not positive.
    """
    spectrum = Spectrum(np.asarray(information, dtype=np.float64), precision)
    return _uncertainty(spectrum, spectrum.inverse(), parameters, values, kind)


def from_scores(
    bread: Floats,
    scores: Floats,
    parameters: Sequence[Parameter],
    values: Mapping[str, float],
    *,
    kind: str = SANDWICH,
    precision: float = PRECISION,
) -> Uncertainty:
    """Uncertainty from the sandwich of `bread` `(P, P)` and `scores` `(g, P)`, in the coordinates that fits move in.

    The directions are those of the Godambe information, the inverse of the sandwich.
    """
    spectrum = Spectrum(np.asarray(bread, dtype=np.float64), precision)
    covariance = sandwich(bread, scores, precision=precision)
    if not spectrum.known.all():
        return _uncertainty(spectrum, covariance, parameters, values, kind)
    spread = Spectrum(covariance, precision)
    if not spread.known.all():
        text = f"{len(scores)} independent groups of data are too few for the uncertainty of {len(bread)} parameters."
        nothing = np.full_like(covariance, np.nan)
        return replace(_uncertainty(spectrum, nothing, parameters, values, kind), caveats=(text,))
    found = _uncertainty(Spectrum(spread.inverse(), precision), covariance, parameters, values, kind)
    return replace(found, caveats=(*found.caveats, *_few_groups(_moves(spectrum, scores), parameters)))


def sandwich(bread: Floats, scores: Floats, *, precision: float = PRECISION) -> Floats:
    """`(P, P)` covariance H^-1 (sum s s^T) H^-1 of the solution of estimating equations.

    Huber, Proc. Fifth Berkeley Symp. 1 (1967) 221; White, Econometrica 50 (1982) 1.

    `bread` H `(P, P)`: expected derivative of minus the summed score; `scores` s `(g, P)`: of groups of data that are
    independent. NaN for parameters that the bread does not hold.
    """
    spectrum = Spectrum(np.asarray(bread, dtype=np.float64), precision)
    if not spectrum.known.any():
        return np.full(spectrum.information.shape, np.nan)
    moves = _moves(spectrum, scores)
    return spectrum.only_known(moves.T @ moves)


def _moves(spectrum: Spectrum, scores: Floats) -> Floats:
    """`(g, P)` by how much each group of data moves the solution."""
    half = spectrum.half_inverse()
    return np.asarray(scores @ half @ half.T)


def _few_groups(moves: Floats, parameters: Sequence[Parameter]) -> list[str]:
    """Uncertainties that few groups of data decide: a sum of squares of which some are large fluctuates."""
    squares = moves**2
    # The square of a Gaussian number has a variance of 2/3 of the mean of its fourth power.
    uncertain = 0.5 * np.sqrt(2 / 3 * (squares**2).sum(axis=0)) / squares.sum(axis=0)
    few = [(p.name, own) for p, own in zip(parameters, uncertain, strict=True) if own > _SELF_KNOWN]
    if not few:
        return []
    named = ", ".join(f"{name} {own:.0%}" for name, own in few)
    return [f"Few independent groups of data decide these uncertainties, which are only known to so much: {named}."]


def of_fit(
    objective: Objective,
    parameters: Sequence[Parameter],
    values: Mapping[str, float],
    settings: config.Uncertainty,
    *,
    rounding: float,
) -> Uncertainty | None:
    """Uncertainty of a fit of `parameters` that ended at `values` (all that are not nominal); None for objectives
    without curvature.

    A likelihood gives its expected information, weighted residuals the sandwich. `rounding` is that of the arithmetic
    of the model.
    """
    precision = max(PRECISION, 100 * rounding)
    names = tuple(p.name for p in parameters)
    slopes = chain(parameters, values)

    def by(information: Floats, kind: str) -> Uncertainty:
        if scores is None:
            return from_information(information, parameters, values, kind=kind, precision=precision)
        return from_scores(information, scores, parameters, values, kind=kind, precision=precision)

    if isinstance(objective, Informative):
        scores, kinds = None, (EXPECTED, OBSERVED)
        information = objective.information(values, names)
    elif isinstance(objective, Weighted):
        scores, kinds = objective.scores(values, names) * slopes, (SANDWICH, f"{SANDWICH} of {OBSERVED}")
        information = objective.sensitivity(values, names)
    else:
        return None
    found = by(information * np.outer(slopes, slopes), kinds[0])
    if not (settings.observed and np.isfinite(found.covariance).all()):
        return found
    try:
        observed = observed_information(objective, parameters, values, STEP * found.standard / np.abs(slopes))
    except ModelRangeError as error:
        return replace(found, caveats=(*found.caveats, f"The observed information could not be computed: {error}"))
    return _compared(found, by(observed.information, kinds[1]), observed)


def _compared(found: Uncertainty, other: Uncertainty, observed: Observed) -> Uncertainty:
    """`found` with the covariance of `other` beside it, and what is to be said of the two."""
    caveats = list(found.caveats)
    if observed.asymmetry > 0.5 * found.eigenvalues[0]:
        caveats.append(
            f"The observed information is only accurate to {observed.asymmetry:.1g} of its diagonal, the weakest "
            f"direction stands out of it by {found.eigenvalues[0]:.1g}: do not use it."
        )
    if not np.isfinite(other.covariance).all():
        caveats.append(f"The {other.kind} gives no covariance: {' '.join(other.caveats)}")
        return replace(found, caveats=tuple(caveats))
    ratio = other.standard / found.standard
    worst = int(np.abs(np.log(ratio)).argmax())
    if abs(ratio[worst] - 1) > _APART:
        caveats.append(
            f"The {other.kind} gives {ratio[worst]:.2g} times the uncertainty of {found.names[worst]} that the "
            f"{found.kind} gives: the cost is not parabolic, or the model does not describe the noise."
        )
    return replace(found, others={**found.others, other.kind: other.covariance}, caveats=tuple(caveats))


def _uncertainty(
    spectrum: Spectrum, covariance: Floats, parameters: Sequence[Parameter], values: Mapping[str, float], kind: str
) -> Uncertainty:
    """The `covariance` `(P, P)` of the coordinates that fits move in as one of values, with all that goes by it."""
    slopes = chain(parameters, values)
    return Uncertainty(
        kind=kind,
        names=tuple(p.name for p in parameters),
        covariance=np.asarray(covariance * np.outer(slopes, slopes)),
        eigenvalues=spectrum.eigenvalues,
        eigenvectors=spectrum.eigenvectors,
        directions=weakest(spectrum, parameters, values),
        caveats=(*_faults(spectrum, parameters), *_asymmetric(covariance, parameters, values)),
    )


def _faults(spectrum: Spectrum, parameters: Sequence[Parameter]) -> list[str]:
    """Why some or all parameters have no uncertainty."""
    if not spectrum.finite:
        return ["The information is not a finite number, so that there is no uncertainty."]
    if spectrum.indefinite:
        return [
            f"The information is not positive (smallest eigenvalue {spectrum.eigenvalues[0]:.2g} with unit diagonal): "
            f"the fit is not at its minimum or the derivatives are too rough, so that there is no uncertainty."
        ]
    return spectrum.undetermined([p.name for p in parameters])


def _asymmetric(covariance: Floats, parameters: Sequence[Parameter], values: Mapping[str, float]) -> list[str]:
    """Intervals of parameters that the data know by their inverse, where these are not symmetric."""
    remarks = []
    for i, p in enumerate(parameters):
        at = p.to_internal(values[p.name])
        sigma = float(np.sqrt(covariance[i, i]))
        if not (p.fit_inverse and sigma > _ASYMMETRIC * at):
            continue
        low = p.from_internal(at + sigma)
        high = f"{p.from_internal(at - sigma):.4g}" if sigma < at else "infinity"
        remarks.append(
            f"The uncertainty of {p.name} is symmetric in 1 / {p.symbol}: its 68 % interval is {low:.4g} to {high} "
            f"{p.unit}."
        )
    return remarks
