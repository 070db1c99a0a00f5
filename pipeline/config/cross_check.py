"""Settings of studies that look at uncertainties in another way."""

from __future__ import annotations

from pydantic import Field

from .section import Name, NotNegative, Positive, Section
from .studies import OnData


class Bootstrap(OnData):
    """Study `bootstrap`: fits of many noise draws beside the expected uncertainty and that of Minuit."""

    method: Name = Field("likelihood", description="method that is looked at")
    draws: int = Field(50, ge=10, description="data sets that are simulated at the fitted values and fitted again")


class PseudoCorrelation(Section):
    """Study `pseudo_correlation`: inverse of a loss's mean second derivatives, beside the correlation of a fit."""

    methods: tuple[Name, ...] = Field(
        ("gauss_newton",), min_length=1, description="methods whose objectives are looked at"
    )
    method: Name = Field("likelihood", description="method whose information gives the correlation of a fit")
    batch_length_cm: Positive = Field(200.0, description="length of a batch of whole tracks")
    batches: int = Field(1000, ge=2, description="at most this many batches, as far as the sample goes")
    ridge: NotNegative = Field(1e-6, description="added to the diagonal of the scaled matrix before it is inverted")
    step: Positive = Field(
        1e-3, description="step, relative to nominal, of differences where an objective has no curvature of its own"
    )
