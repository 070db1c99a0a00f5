"""Centres of skewed distributions, and the exponential through them: a lifetime as it is usually measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from iminuit import Minuit
from scipy import stats
from scipy.interpolate import CubicSpline

from ..config.precision import Estimator
from ..tables import Floats

#: Landau's density is largest at this lambda; SciPy's, of the same width, is shifted.
_LANDAU_PEAK = -0.22278298
_SCIPY_LOCATION = _LANDAU_PEAK + 0.429314538 * np.pi / 2
#: First and last lambda and step of the spline through Landau's density.
_TABLE = (-6.0, 200.0, 0.02)
#: Nodes of the convolution with a Gaussian, and how many of its widths they reach to either side.
_NODES, _REACH = 64, 4.5
#: Limits of Landau's width, in units of the most probable value, and of the Gaussian's in units of Landau's: a wider
#: one would need more nodes, and hides Landau.
_WIDTHS, _RATIOS = (0.005, 0.6), (0.05, 6.0)
#: Step of the difference that gives the curvature at the most probable value, in widths of the core.
_STEP = 0.3
#: Samples drawn with replacement for the uncertainty of centres without a density.
_RESAMPLED = 200

#: Centres and their standard uncertainties, `(groups,)` each; a single one of them.
Centres = tuple[Floats, Floats]
Centre = tuple[float, float]


@dataclass(frozen=True)
class ExponentialFit:
    """`value = exp(log_amplitude - rate t)`, with the standard uncertainty of the rate (the inverse of a lifetime)."""

    log_amplitude: float
    rate: float
    rate_uncertainty: float
    chi2: float
    degrees_of_freedom: int


def fit_exponential(time: Floats, value: Floats, uncertainty: Floats) -> ExponentialFit:
    """The exponential through points of positive `value` `(n,)` with small relative uncertainties, n at least 3.

    Least squares of the logarithms, where it is a straight line: the rate is linear in the data and may come out
    negative, while a lifetime has no Gaussian uncertainty.
    """
    weight = (value / uncertainty) ** 2
    design = np.stack([np.ones_like(time), -time], axis=1)
    covariance = np.linalg.inv(design.T @ (design * weight[:, None]))
    y = np.log(value)
    amplitude, rate = covariance @ (design.T @ (weight * y))
    chi2 = float((weight * (y - amplitude + rate * time) ** 2).sum())
    return ExponentialFit(float(amplitude), float(rate), float(np.sqrt(covariance[1, 1])), chi2, len(time) - 2)


def landau_gauss_density(x: Floats, peak: float, landau: float, gauss: float) -> Floats:
    """`(n,)` density of a Landau distribution of width `landau`, most probable value `peak`, smeared by a Gaussian."""
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    shift = _REACH * gauss * node
    bell = weight * np.exp(-0.5 * (_REACH * node) ** 2)
    location = peak - _LANDAU_PEAK * landau
    density = _landau((x[:, None] - shift - location) / landau)
    return np.asarray(density @ bell / (landau * bell.sum()))


def _landau(u: Floats) -> Floats:
    """Landau's density in his variable lambda, from a spline; far out it falls as 1 / lambda^2."""
    spline = _landau_spline()
    low, high = spline.x[[0, -1]]
    inside = spline(np.clip(u, low, high))
    return np.asarray(np.where(u < low, 0.0, inside * (high / np.maximum(u, high)) ** 2))


@cache
def _landau_spline() -> CubicSpline:
    # Smooth, as the uncertainty of a fit comes from second differences; SciPy's unit of width is 2/pi of Landau's.
    grid = np.arange(*_TABLE)
    return CubicSpline(grid, stats.landau.pdf(grid, scale=np.pi / 2, loc=_SCIPY_LOCATION))


def landau_gauss(groups: Sequence[Floats]) -> Centres:
    """Most probable value of each group of positive values `(n_k,)`: Landau's distribution, smeared by a Gaussian.

    Landau, J. Phys. USSR 8 (1944) 201. The two widths, in units of the most probable value, are those that make all
    groups together most likely: the groups differ by a factor alone. Uncertainty from the curvature of the likelihood.
    """
    pooled = np.concatenate([group / np.median(group) for group in groups])
    core = float(np.clip(np.subtract(*np.quantile(pooled, [0.5, 0.16])) / 2, *_WIDTHS))

    def cost(values: Floats, peak: float, landau: float, gauss: float) -> float:
        return -2 * float(np.log(np.maximum(landau_gauss_density(values, peak, landau, gauss), 1e-300)).sum())

    def of_shape(peak: float, log_width: float, log_ratio: float) -> float:
        return cost(pooled, peak, peak * np.exp(log_width), peak * np.exp(log_width + log_ratio))

    shape = Minuit(of_shape, peak=1 - core, log_width=np.log(core), log_ratio=0.0)
    shape.errors = (0.1 * core, 0.2, 0.2)
    shape.limits["log_width"], shape.limits["log_ratio"] = np.log(_WIDTHS), np.log(_RATIOS)
    shape.migrad()
    widths = np.exp(shape.values["log_width"]) * np.array([1.0, np.exp(shape.values["log_ratio"])])

    def peak_of(group: Floats) -> Centre:
        unit = float(np.median(group))

        def of_peak(peak: float) -> float:
            return cost(group / unit, peak, *(peak * widths))

        search = Minuit(of_peak, peak=shape.values["peak"])
        search.errors["peak"] = 0.1 * core
        search.migrad()
        peak, step = float(search.values["peak"]), _STEP * core
        curvature = (of_peak(peak + step) - 2 * of_peak(peak) + of_peak(peak - step)) / step**2
        return unit * peak, unit * float(np.sqrt(2 / curvature)) if curvature > 0 else np.inf

    value, uncertainty = np.array([peak_of(group) for group in groups]).T
    return value, uncertainty


def centres(
    groups: Sequence[Floats], estimator: Estimator, truncate: tuple[float, float], rng: np.random.Generator
) -> Centres:
    """The centre of each group of positive values `(n_k,)` and its standard uncertainty.

    `truncate`: shares of the sorted values between which a truncated mean takes them.
    """
    if estimator == "landau_gauss":
        return landau_gauss(groups)

    def truncated_mean(rows: Floats) -> Floats:
        low, high = (round(share * rows.shape[-1]) for share in truncate)
        return np.asarray(np.sort(rows, axis=-1)[..., low:high].mean(axis=-1))

    def median(rows: Floats) -> Floats:
        return np.asarray(np.median(rows, axis=-1))

    centre = {"truncated_mean": truncated_mean, "median": median}[estimator]
    drawn = [group[rng.integers(len(group), size=(_RESAMPLED, len(group)))] for group in groups]
    return np.array([centre(group) for group in groups]), np.array([centre(rows).std(ddof=1) for rows in drawn])
