"""Settings of studies that look at uncertainties in another way."""

from __future__ import annotations

from pydantic import Field, field_validator

from ..parameters import check_values
from .section import Name, NotNegative, Positive, Section


class Bootstrap(Section):
    """Study `bootstrap`: fits of many noise draws beside the expected uncertainty and that of Minuit."""

    method: Name = Field("gauss_newton", description="method that is looked at")
    length_cm: Positive = Field(200.0, description="whole tracks up to this summed length are used")
    target: dict[str, float] = Field(default_factory=dict, description="true values; others nominal")
    draws: int = Field(50, ge=10, description="data sets that are simulated at the fitted values and fitted again")

    @field_validator("target")
    @classmethod
    def _values(cls, values: dict[str, float]) -> dict[str, float]:
        return check_values(values, "study.bootstrap.target")


class PseudoCorrelation(Section):
    """Study `pseudo_correlation`: inverse of a loss's mean second derivatives, beside the correlation of a fit."""

    methods: tuple[Name, ...] = Field(
        ("gauss_newton",), min_length=1, description="methods whose objectives are looked at; their free parameters"
    )
    method: Name = Field("gauss_newton", description="method whose information gives the correlation of a fit")
    batch_length_cm: Positive = Field(200.0, description="length of a batch of whole tracks")
    batches: int = Field(1000, ge=2, description="at most this many batches, as far as the sample goes")
    ridge: NotNegative = Field(1e-6, description="added to the diagonal of the scaled matrix before it is inverted")
    step: Positive = Field(
        1e-3, description="step, relative to nominal, of differences where an objective has no curvature of its own"
    )
