"""The drift field that the hits themselves ask for, before anything is reconstructed at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from scipy.optimize import brentq

from .. import parameters
from ..config.reconstruction import Reconstruct
from ..detector import argon
from ..detector.geometry import DetectorGeometry
from ..errors import ReconstructionError
from ..simulate.model import ModelSettings
from ..tables import Hits
from .drift_correction import corrected, delays
from .finding import find_tracks
from .velocity import VelocityEstimate, estimate_velocity

#: Crossers that are believed, and their largest relative error of the velocity.
_CROSSERS, _ERROR = 2, 0.01


def with_measured_field(
    hits: Hits,
    geometry: DetectorGeometry,
    values: Mapping[str, float],
    settings: Reconstruct,
    model_settings: ModelSettings,
) -> tuple[dict[str, float], VelocityEstimate | None]:
    """The parameter values (others nominal) with the field at which tracks that cross the cathode meet there.

    A drift velocity that is wrong by 1 % tears such tracks by 3 mm on either side, more than all other errors of
    their curves together. Too few of them, or too uncertain: the values as they are, and None.
    """
    values = {**parameters.nominal_values(), **values}
    velocity = argon.scaled_drift_velocity(values, geometry.temperature)
    z = corrected(hits, geometry, velocity, delays(geometry, values, model_settings))
    labels = find_tracks(hits, z, geometry, settings.finding)
    try:
        found = estimate_velocity(replace(hits, drift_velocity=velocity), labels, geometry, z)
    except ReconstructionError:
        return values, None
    if found.crossers < _CROSSERS or found.error > _ERROR * found.value:
        return values, None
    field = field_of_velocity(found.value / values["drift_velocity_scale"], geometry.temperature)
    return (values, None) if field is None else ({**values, "electric_field": field}, found)


def field_of_velocity(velocity: float, temperature: float) -> float | None:
    """The field [kV/cm] at which electrons drift with `velocity` [cm/us]; None outside 0.05 to 5 kV/cm."""
    low, high = 0.05, 5.0
    if not argon.drift_velocity(low, temperature) < velocity < argon.drift_velocity(high, temperature):
        return None
    return float(brentq(lambda field: argon.drift_velocity(field, temperature) - velocity, low, high, xtol=1e-10))
