"""Perturbation `drop_segments`: deposits that are not seen."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ..config.section import Positive, Seed
from ..tables import Segments
from .base import Context, Perturbation, Perturbed
from .draws import uniforms
from .tracks import identity


class DropSegments(Perturbation):
    """Deposits left out: a fraction of them at random, or the short ones, or both."""

    kind: Literal["drop_segments"] = "drop_segments"
    seed: Seed = Field(1, description="seed of the draws")
    fraction: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="probability of each deposit to be left out"
    )
    shorter_than_cm: Positive | None = Field(None, description="deposits shorter than this are left out")

    @model_validator(mode="after")
    def _something(self) -> DropSegments:
        if self.fraction is None and self.shorter_than_cm is None:
            raise ValueError("nothing would be left out; give fraction or shorter_than_cm")
        return self


def drop_segments(segments: Segments, settings: DropSegments, context: Context) -> Perturbed:
    """The deposits that stay, unchanged and in order; their neighbours do not close the gap."""
    keep = np.ones(len(segments), dtype=np.bool_)
    if settings.fraction is not None:
        keep &= uniforms(settings.seed, settings.kind, *identity(segments))[:, 0] >= settings.fraction
    if settings.shorter_than_cm is not None:
        keep &= segments.length >= settings.shorter_than_cm
    lost = float(segments.dE[~keep].sum())
    note = f"left out {np.count_nonzero(~keep)} of {len(segments)} deposits, {lost:.4g} MeV"
    return Perturbed(segments.take(keep), notes=(note,))
