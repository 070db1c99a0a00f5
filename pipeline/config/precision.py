"""Settings of the studies of how well the parameters can be known."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ..names import nearest
from ..parameters import CALIBRATED, check_values
from .section import Name, NotNegative, Positive, Section

Estimator = Literal["landau_gauss", "truncated_mean", "median"]


class ExpectedUncertainty(Section):
    """Study `expected_uncertainty`: the smallest possible uncertainty against length of track and mix of species."""

    species: dict[Name, tuple[int, ...]] = Field(
        default_factory=lambda: {"muons": (13, -13), "pions": (211, -211), "protons": (2212,)},
        min_length=1,
        description="PDG codes by name of species; those that the sample lacks are left out",
    )
    sample_cm: Positive = Field(1500.0, description="length of track of each species that is simulated, if there is")
    max_anode_distance_cm: Positive | None = Field(
        None, description="instead of select.max_anode_distance_cm; null: the full drift, which the lifetime needs"
    )
    batch_cm: Positive = Field(30.0, description="whole tracks up to this length are drawn together")
    target: dict[str, float] = Field(default_factory=dict, description="true values; others nominal")
    lengths_cm: tuple[Positive, ...] = Field(
        (100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0, 40000.0, 100000.0),
        min_length=1,
        description="lengths of track for which the uncertainty is given",
    )
    subsets: int = Field(60, ge=2, description="random subsets of the batches that the bands are made of")
    fixed: tuple[str, ...] = Field(("birks_kb",), description="parameters that the second case holds fixed")
    priors_percent: dict[str, Positive] = Field(
        default_factory=dict, description="third case, if any: external knowledge of parameters, in percent"
    )
    wanted_percent: dict[str, Positive] = Field(
        default_factory=lambda: {
            "birks_ab": 0.5,
            "birks_kb": 2.0,
            "electric_field": 0.02,
            "electron_lifetime": 2.0,
            "longitudinal_diffusion": 3.0,
            "transverse_diffusion": 1.0,
        },
        description="uncertainties for which the length that is needed is given",
    )
    track_cm: Positive = Field(300.0, description="length that counts as one track in the table (a muon of 1 GeV)")
    mix_cm: Positive = Field(40000.0, description="length of track of the mixes of two species")
    mix_points: int = Field(11, ge=2, description="shares of the second species, from 0 to 1")
    segment_lengths_cm: tuple[Positive, ...] = Field(
        (1.0, 3.0, 10.0), description="lengths of deposits that tracks are cut into anew, to see their influence"
    )

    @field_validator("target")
    @classmethod
    def _values(cls, values: dict[str, float]) -> dict[str, float]:
        return check_values(values, "study.expected_uncertainty.target")

    @field_validator("fixed", "priors_percent", "wanted_percent")
    @classmethod
    def _names(cls, names: tuple[str, ...] | dict[str, float]) -> tuple[str, ...] | dict[str, float]:
        for name in names:
            if name not in CALIBRATED:
                raise ValueError(f"{name!r} is not one of the six; did you mean {nearest(name, CALIBRATED)!r}?")
        return names

    @model_validator(mode="after")
    def _some_free(self) -> ExpectedUncertainty:
        if set(self.fixed) == set(CALIBRATED):
            raise ValueError("fixed names all six parameters, so that nothing would be left to determine")
        return self


class LifetimeBaseline(Section):
    """Study `lifetime_baseline`: the electron lifetime from dQ/dx against drift time, as it is usually measured."""

    length_cm: Positive = Field(2500.0, description="length of track of each draw, over the full drift")
    draws: int = Field(3, ge=1, description="draws of noise, each on tracks of its own as far as the sample goes")
    targets: tuple[dict[str, float], ...] = Field(
        ({}, {"electron_lifetime": 800.0}), min_length=1, description="true values, one entry each; others nominal"
    )
    species: tuple[int, ...] = Field((13, -13), min_length=1, description="PDG codes of the tracks that are used")
    max_abs_cos_drift: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="instead of select.max_abs_cos_drift: over a pixel, a steep track has no place of its own"
    )
    piece_cm: Positive = Field(3.0, description="length of the pieces of track whose dQ/dx is taken")
    bins: int = Field(8, ge=3, description="bins of drift time")
    least_pieces: int = Field(20, ge=10, description="bins with fewer pieces are left out")
    estimators: tuple[Estimator, ...] = Field(
        ("landau_gauss", "truncated_mean", "median"),
        min_length=1,
        description="dQ/dx of a bin: most probable value, mean without the tails, median; the first one is drawn",
    )
    truncate: tuple[NotNegative, Annotated[float, Field(gt=0, le=1)]] = Field(
        (0.1, 0.7), description="truncated_mean: shares between which sorted values are kept"
    )
    method: Name | None = Field(
        "likelihood", description="fit of all parameters to the same hits, for comparison; null: none"
    )

    @field_validator("targets")
    @classmethod
    def _values(cls, targets: tuple[dict[str, float], ...]) -> tuple[dict[str, float], ...]:
        return tuple(check_values(values, "study.lifetime_baseline.targets") for values in targets)

    @field_validator("truncate")
    @classmethod
    def _range(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if limits[0] >= limits[1]:
            raise ValueError(f"the lower share {limits[0]:g} must be below the upper one, {limits[1]:g}")
        return limits


class NoiseInTheModel(Section):
    """Study `noise_in_the_model`: noisy data fitted by models that know the noise, and by some that do not."""

    methods: tuple[Name, ...] = Field(
        ("gauss_newton", "masked_residuals", "likelihood"), min_length=1, description="methods that are compared"
    )
    lengths_cm: tuple[Positive, ...] = Field(
        (150.0, 600.0), min_length=1, description="lengths of track; a bias stands out more the longer the sample"
    )
    max_anode_distance_cm: Positive | None = Field(
        None, description="instead of select.max_anode_distance_cm; null: the full drift"
    )
    draws: int = Field(6, ge=2, description="draws of noise at each target")
    targets: tuple[dict[str, float], ...] = Field(
        (
            {
                "birks_ab": 0.82,
                "birks_kb": 0.055,
                "electric_field": 0.51,
                "electron_lifetime": 1500.0,
                "longitudinal_diffusion": 5e-6,
                "transverse_diffusion": 8e-6,
            },
        ),
        min_length=1,
        description="true values, one entry each; others nominal; fits begin at their own start values",
    )

    @field_validator("targets")
    @classmethod
    def _values(cls, targets: tuple[dict[str, float], ...]) -> tuple[dict[str, float], ...]:
        return tuple(check_values(values, "study.noise_in_the_model.targets") for values in targets)
