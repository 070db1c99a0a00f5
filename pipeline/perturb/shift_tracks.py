"""Perturbation `shift_tracks`: every track moved by an amount of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from ..config.section import NotNegative, Seed
from ..tables import Floats, Segments
from .base import Along, Context, Finite, Perturbation, Perturbed, directions, moved, shifted
from .draws import normals, uniforms
from .record import Drawn
from .tracks import tracks_of


class ShiftTracks(Perturbation):
    """A shift of each track, drawn from a uniform or a Gaussian distribution."""

    kind: Literal["shift_tracks"] = "shift_tracks"
    seed: Seed = Field(1, description="seed of the draws")
    along: Along = Field("drift", description="x, y, z, or drift: away from the anode of each deposit's drift volume")
    distribution: Literal["uniform", "gaussian"] = Field("uniform", description="shape of the distribution")
    low_cm: Finite | None = Field(None, description="uniform: smallest shift")
    high_cm: Finite | None = Field(None, description="uniform: largest shift")
    sigma_cm: NotNegative | None = Field(None, description="gaussian: width of the distribution about 0")

    @model_validator(mode="after")
    def _complete(self) -> ShiftTracks:
        uniform = self.distribution == "uniform"
        needed, other = (("low_cm", "high_cm"), ("sigma_cm",)) if uniform else (("sigma_cm",), ("low_cm", "high_cm"))
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"a {self.distribution} shift needs {key}; add it")
        for key in other:
            if getattr(self, key) is not None:
                raise ValueError(f"a {self.distribution} shift has no {key}; take it out or change distribution")
        if self.low_cm is not None and self.high_cm is not None and self.low_cm > self.high_cm:
            raise ValueError(
                f"low_cm, {self.low_cm:g}, is above high_cm, {self.high_cm:g}; give the smaller shift as low_cm"
            )
        return self

    @property
    def stream(self) -> str:
        """Shifts along different axes are independent even with the same seed."""
        return f"{self.kind} {self.along}"

    def displacements(self) -> Iterator[tuple[str, Along, float]]:
        """Ends of the range, or the width."""
        for key in ("low_cm", "high_cm", "sigma_cm"):
            if getattr(self, key) is not None:
                yield key, self.along, getattr(self, key)


def shift_tracks(segments: Segments, settings: ShiftTracks, context: Context) -> Perturbed:
    """`r -> r + d u` with one d for each track and u along an axis, or away from the anode for each deposit."""
    tracks = tracks_of(segments)
    drawn: Floats
    if settings.distribution == "uniform":
        low, high = settings.low_cm or 0.0, settings.high_cm or 0.0
        drawn = low + (high - low) * uniforms(settings.seed, settings.stream, tracks.event_id, tracks.traj_id)[:, 0]
    else:
        width = settings.sigma_cm or 0.0
        drawn = width * normals(settings.seed, settings.stream, tracks.event_id, tracks.traj_id)[:, 0]
    unit = directions(segments, settings.along, context.geometry)
    result = shifted(segments, drawn[tracks.index][:, None] * unit)
    record = Drawn(tracks.event_id, tracks.traj_id, {"shift": drawn}, {"shift": "cm"})
    return Perturbed(result, record, moved(segments, result, context.geometry))
