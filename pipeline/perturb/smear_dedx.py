"""Perturbation `smear_dedx`: energies multiplied by random factors."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ..config.section import NotNegative, Seed
from ..tables import Segments
from .base import Context, Perturbation, Perturbed, consistent
from .draws import normals
from .record import Drawn
from .tracks import identity, tracks_of

#: Widest Gaussian: three in ten thousand of its factors are cut off at 0, and its mean is off by as little.
_WIDEST_GAUSSIAN = 0.3


class SmearDedx(Perturbation):
    """Random factors on dE and dE/dx, of mean 1, for every deposit or every track."""

    kind: Literal["smear_dedx"] = "smear_dedx"
    seed: Seed = Field(1, description="seed of the draws")
    sigma: NotNegative = Field(description="standard deviation of the factor")
    distribution: Literal["lognormal", "gaussian"] = Field("lognormal", description="shape of the distribution")
    per: Literal["segment", "track"] = Field("segment", description="what has a factor of its own")

    @property
    def stream(self) -> str:
        """Factors of tracks are independent of those of deposits."""
        return f"{self.kind} {self.per}"

    @model_validator(mode="after")
    def _not_below_zero(self) -> SmearDedx:
        if self.distribution == "gaussian" and self.sigma > _WIDEST_GAUSSIAN:
            raise ValueError(
                f"sigma is {self.sigma:g}; a Gaussian wider than {_WIDEST_GAUSSIAN:g} makes energies negative, use "
                "distribution: lognormal"
            )
        return self


def smear_dedx(segments: Segments, settings: SmearDedx, context: Context) -> Perturbed:
    """`dE -> f dE`, `dE/dx -> f dE/dx` with f of mean 1 and standard deviation sigma.

    Lognormal: `f = exp(s g - s^2/2)` with `s^2 = ln(1 + sigma^2)` and g normal; Gaussian: `f = max(0, 1 + sigma g)`.
    """
    tracks = tracks_of(segments)
    of_track = settings.per == "track"
    who = (tracks.event_id, tracks.traj_id) if of_track else identity(segments)
    g = normals(settings.seed, settings.stream, *who)[:, 0]
    if settings.distribution == "lognormal":
        variance = np.log1p(settings.sigma**2)
        factor = np.exp(np.sqrt(variance) * g - 0.5 * variance)
    else:
        factor = np.maximum(0.0, 1.0 + settings.sigma * g)
    notes = (f"{n} of {len(factor)} factors were cut off at 0",) if (n := np.count_nonzero(factor == 0)) else ()
    each = factor[tracks.index] if of_track else factor
    result = consistent(segments.replace(dE=segments.dE * each, dEdx=segments.dEdx * each))
    record = Drawn(tracks.event_id, tracks.traj_id, {"factor": factor}) if of_track else None
    return Perturbed(result, record, notes)
