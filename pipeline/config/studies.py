"""Settings of studies of a fit on simulated data; each is the section `study.<name>`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ..parameters import check_values, lookup
from .section import Name, Positive, Section


class OnData(Section):
    """What studies share that simulate data of their own."""

    length_cm: Positive = Field(200.0, description="whole tracks up to this summed length are used")
    target: dict[str, float] = Field(default_factory=dict, description="true values; others nominal")

    @field_validator("target")
    @classmethod
    def _values(cls, values: dict[str, float]) -> dict[str, float]:
        return check_values(values, "study.*.target")


class Landscape(OnData):
    """Study `landscape`: an objective as a function of two parameters, its gradients, and the paths of fits."""

    methods: tuple[Name, ...] = Field(
        ("gauss_newton", "adam_energy_distance"), min_length=1, description="methods whose objectives are drawn"
    )
    pairs: tuple[tuple[str, str], ...] = Field(
        (
            ("birks_ab", "birks_kb"),
            ("electric_field", "electron_lifetime"),
            ("longitudinal_diffusion", "transverse_diffusion"),
        ),
        min_length=1,
        description="pairs of parameters that move; all others stand at their true values",
    )
    points: int = Field(13, ge=3, description="points of the map in each direction, and ...")
    arrows: int = Field(7, ge=2, description="... at most so many gradient arrows")
    reach: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="part of the way from the target to the ends of the table ranges that a map covers"
    )
    sigmas: Positive = Field(4.0, description="half-width of a map of a likelihood, in standard deviations")
    starts: int = Field(4, ge=0, description="starts of fits, evenly around the target near the border of the map")
    adam_iterations: int = Field(
        80, ge=1, description="steps of a fit by adam, over which its learning rate falls a hundredfold"
    )
    noise: bool = Field(False, description="electronics noise in the data; a likelihood gets it always")

    @field_validator("pairs")
    @classmethod
    def _pairs(cls, pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for pair in pairs:
            for name in pair:
                lookup(name, "study.landscape.pairs")
            if pair[0] == pair[1]:
                raise ValueError(f"a pair needs two different parameters, not {pair[0]} twice")
        return pairs
