"""Settings of studies of a fit on simulated data; each is the section `study.<name>`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ..parameters import CALIBRATED, check_values, lookup
from .section import Name, Positive, Section


def known_once(names: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The names, if each is a parameter of the table and stands once; raises `ConfigError` or `ValueError`."""
    for name in names:
        lookup(name, where)
    if len(set(names)) != len(names):
        raise ValueError("a parameter is listed twice")
    return names


class OnData(Section):
    """What studies share that simulate data of their own."""

    length_cm: Positive = Field(150.0, description="whole tracks up to this summed length are used")
    target: dict[str, float] = Field(default_factory=dict, description="true values; others nominal")

    @field_validator("target")
    @classmethod
    def _values(cls, values: dict[str, float]) -> dict[str, float]:
        return check_values(values, "study.*.target")


class Landscape(OnData):
    """Study `landscape`: an objective as a function of two parameters, its gradients, and the paths of fits."""

    length_cm: Positive = Field(100.0, description="whole tracks up to this summed length are used")
    methods: tuple[Name, ...] = Field(
        ("gauss_newton", "likelihood", "adam_energy_distance"),
        min_length=1,
        description="methods whose objectives are drawn",
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
    points: int = Field(11, ge=3, description="points of the map in each direction, and ...")
    arrows: int = Field(6, ge=2, description="... at most so many gradient arrows")
    reach: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="part of the way from the target to the ends of the table ranges that a map covers"
    )
    sigmas: Positive = Field(4.0, description="half-width of a map of a likelihood, in standard deviations")
    starts: int = Field(3, ge=0, description="starts of fits, evenly around the target near the border of the map")
    adam_iterations: int = Field(
        60, ge=1, description="steps of a fit by adam, over which its learning rate falls a hundredfold"
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


class Interdependence(OnData):
    """Study `interdependence`: one parameter is held at a wrong value at a time, the others are fitted."""

    method: Name = Field("gauss_newton", description="method that fits the others")
    parameters: tuple[str, ...] = Field(
        CALIBRATED, min_length=2, description="parameters that are fitted or held wrong"
    )
    fraction: Positive = Field(0.25, description="how wrong, up and down, as a fraction of the table range")
    noise: bool = Field(False, description="electronics noise in the data; a likelihood gets it always")

    @field_validator("parameters")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return known_once(names, "study.interdependence.parameters")


class RecombinationLines(OnData):
    """Study `recombination_lines`: what one dE/dx tells about A_B, k_B and the field, and what a whole sample tells."""

    length_cm: Positive = Field(600.0, description="whole tracks up to this summed length are used")
    method: Name = Field("likelihood", description="method whose information gives the ellipses")
    dedx_mev_per_cm: tuple[Positive, ...] = Field(
        (1.7, 2.1, 3.0, 5.0, 8.0, 15.0), min_length=2, description="dE/dx of the lines of equal charge"
    )
    velocity_uncertainty: Positive = Field(
        0.005, description="relative uncertainty of the drift velocity where it is not linked to the field"
    )


class Sensitivity(OnData):
    """Study `sensitivity`: an objective as a function of each parameter alone, over batches and draws of noise."""

    length_cm: Positive = Field(600.0, description="whole tracks up to this summed length are used")
    methods: tuple[Name, ...] = Field(
        ("gauss_newton", "likelihood"), min_length=1, description="methods whose objectives are drawn"
    )
    parameters: tuple[str, ...] = Field(CALIBRATED, min_length=1, description="parameters that move, one at a time")
    batch_length_cm: Positive = Field(100.0, description="length of the batches that the bands go over")
    draws: int = Field(4, ge=1, description="draws of electronics noise")
    points_beside: int = Field(4, ge=1, description="points of a curve on each side of the target")
    reach: Positive = Field(0.4, description="half-width of a curve, as a fraction of the table range")

    @field_validator("parameters")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return known_once(names, "study.sensitivity.parameters")


class Taylor(OnData):
    """Study `taylor`: how far from a point predictions by first derivatives hold."""

    parameters: tuple[str, ...] = Field(CALIBRATED, min_length=1, description="parameters that step, one at a time")
    steps: int = Field(8, ge=3, description="step sizes, each half of the one before; the largest is ...")
    largest: Positive = Field(0.5, description="... this fraction of the table range")

    @field_validator("parameters")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return known_once(names, "study.taylor.parameters")
