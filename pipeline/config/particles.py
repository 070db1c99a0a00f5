"""Settings of the identification of particles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ..tables import SPECIES
from .generator import Generator
from .section import NotNegative, Positive, Section

Identification = Literal["likelihood", "logistic", "boosting"]


class Particles(Section):
    """Which particle a reconstructed track is: probabilities of muon, pion, proton, kaon and electron."""

    method: Identification = Field(
        "logistic",
        description="likelihood of dE/dx against residual range alone; or, with that and more, learned from simulated "
        "tracks: logistic regression, boosted decision trees",
    )
    prior: dict[str, NotNegative] = Field(
        default_factory=lambda: dict.fromkeys(SPECIES, 1.0),
        description="how frequent each species is among tracks, relatively; one that is left out, or 0: never",
    )
    training: str | None = Field(
        None,
        description="what to learn from: file of `gradcal train`, examples (.h5) or coefficients (.json); null: the "
        "standard coefficients (logistic only)",
    )
    charge_resolution: Positive = Field(
        0.04, description="relative error of the dE/dx of a segment of 1 cm that is not straggling"
    )
    likelihood_weight: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="likelihood: what a log-likelihood counts, as segments are not quite independent"
    )
    examples: Generator = Generator(preset="every_species")

    @field_validator("prior")
    @classmethod
    def _known(cls, prior: dict[str, float]) -> dict[str, float]:
        for name in prior:
            if name not in SPECIES:
                raise ValueError(f"there is no species {name!r}; choose from {', '.join(SPECIES)}")
        if not sum(prior.values()):
            raise ValueError("no species is possible; give one of them a prior above 0")
        return {name: prior.get(name, 0.0) for name in SPECIES}

    @model_validator(mode="after")
    def _learned(self) -> Particles:
        if self.method == "boosting" and (self.training is None or self.training.endswith(".json")):
            raise ValueError(
                "method boosting learns from examples; make a file .h5 by `gradcal train` and name it in training"
            )
        return self
