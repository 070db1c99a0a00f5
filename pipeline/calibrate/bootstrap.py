"""Parametric bootstrap: the spread of fits to data simulated at the fitted values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import FitError
from ..tables import Floats

#: Stream of random numbers of the bootstrap.
_STREAM = 9
#: Fewer fits than this give no spread.
_FEWEST = 5


@dataclass(frozen=True)
class Bootstrap:
    """Fits `values` `(n, P)` of data simulated at `around` `(P,)`, and how many more `failed`."""

    around: Floats
    values: Floats
    failed: int

    @property
    def covariance(self) -> Floats:
        """`(P, P)` covariance of the fits."""
        return np.atleast_2d(np.cov(self.values, rowvar=False))

    @property
    def standard(self) -> Floats:
        """`(P,)` standard deviation of the fits."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def standard_error(self) -> Floats:
        """`(P,)` how well the standard deviation is known from so many fits, if they are Gaussian."""
        return np.asarray(self.standard / np.sqrt(2 * (len(self.values) - 1)))

    @property
    def bias(self) -> Floats:
        """`(P,)` mean of the fits minus the values that they should find."""
        return np.asarray(self.values.mean(axis=0) - self.around)

    @property
    def bias_error(self) -> Floats:
        """`(P,)` how well the bias is known from so many fits."""
        return np.asarray(self.standard / np.sqrt(len(self.values)))

    @property
    def interval(self) -> Floats:
        """`(P, 2)` central 68 % of the fits."""
        return np.asarray(np.quantile(self.values, [0.158655, 0.841345], axis=0).T)


def draw_seed(seed: int, draw: int) -> int:
    """Seed of the noise of one draw, the same however many there are."""
    return int(np.random.default_rng([seed, _STREAM, draw]).integers(2**62))


def bootstrap(refit: Callable[[int], Floats | None], around: Floats, draws: int, seed: int) -> Bootstrap:
    """Fit `draws` sets of data with fresh noise, simulated at the fitted values `around` `(P,)`.

    `refit(seed of the noise)` returns the fitted values `(P,)`, or None where a fit failed: these are counted, and
    left out of the spread. Raises `FitError` where hardly any fit succeeds. B. Efron, Ann. Statist. 7 (1979) 1.
    """
    fits = [refit(draw_seed(seed, draw)) for draw in range(draws)]
    values = [f for f in fits if f is not None]
    if len(values) < _FEWEST:
        raise FitError(
            f"bootstrap: only {len(values)} of {draws} fits converged, too few for a spread; use more track, fewer "
            f"free parameters or another method."
        )
    return Bootstrap(around, np.array(values), draws - len(values))
