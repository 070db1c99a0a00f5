"""The fit looked at by another program: minimum, covariance and profile intervals by Minuit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from iminuit import Minuit
from iminuit.util import MError

from ..errors import FitError, ModelRangeError
from ..parameters import Parameter, lookup
from ..tables import Floats, Uncertainty
from .objective import Evaluation, Objective

#: Minuit's minimum further from that of the fit than this [expected uncertainties] is worth a sentence.
_FAR = 0.1
#: One further away than this is another minimum, or none.
_ELSEWHERE = 3.0
#: Calls per parameter after which MIGRAD, and MINOS for one parameter, give up; smooth objectives need a fifth of it.
_CALLS = 100
#: Coordinates stop at this share of the way to a physical bound: on it derivatives are infinite.
_SHARE_OF_WAY = 0.999


@dataclass(frozen=True)
class Profile:
    """What Minuit finds around the end of a fit of the parameters `names` (P of them), in physical units.

    `values` `(P,)` is its minimum, `moved` `(P,)` how far that is from the fit, in expected uncertainties.
    `covariance` `(P, P)` is that of HESSE; None where it has no sound one. `intervals` are the 68 % intervals
    of MINOS, lowest and highest value, of all parameters that have one. `valid` tells whether minimum, covariance and
    all intervals are sound; `complaints` are sentences that say what is not. `evaluations` of the objective were made.
    """

    names: tuple[str, ...]
    values: Floats
    moved: Floats
    covariance: Floats | None
    intervals: Mapping[str, tuple[float, float]]
    valid: bool
    complaints: tuple[str, ...]
    evaluations: int


def profile(
    objective: Objective,
    values: Mapping[str, float],
    names: tuple[str, ...],
    uncertainty: Uncertainty,
    *,
    rounding: float = float(np.finfo(np.float64).eps),
) -> Profile:
    """Minuit on an objective (minus log-likelihood, or half a chi2) from the end of a fit.

    `values` are all values of the fit, `uncertainty` is the one expected of its free parameters `names`; `rounding` is
    the relative precision of the objective. MIGRAD, HESSE and MINOS (F. James, M. Roos, Comput. Phys. Commun. 10 (1975)
    343) work with exact gradients in the coordinates of fits, in multiples of the expected uncertainty, within physical
    bounds. Where Minuit does not succeed, `complaints` say so. Raises `FitError` where an expected uncertainty is not a
    positive number: nothing would be the right size for a step.
    """
    around = _Surroundings.of(objective, values, names, uncertainty)
    minuit = Minuit(around.cost, np.zeros(len(names)), grad=around.gradient, name=names)
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.errors = np.ones(len(names))
    minuit.limits = around.limits()
    # Costs are counted from that of the fit, but were rounded before.
    minuit.precision = rounding * max(1.0, abs(around.at_fit.cost))
    complaints = _minimise(minuit)
    end = np.array(minuit.values)
    sound = minuit.valid and minuit.accurate and not complaints
    intervals = _intervals(minuit, around, complaints) if sound else {}
    far = [f"{n} by {u:+.2g}" for n, u in zip(names, end, strict=True) if abs(u) > _FAR]
    if far:
        complaints.append(
            f"Minuit's minimum is not that of the fit; in expected uncertainties it moved {', '.join(far)}."
        )
    return Profile(
        names=names,
        values=around.values_at(end),
        moved=end,
        covariance=np.array(minuit.covariance) * np.outer(*[around.chain(end)] * 2) if sound else None,
        intervals=intervals,
        valid=bool(sound) and len(intervals) == len(names),
        complaints=tuple(complaints),
        evaluations=around.evaluations,
    )


def cross_checked(uncertainty: Uncertainty, found: Profile) -> Uncertainty:
    """The uncertainty with Minuit's covariance beside it, its intervals, and what it complains about."""
    others = dict(uncertainty.others)
    if found.covariance is not None:
        others["Minuit HESSE"] = found.covariance
    return replace(
        uncertainty,
        others=others,
        intervals={**uncertainty.intervals, **found.intervals},
        caveats=(*uncertainty.caveats, *found.complaints),
    )


def _minimise(minuit: Minuit) -> list[str]:
    """MIGRAD, then HESSE; sentences on what went wrong."""
    try:
        minuit.migrad(ncall=_CALLS * minuit.npar, iterate=1)
        if not minuit.valid:
            return [f"Minuit found no valid minimum: {_why(minuit)}."]
        if np.abs(np.array(minuit.values)).max() > _ELSEWHERE:
            return ["Minuit ran away from the end of the fit, which is no minimum, or not the lowest one nearby."]
        minuit.hesse()
    except ModelRangeError as refused:
        return [f"Minuit was stopped on its way to the minimum: {refused}"]
    if not minuit.valid or not minuit.accurate:
        return [f"Minuit has no accurate covariance: {_why(minuit)}."]
    return []


def _why(minuit: Minuit) -> str:
    end = minuit.fmin
    assert end is not None, "there is an outcome after MIGRAD"
    reasons = {
        "it used up its calls": end.has_reached_call_limit,
        f"the estimated distance to the minimum, {end.edm:.2g}, stays above its goal, {end.edm_goal:.2g}": (
            end.is_above_max_edm
        ),
        "the second derivatives are not positive definite": not end.has_posdef_covar or end.has_made_posdef_covar,
        "HESSE failed": end.hesse_failed,
        "a parameter is at its physical bound": end.has_parameters_at_limit,
    }
    return "; ".join(reason for reason, applies in reasons.items() if applies) or "it does not say why"


