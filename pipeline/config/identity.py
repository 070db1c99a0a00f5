"""Settings of the study of particle identity."""

from __future__ import annotations

from pydantic import Field

from .particles import Identification
from .section import NotNegative, Section


class Identity(Section):
    """Study `identity`: which particle tracks are taken for; reconstruct.particles tells from which examples."""

    identifications: tuple[Identification, ...] = Field(
        ("likelihood", "logistic", "boosting"), min_length=1, description="ways to identify that are compared"
    )
    sample_events: int = Field(100, ge=0, description="events of the sample that are identified besides the examples")
    min_length_cm: NotNegative = Field(5.0, description="shorter reconstructed tracks are left out")
    folds: int = Field(4, ge=2, description="parts of the examples; each is identified by what the others teach")
    bins: int = Field(10, ge=2, description="bins of probability in the figure of their calibration")
