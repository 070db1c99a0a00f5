"""Perturbation `shift`: everything moved by the same amount."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from ..tables import Segments
from .base import Along, Context, Finite, Perturbation, Perturbed, directions, moved, shifted

_ALONG: dict[str, Along] = {"x_cm": "x", "y_cm": "y", "z_cm": "z", "drift_cm": "drift"}


class Shift(Perturbation):
    """A constant shift of all deposits."""

    kind: Literal["shift"] = "shift"
    x_cm: Finite = Field(0.0, description="along x of the anode plane")
    y_cm: Finite = Field(0.0, description="along y of the anode plane")
    z_cm: Finite = Field(0.0, description="along the drift axis, the same way in all drift volumes")
    drift_cm: Finite = Field(0.0, description="away from the anode of each deposit's drift volume")

    @model_validator(mode="after")
    def _something(self) -> Shift:
        # A shift by 0 that is written down is the first point of a scan; none at all is a key that was forgotten.
        if not self.model_fields_set & set(_ALONG):
            raise ValueError(f"a shift by nothing; give one or more of {', '.join(_ALONG)}")
        return self

    def displacements(self) -> Iterator[tuple[str, Along, float]]:
        """The four shifts."""
        for key, along in _ALONG.items():
            yield key, along, getattr(self, key)


def shift(segments: Segments, settings: Shift, context: Context) -> Perturbed:
    """`r -> r + d`, and `z -> z + s drift_cm` with s the direction from anode to cathode."""
    unit = {along: directions(segments, along, context.geometry) for along in _ALONG.values()}
    total = sum(getattr(settings, key) * unit[along] for key, along in _ALONG.items())
    result = shifted(segments, total)
    return Perturbed(result, notes=moved(segments, result, context.geometry))
