"""Perturbation `scale_dedx`: all energies multiplied by the same factor."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..config.section import Positive
from ..tables import Segments
from .base import Context, Perturbation, Perturbed, consistent


class ScaleDedx(Perturbation):
    """A scale of dE/dx: dE and dE/dx multiplied by a factor, lengths as they are."""

    kind: Literal["scale_dedx"] = "scale_dedx"
    factor: Positive = Field(description="factor on dE and dE/dx")


def scale_dedx(segments: Segments, settings: ScaleDedx, context: Context) -> Perturbed:
    """`dE -> f dE`, `dE/dx -> f dE/dx`."""
    scaled = segments.replace(dE=segments.dE * settings.factor, dEdx=segments.dEdx * settings.factor)
    return Perturbed(consistent(scaled))
