"""External measurements as priors: a correlated Gaussian beside the data, and what of the result rests on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg

from .. import parameters
from ..config.priors import Prior, prior_correlation
from ..errors import FitError
from ..tables import Floats
from .objective import Evaluation, Objective
from .uncertainty import Informative, Weighted

#: A direction of which the priors hold more than this share of all information rests on them alone.
ALONE = 0.9


@dataclass(frozen=True)
class Measurements:
    """Measured `values` `(m,)` of the parameters `names` with their `covariance` `(m, m)`, in physical units."""

    names: tuple[str, ...]
    values: Floats
    covariance: Floats

    @classmethod
    def of(cls, priors: Mapping[str, Prior]) -> Measurements:
        """The configured measurements."""
        standard = np.array([prior.uncertainty for prior in priors.values()])
        values = np.array([prior.value for prior in priors.values()])
        return cls(tuple(priors), values, prior_correlation(priors) * np.outer(standard, standard))

    @cached_property
    def precision(self) -> Floats:
        """`(m, m)` inverse of the covariance.

        Raises `FitError` where the covariance is not positive definite.
        """
        standard = np.sqrt(np.diag(self.covariance))
        try:
            factor = scipy.linalg.cho_factor(self.covariance / np.outer(standard, standard), lower=True)
        except (scipy.linalg.LinAlgError, ValueError) as error:
            raise FitError(
                f"priors: the covariance of the measurements of {', '.join(self.names)} is not positive definite; "
                f"mend their uncertainties and correlations."
            ) from error
        inverse = scipy.linalg.cho_solve(factor, np.eye(len(standard)))
        return np.asarray(inverse / np.outer(standard, standard))

    def pull(self, values: Mapping[str, float]) -> Floats:
        """`(m,)` parameter values (others nominal) minus the measured ones."""
        nominal = parameters.nominal_values()
        return np.array([values.get(n, nominal[n]) for n in self.names]) - self.values

    def information(self, names: tuple[str, ...]) -> Floats:
        """`(P, P)` information of the measurements on the parameters `names`, the others held."""
        place = self._place(names)
        return np.asarray(place.T @ self.precision @ place)

    def _place(self, names: tuple[str, ...]) -> Floats:
        """`(m, P)` which of the parameters `names` each measurement is of."""
        return np.array([[float(mine == name) for name in names] for mine in self.names]).reshape(-1, len(names))

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> tuple[float, Floats]:
        """Half the chi2 of the measurements, and its gradient `(P,)`."""
        pull = self.pull(values)
        return float(0.5 * pull @ self.precision @ pull), np.asarray(self._place(names).T @ self.precision @ pull)

    def groups(self, names: tuple[str, ...]) -> Floats:
        """`(m, P)` rows whose outer products add up to the information of the measurements."""
        return np.asarray(np.linalg.cholesky(self.precision).T @ self._place(names))


@dataclass(frozen=True)
class WithPriors:
    """An objective with half the chi2 of external measurements added.

    The objective must be a minus log-likelihood or half a chi2 in units of the noise, or the two do not compare.
    """

    objective: Objective
    measurements: Measurements

    def evaluate(self, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation:
        """See `Objective.evaluate`; measured parameters that are not among `names` stay at their values."""
        e = self.objective.evaluate(values, names)
        cost, gradient = self.measurements.evaluate(values, names)
        information = self.measurements.information(names)
        from_data = e.seen_from
        return replace(
            e,
            cost=e.cost + cost,
            gradient=e.gradient + gradient,
            curvature=None if e.curvature is None else e.curvature + information,
            seen_from=None if from_data is None else lambda units: from_data(units) + cost,
            effective=None if e.effective is None else e.effective | (np.diag(information) > 0),
        )


@dataclass(frozen=True)
class WeightedWithPriors(WithPriors):
    """The same of an objective whose weights are not those of a probability."""

    objective: Weighted

    def scores(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(g + m, P)` scores of the groups of data, and `Measurements.groups`.

        The score of one measurement says nothing about its variance: an estimate that rests on it lies at its value,
        where that score is zero. So the outer products of what stands here are those expected.
        """
        return np.concatenate([self.objective.scores(values, names), self.measurements.groups(names)])

    def sensitivity(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(P, P)` expected second derivative of the cost of data and measurements."""
        return self.objective.sensitivity(values, names) + self.measurements.information(names)


@dataclass(frozen=True)
class InformedWithPriors(WithPriors):
    """The same of an objective that knows the probability of data."""

    objective: Informative

    def information(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(P, P)` information of data and measurements."""
        return self.objective.information(values, names) + self.measurements.information(names)


def with_priors(objective: Objective, priors: Mapping[str, Prior]) -> Objective:
    """The objective with the configured measurements, or as it is where there are none."""
    if not priors:
        return objective
    measurements = Measurements.of(priors)
    if isinstance(objective, Informative):
        return InformedWithPriors(objective, measurements)
    if isinstance(objective, Weighted):
        return WeightedWithPriors(objective, measurements)
    return WithPriors(objective, measurements)


def measured_again(priors: Mapping[str, Prior], truth: Mapping[str, float], seed: int) -> dict[str, Prior]:
    """The measurements as another experiment of the same accuracy would find them if `truth` were true."""
    if not priors:
        return {}
    mean = [truth[name] for name in priors]
    found = np.random.default_rng(seed).multivariate_normal(mean, Measurements.of(priors).covariance)
    return {
        n: prior.model_copy(update={"value": float(v)}) for (n, prior), v in zip(priors.items(), found, strict=True)
    }


def prior_share(information_data: Floats, information_prior: Floats) -> Floats:
    """`(P,)` share of the variance of each estimate that comes from the priors: 0 none, 1 all.

    With C the inverse of the total information, the variance of an estimate is what noise of the data and noise of the
    measurements make of it: C = C I_data C + C I_prior C. The share is that of the second; for one parameter it is
    the weight of the measurement in the mean. It does not depend on units. Raises `FitError` where both together do not
    determine the parameters.
    """
    total, scale = _normalised(information_data + information_prior)
    covariance = _inverse(total)
    prior = information_prior / np.outer(scale, scale)
    return np.asarray(np.diag(covariance @ prior @ covariance) / np.diag(covariance))


def remarks_on_priors(objective: Objective, values: Mapping[str, float], names: tuple[str, ...]) -> tuple[str, ...]:
    """What of a fit comes from its priors, in sentences; none where it has no priors or the data no information.

    The first gives the shares (`prior_share`), the others are `prior_caveats`.
    """
    if not isinstance(objective, WithPriors):
        return ()
    data = _information_of(objective.objective, values, names)
    if data is None:
        return ()
    prior = objective.measurements.information(names)
    try:
        shares = prior_share(data, prior)
        caveats = prior_caveats(names, data, prior)
    except FitError as refused:
        return (str(refused),)
    told = [f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True) if share >= 0.005]
    if not told:
        return ("The priors add nothing to what the data know (less than 0.5 % of every variance).",)
    return (f"From the priors, not from the data, comes this share of the variance: {', '.join(told)}.", *caveats)


def _information_of(objective: Objective, values: Mapping[str, float], names: tuple[str, ...]) -> Floats | None:
    if isinstance(objective, Informative):
        return objective.information(values, names)
    if isinstance(objective, Weighted):
        return objective.sensitivity(values, names)
    return objective.evaluate(values, names).curvature


def prior_caveats(names: tuple[str, ...], information_data: Floats, information_prior: Floats) -> tuple[str, ...]:
    """A sentence for each direction that rests on the priors alone, and one if the weakest of all is such.

    Directions are those of the generalised eigenvalues of the information of the priors against the total, which do
    not depend on units; the weakest is that of the total scaled to unit diagonal. Raises `FitError` as `prior_share`
    does.
    """
    total, scale = _normalised(information_data + information_prior)
    _inverse(total)
    prior = information_prior / np.outer(scale, scale)
    shares, directions = scipy.linalg.eigh(prior, total)
    found = [
        f"{share:.1%} of what is known of {_together(names, direction)} comes from the priors, not from the data."
        for share, direction in zip(shares[::-1], directions.T[::-1], strict=True)
        if share > ALONE
    ]
    eigenvalues, eigenvectors = np.linalg.eigh(total)
    weakest = eigenvectors[:, 0]
    share = float(weakest @ prior @ weakest / eigenvalues[0])
    if share > ALONE:
        found.append(
            f"The weakest direction of the fit, {_together(names, weakest)}, rests on the priors alone ({share:.1%} of "
            f"its information): there the fit repeats them and cannot confirm them."
        )
    return tuple(found)


def _together(names: tuple[str, ...], direction: Floats) -> str:
    """The parameters that move along a direction, most of all first."""
    size = np.abs(direction) / np.abs(direction).max()
    taking_part: list[str] = [names[k] for k in np.argsort(-size, kind="stable").tolist() if size[k] > 0.1]
    if len(taking_part) == 1:
        return taking_part[0]
    return f"{', '.join(taking_part[:-1])} and {taking_part[-1]} moved together"


def _normalised(information: Floats) -> tuple[Floats, Floats]:
    """Information scaled to unit diagonal, and the scale `(P,)`."""
    scale = np.sqrt(np.diag(information))
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise FitError("neither data nor priors hold one of the free parameters; take it out of the free parameters.")
    return np.asarray(information / np.outer(scale, scale)), scale


def _inverse(normalised: Floats) -> Floats:
    try:
        factor = scipy.linalg.cho_factor(normalised, lower=True)
    except scipy.linalg.LinAlgError as error:
        raise FitError(
            "data and priors together do not determine the free parameters; free fewer of them or add a measurement."
        ) from error
    return np.asarray(scipy.linalg.cho_solve(factor, np.eye(len(normalised))))
