"""Fits and segments made up for the tests of the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.calibrate.comparison import compare
from pipeline.parameters import calibrated
from pipeline.report.outcome import Fit
from pipeline.tables import (
    Comparison,
    CutStep,
    FitResult,
    FittedParameter,
    Floats,
    Observables,
    Segments,
    Supply,
    Uncertainty,
)

#: Records of fits, as far as the page asks: of data without noise, and of a likelihood fit of data with noise.
NOISELESS: dict[str, Any] = {"config": {"data": {"noise": False}}}
NOISY: dict[str, Any] = {
    "config": {
        "data": {"noise": True},
        "method": {"likelihood": {"objective": "likelihood", "optimiser": "fisher_scoring"}},
    }
}

#: Relative uncertainties of the six parameters as 16 m of muons give them, and the correlation of the first two.
SHARES, TOGETHER = (0.017, 0.13, 1e-4, 0.04, 0.08, 0.025), 0.99

CUT_FLOW = (
    CutStep("read", "as read", 4, 40, 400, 1000.0),
    CutStep("drift_angle", "|cos| < 0.966", 4, 30, 300, 750.0),
    CutStep("total_length", "whole tracks up to a length", 2, 10, 100, 250.0),
)


def fit_result(
    seed: int = 1,
    *,
    converged: bool = True,
    steps: int = 6,
    known: bool = True,
    uncertainty: float | None = None,
    status: str = "Converged.",
) -> FitResult:
    """A fit whose parameters approach their targets by a factor of ten per step, to 1e-`steps` of the way."""
    random = np.random.default_rng(seed)
    history, parameters = {}, []
    for p in calibrated():
        target = float(random.uniform(p.low, p.high))
        values = target + (p.nominal - target) * 10.0 ** -np.arange(steps + 1.0)
        history[p.name] = values
        parameters.append(
            FittedParameter(p.name, p.unit, p.nominal, float(values[-1]), True, uncertainty, target if known else None)
        )
    history |= {"matched": 100.0 + np.arange(steps + 1), "unmatched_model": np.arange(steps, -1.0, -1)}
    history |= {"unmatched_data": 2 * np.arange(steps, -1.0, -1), "objective": 0.1 ** np.arange(steps + 1.0)}
    diagnostics = {"hits_used": 106.0, "length_cm": 250.0}
    return FitResult(status, converged, "levenberg_marquardt", tuple(parameters), steps, history, diagnostics)


def covariance_of(values: Floats) -> Floats:
    """`(6, 6)` covariance of the six parameters at `values`."""
    sigma = np.array(SHARES) * values
    correlation = np.eye(len(sigma))
    correlation[0, 1] = correlation[1, 0] = TOGETHER
    return np.asarray(correlation * np.outer(sigma, sigma))


def uncertainty_of(names: tuple[str, ...], covariance: Floats, **more: Any) -> Uncertainty:
    """As a fit gives it, from a covariance: the observed information finds 3 % less of every uncertainty."""
    information = np.linalg.inv(covariance)
    scale = np.sqrt(np.diag(information))
    eigenvalues, eigenvectors = np.linalg.eigh(information / np.outer(scale, scale))
    more = {"others": {"observed information": 0.97**2 * covariance}} | more
    return Uncertainty("expected information", names, covariance, eigenvalues, eigenvectors, **more)


def measured_result(seed: int = 1, *, wider: float = 1.0, known: bool = True, **more: Any) -> FitResult:
    """A likelihood fit that ends off its target by a Gaussian draw of its own covariance, `wider` times as far."""
    result = fit_result(seed, known=known, steps=8)
    names = tuple(p.name for p in result.parameters)
    target = np.array([result.history[name][-1] for name in names])
    covariance = covariance_of(target)
    sigma = np.sqrt(np.diag(covariance))
    draw = np.linalg.cholesky(covariance / np.outer(sigma, sigma)) @ np.random.default_rng([seed, 7]).normal(size=6)
    values = target + wider * draw * sigma
    history = dict(result.history)
    for name, value in zip(names, values, strict=True):
        start = history[name][0]
        history[name] = value + (start - value) * 10.0 ** -np.arange(9.0)
        history[name][-1] = value
    more = {
        "directions": (
            "A_B and k_B are hardly told apart: raising A_B by 1.7 % and k_B by 13 % together moves the fit by only "
            "one standard deviation, A_B alone by 7.1 and k_B alone by 7.1; correlation 0.990.",
        )
    } | more
    parameters = tuple(
        replace(p, value=float(value), uncertainty=float(s))
        for p, value, s in zip(result.parameters, values, sigma, strict=True)
    )
    diagnostics = {"hits_used": 5316.0, "unmatched_data": 1.0, "length_cm": 1631.0}
    return replace(
        result, method="likelihood", parameters=parameters, history=history, diagnostics=diagnostics,
        uncertainty=uncertainty_of(names, covariance, **more),
    )  # fmt: skip


def measured_fits(count: int = 3, method: str = "likelihood", **more: Any) -> list[Fit]:
    """Likelihood fits of different targets."""
    return [Fit(f"target_{i + 1}", method, measured_result(i, **more), NOISY) for i in range(count)]


def some_fits(count: int = 3, method: str = "gauss_newton") -> list[Fit]:
    """Fits of different targets to data without noise."""
    return [Fit(f"target_{i + 1}", method, fit_result(i), NOISELESS) for i in range(count)]


def straight_tracks(segments: int = 60, events: int = 3) -> Segments:
    """Short pieces with many values of dE/dx, shared evenly by events."""
    random = np.random.default_rng(5)
    start = random.uniform((-30.0, -80.0, -30.0), (30.0, 40.0, 29.0), (segments, 3))
    end = start + np.array([0.0, 0.0, 0.5])
    dedx = random.uniform(0.5, 60.0, segments)
    number = np.arange(segments)
    zero = np.zeros(segments)
    return Segments(
        event_id=np.sort(number % events), vertex_id=0 * number, segment_id=number, traj_id=number // 5,
        pdg_id=np.where(number % 2, 13, 2212), start=start, end=end, t0=zero, t0_start=zero, t0_end=zero,
        dE=0.5 * dedx, dx=np.full(segments, 0.5), dEdx=dedx,
    )  # fmt: skip


def hits_compared(
    hits: int = 200, *, only_model: int = 3, only_data: int = 2, channels: int = 70_000, seed: int = 2
) -> Comparison:
    """Hits on pixels of module 0, simulated 1 ADC too high and 0.01 us too late on average, some on one side only."""
    random = np.random.default_rng(seed)
    channel = np.sort(random.choice(channels, hits, replace=False))
    zero = np.zeros(hits, dtype=np.int64)
    values = np.stack([random.uniform(20, 200, hits), random.uniform(5, 190, hits)], axis=1)
    moved = values + random.normal((1.0, 0.01), (0.5, 0.002), (hits, 2))
    valid = np.ones(hits, dtype=bool)
    model = Observables(zero, channel, zero, moved, ("adc", "t"), valid)
    data = Observables(zero, channel, zero, values, ("adc", "t"), valid)
    keep = np.arange(hits)
    supply = Supply(zero, channel, np.full((hits, 2), 1.5))
    return compare(model.take(keep >= only_data), data.take(keep < hits - only_model), supply)
