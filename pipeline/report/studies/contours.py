"""Regions of two parameters."""

from __future__ import annotations

import math

import numpy as np

from ...tables import Floats

#: Coverage of regions of one, two and three standard deviations.
COVERAGE = {0.6827: "1σ", 0.9545: "2σ", 0.9973: "3σ"}


def levels() -> list[float]:
    """Differences of −ln L on the border of regions of two parameters of this coverage, `−ln(1 − coverage)`.

    Half of the quantiles of chi-squared with two degrees of freedom.
    """
    return [-math.log(1 - coverage) for coverage in COVERAGE]


def ellipse(centre: tuple[float, float], covariance: Floats, points: int = 181) -> Floats:
    """`(2, points)` border on which the quadratic form of the inverse covariance `(2, 2)` is 1; it spans one standard
    deviation of each parameter to either side, and covers 39 % of both.
    """
    angle = np.linspace(0, 2 * np.pi, points)
    # A covariance without extent in one direction has no Cholesky factor.
    eigenvalues, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    return np.asarray(np.array(centre)[:, None] + root @ np.stack([np.cos(angle), np.sin(angle)]))
