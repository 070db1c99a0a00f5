"""Settings of the study of reconstruction; the section `study.reconstruction`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ..parameters import check_values
from .section import Positive, Section

Share = Annotated[float, Field(gt=0, le=1)]


class ReconstructionPerformance(Section):
    """Study `reconstruction`: tracks from hits alone beside the true particles, against angle and drift."""

    first_event: int = Field(0, ge=0, description="so many events at the begin of the sample are left out")
    events: int | None = Field(10, ge=1, description="events that are used, with all that is in them; null: the rest")
    target: dict[str, float] = Field(default_factory=dict, description="true parameter values; others nominal")
    assumed: dict[str, float] = Field(
        default_factory=dict, description="values that the reconstruction assumes where it is told wrong ones"
    )
    species: tuple[int, ...] = Field(
        (13, -13, 211, -211, 321, -321, 2212), min_length=1, description="PDG codes of the particles to be found"
    )
    min_length_cm: Positive = Field(10.0, description="shorter particles and tracks enter only the curves below, ...")
    min_hits: int = Field(15, ge=1, description="... and so do those with fewer hits")
    matched_share: Share = Field(0.5, description="a particle is found if a track holds this part of its hits, ...")
    matched_purity: Share = Field(0.8, description="... of which at least this part is its")
    window_cm: Positive = Field(20.0, description="length of true path over which directions are compared")
    bins: int = Field(20, ge=2, description="bins of the cosine to the drift, and of the distance to the anode")

    @field_validator("target", "assumed")
    @classmethod
    def _values(cls, values: dict[str, float]) -> dict[str, float]:
        return check_values(values, "study.reconstruction")
