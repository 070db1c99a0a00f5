"""Settings of studies that repeat an experiment of known truth with other noise."""

from __future__ import annotations

from pydantic import Field, field_validator

from ..parameters import lookup
from .section import Name, Positive, Section


class RepeatedFits(Section):
    """What studies share that fit the same targets again and again."""

    method: Name = Field("likelihood", description="method of the fits, which start from its nominal point")
    named_targets: tuple[Name, ...] = Field((), description="targets by name, of `targets`, instead of drawn ones")
    hold: dict[str, Positive] = Field(
        default_factory=dict,
        description="parameters that are not fitted but held at this multiple of their true value (1: at the truth)",
    )

    @field_validator("hold")
    @classmethod
    def _names(cls, hold: dict[str, float]) -> dict[str, float]:
        for name in hold:
            lookup(name, "study.*.hold")
        return hold


class Pulls(RepeatedFits):
    """Study `pulls`: whether fits of noisy data are as far from the truth as they say, with true segments."""

    length_cm: Positive = Field(1000.0, description="length of track of one fit")
    targets: int = Field(8, ge=1, description="number of targets, drawn with the seed of `targets`")
    draws: int = Field(25, ge=1, description="noise draws, and so fits, at each target")


class Score(Section):
    """Study `score`: the derivative of the log-likelihood at the truth, over many noise draws."""

    method: Name = Field("likelihood", description="method whose objective is a likelihood")
    length_cm: Positive = Field(400.0, description="length of track")
    targets: int = Field(1, ge=1, description="number of targets, drawn with the seed of `targets`")
    named_targets: tuple[Name, ...] = Field((), description="targets by name, of `targets`, instead")
    draws: int = Field(500, ge=2, description="noise draws at each target")
    draws_of_information: int = Field(5, ge=1, description="draws over which the expected information is averaged")
