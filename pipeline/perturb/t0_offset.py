"""Perturbation `t0_offset`: the time of an event taken wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ..config.section import NotNegative, Positive, Seed
from ..tables import Segments
from .base import Along, Context, Finite, Perturbation, Perturbed, directions, moved, shifted
from .draws import normals
from .record import Drawn


class T0Offset(Perturbation):
    """A wrong time of the event: drift distances that are too long by the drift velocity times the offset."""

    kind: Literal["t0_offset"] = "t0_offset"
    seed: Seed = Field(1, description="seed of the draws")
    offset_us: Finite | None = Field(None, description="how much too early the time of every event is taken ...")
    sigma_us: NotNegative | None = Field(None, description="... or the width of a Gaussian distribution about 0")
    drift_cm_per_us: Positive = Field(0.16, description="drift velocity that turns times into distances")

    @model_validator(mode="after")
    def _one_offset(self) -> T0Offset:
        if (self.offset_us is None) == (self.sigma_us is None):
            raise ValueError("a time offset needs either offset_us or sigma_us; give one of the two")
        return self

    def displacements(self) -> Iterator[tuple[str, Along, float]]:
        """The offset as a distance."""
        for key in ("offset_us", "sigma_us"):
            if getattr(self, key) is not None:
                yield key, "drift", self.drift_cm_per_us * getattr(self, key)


def t0_offset(segments: Segments, settings: T0Offset, context: Context) -> Perturbed:
    """Times `t -> t - d` and distances to the anode `+ v d`, with one d for each event.

    The model counts times from the earliest deposit of an event, so a shift of the times alone would do nothing: what a
    wrong event time does to data is to displace along the drift whatever is reconstructed from them.
    """
    events, index = np.unique(segments.event_id, return_inverse=True)
    if settings.sigma_us is None:
        offset = np.full(len(events), settings.offset_us, dtype=np.float64)
    else:
        offset = settings.sigma_us * normals(settings.seed, settings.kind, events)[:, 0]
    each = offset[index.reshape(-1)]
    distance = (settings.drift_cm_per_us * each)[:, None]
    result = shifted(segments, distance * directions(segments, "drift", context.geometry))
    result = result.replace(t0=segments.t0 - each, t0_start=segments.t0_start - each, t0_end=segments.t0_end - each)
    record = Drawn(events, None, {"offset": offset}, {"offset": "us"})
    return Perturbed(result, record, moved(segments, result, context.geometry))
