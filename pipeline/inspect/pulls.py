"""How far fitted values are from their known targets, in units of what the fit says it knows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtr, chdtrc

from ..parameters import table
from ..tables import FitResult, FittedParameter

#: Components of a combination of unit length that are worth naming.
_SHARE = 0.35


@dataclass(frozen=True)
class Joint:
    """All pulls of one or more fits together: `chi2` for `freedom` values.

    `direction` names the parameters that have most of the combination which is farthest off, of a single fit.
    """

    chi2: float
    freedom: int
    direction: tuple[str, ...] = ()

    @property
    def probability(self) -> float:
        """Of a chi2 this large or larger, where values scatter as the uncertainties say."""
        return float(chdtrc(self.freedom, self.chi2))

    @property
    def probability_of_less(self) -> float:
        """Of a chi2 this small or smaller."""
        return float(chdtr(self.freedom, self.chi2))


def distance(fitted: FittedParameter) -> float | None:
    """`value - target` (physical units) as far as it goes in the coordinate in which fits move, where errors are
    nearest to Gaussian: a lifetime in its inverse. None without a target.
    """
    if fitted.target is None:
        return None
    known = table().get(fitted.name)
    # Of the inverse at zero there is nothing to be told.
    if known is None or (known.fit_inverse and not (fitted.value and fitted.target)):
        return fitted.value - fitted.target
    return known.distance(fitted.value, fitted.target)


def pull(fitted: FittedParameter) -> float | None:
    """Distance to the target in standard uncertainties; None where either is not known."""
    off = distance(fitted)
    sigma = fitted.uncertainty
    return None if off is None or sigma is None or not 0 < sigma < math.inf else off / sigma


def joint(result: FitResult) -> Joint | None:
    """`d^T C^-1 d` of the free parameters with targets, `C` the covariance of the fit restricted to them.

    None where no target or no covariance is known, or the covariance is none (not positive definite).
    """
    known = result.uncertainty
    if known is None:
        return None
    at = {p.name: off for p in result.parameters if p.free and (off := distance(p)) is not None}
    rows = [i for i, name in enumerate(known.names) if name in at]
    if not rows:
        return None
    d = np.array([at[known.names[i]] for i in rows])
    covariance = known.covariance[np.ix_(rows, rows)]
    sigma = np.sqrt(np.abs(np.diag(covariance)))
    if not (np.isfinite(covariance).all() and np.isfinite(d).all() and (sigma > 0).all()):
        return None
    # Parameters differ in size by many powers of ten: pulls and correlations do not.
    width, directions = np.linalg.eigh(covariance / np.outer(sigma, sigma))
    if width[0] <= len(rows) * np.finfo(float).eps:
        return None
    off = directions.T @ (d / sigma) / np.sqrt(width)
    shares = np.abs(directions[:, int(np.abs(off).argmax())])
    farthest = tuple(known.names[i] for i, share in zip(rows, shares, strict=True) if share > _SHARE)
    return Joint(float(off @ off), len(rows), farthest)


def together(joints: Iterable[Joint | None]) -> Joint | None:
    """The pulls of independent fits as one; None without any."""
    known = [j for j in joints if j is not None]
    return Joint(sum(j.chi2 for j in known), sum(j.freedom for j in known)) if known else None