def _intervals(minuit: Minuit, around: _Surroundings, complaints: list[str]) -> dict[str, tuple[float, float]]:
    """Intervals of MINOS by name; what hinders one is added to the complaints."""
    found = {}
    for number, name in enumerate(around.names):
        try:
            minuit.minos(name, ncall=_CALLS * minuit.npar)
        except (ModelRangeError, RuntimeError) as refused:
            complaints.append(f"MINOS gives no interval of {name}: {str(refused).rstrip('.')}.")
            continue
        error = minuit.merrors[name]
        if not error.is_valid or error.at_lower_limit or error.at_upper_limit:
            complaints.append(f"MINOS gives no interval of {name}: {_hindrance(error)}.")
            continue
        low, high = (around.value(number, float(minuit.values[name]) + side) for side in (error.lower, error.upper))
        found[name] = (low, high)
    return found


def _hindrance(error: MError) -> str:
    reasons = {
        "it found a lower minimum on its way": error.lower_new_min or error.upper_new_min,
        "the lower end lies beyond a physical bound": error.at_lower_limit,
        "the upper end lies beyond a physical bound": error.at_upper_limit,
        "it used up its calls": error.at_lower_max_fcn or error.at_upper_max_fcn,
    }
    ends = [end for end, valid in (("lower", error.lower_valid), ("upper", error.upper_valid)) if not valid]
    return "; ".join(r for r, applies in reasons.items() if applies) or f"no crossing at its {' and '.join(ends)} end"


@dataclass
class _Surroundings:
    """An objective around the end of a fit: coordinate 0 is the fit, 1 an expected uncertainty above it."""

    objective: Objective
    fixed: Mapping[str, float]
    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    centre: Floats
    unit: Floats
    at_fit: Evaluation
    evaluations: int = 1
    _last: tuple[bytes, Evaluation] | None = field(default=None)

    @classmethod
    def of(
        cls, objective: Objective, values: Mapping[str, float], names: tuple[str, ...], uncertainty: Uncertainty
    ) -> _Surroundings:
        if uncertainty.names != names:
            raise FitError(
                f"profile: the expected uncertainty is of {', '.join(uncertainty.names)}, the profile of "
                f"{', '.join(names)}; give both the same names in the same order."
            )
        expected = np.diag(uncertainty.covariance)
        for name, variance in zip(names, expected, strict=True):
            if not (math.isfinite(variance) and variance > 0):
                raise FitError(f"profile: no uncertainty of {name} is expected; take it out of the free parameters.")
        parameters = tuple(lookup(n, "profile") for n in names)
        # Signed, so that coordinates rise with the values also where fits move in the inverse.
        slope = np.array([p.derivative(values[p.name]) for p in parameters])
        return cls(
            objective=objective,
            fixed=values,
            names=names,
            parameters=parameters,
            centre=np.array([p.to_internal(values[p.name]) for p in parameters]),
            unit=np.sqrt(expected) / slope,
            at_fit=objective.evaluate(values, names),
        )

    def value(self, number: int, u: float) -> float:
        """Value of one parameter at its coordinate."""
        return self.parameters[number].from_internal(float(self.centre[number] + self.unit[number] * u))

    def values_at(self, u: Floats) -> Floats:
        """`(P,)` values at coordinates."""
        return np.array([self.value(k, float(c)) for k, c in enumerate(u)])

    def chain(self, u: Floats) -> Floats:
        """`(P,)` d value / d coordinate."""
        values = self.values_at(u)
        slopes = [p.derivative(float(v)) for p, v in zip(self.parameters, values, strict=True)]
        return np.asarray(self.unit * slopes)

    def limits(self) -> list[tuple[float, float]]:
        """Lowest and highest coordinate of every parameter: physical bounds only."""
        found = []
        for p, centre, unit in zip(self.parameters, self.centre, self.unit, strict=True):
            # The inverse of a positive value is bounded below by 0, whatever the bounds of the value.
            bounds = (0.0, math.inf) if p.fit_inverse else (p.to_internal(p.minimum), p.to_internal(p.maximum))
            low, high = sorted(_SHARE_OF_WAY * (bound - centre) / unit for bound in bounds)
            found.append((float(low), float(high)))
        return found

    def cost(self, u: Floats) -> float:
        """Cost above that of the fit, in the units of residuals that hold there."""
        return self._at(u).cost_seen_from(self.at_fit) - self.at_fit.cost

    def gradient(self, u: Floats) -> Floats:
        """`(P,)` derivatives of the cost to the coordinates."""
        return self._at(u).gradient * self.chain(u)

    def _at(self, u: Floats) -> Evaluation:
        # Minuit asks for cost and gradient at the same point, one after the other.
        key = np.asarray(u, dtype=np.float64).tobytes()
        if self._last is None or self._last[0] != key:
            values = {**self.fixed, **dict(zip(self.names, map(float, self.values_at(u)), strict=True))}
            self._last = (key, self.objective.evaluate(values, self.names))
            self.evaluations += 1
        return self._last[1]
