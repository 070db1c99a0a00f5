"""Settings of the identification of particles."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ..tables import SPECIES
from .section import NotNegative, Positive, Section


class Particles(Section):
    """Which particle a reconstructed track is: probabilities of muon, pion, proton, kaon and electron."""

    method: Literal["likelihood", "logistic", "boosting"] = Field(
        "logistic",
        description="likelihood of dE/dx against residual range alone; or learned from simulated tracks: logistic "
        "regression, boosted decision trees",
    )
    prior: dict[str, NotNegative] = Field(
        default_factory=lambda: dict.fromkeys(SPECIES, 1.0),
        description="how frequent each species is among all tracks, relatively; 0: never",
    )
    training: str | None = Field(
        None, description="file of `gradcal train` to learn from; null: the standard one (logistic only)"
    )
    charge_resolution: Positive = Field(
        0.04, description="likelihood: relative error of the dE/dx of a segment of 1 cm that comes from the charge"
    )

    @field_validator("prior")
    @classmethod
    def _species(cls, prior: dict[str, float]) -> dict[str, float]:
        for name in prior:
            if name not in SPECIES:
                raise ValueError(f"there is no species {name!r}; choose from {', '.join(SPECIES)}")
        full = {name: prior.get(name, 0.0) for name in SPECIES}
        if not sum(full.values()):
            raise ValueError("all species have prior 0; give one of them more")
        return full

    @model_validator(mode="after")
    def _learned(self) -> Particles:
        if self.method == "boosting" and self.training is None:
            raise ValueError("method boosting learns from a file; make one by `gradcal train` and name it in training")
        return self
