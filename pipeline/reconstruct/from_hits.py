"""All steps from hits to identified tracks with dE/dx, in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..config.reconstruction import Reconstruct
from ..detector.geometry import DetectorGeometry
from ..detector.pixels import PixelConstants
from ..parameters import nominal_values
from ..simulate.model import ModelSettings
from ..tables import Assumed, Hits, Reconstruction
from .classifier import Classifier
from .field import with_measured_field
from .modes import with_model_losses
from .particles import identified
from .reconstruct import reconstruct
from .stopping import stopping_tracks
from .t0 import with_found_times
from .velocity import VelocityEstimate


@dataclass(frozen=True)
class FromHits:
    """What hits alone tell: the `reconstruction`, and what it rests on; `velocity` is None where it was assumed, or no
    tracks told it.
    """

    reconstruction: Reconstruction
    assumed: Assumed
    velocity: VelocityEstimate | None


def from_hits(
    hits: Hits,
    geometry: DetectorGeometry,
    values: Mapping[str, float],
    settings: Reconstruct,
    model_settings: ModelSettings,
    *,
    pixels: PixelConstants,
    classifier: Classifier | None,
    where: str,
    progress: Callable[[int], None] = lambda events: None,
) -> FromHits:
    """Times of events, drift velocity, tracks, particles, those that stop and dE/dx, each as the settings ask for it.

    `values` are assumed, others nominal; `classifier` is as for `identified`; `where` names the hits in errors, and
    `progress(n)` is called after n more events. Raises `ReconstructionError` where nothing can be found, and
    `SelectionError` where nothing stops.
    """
    values = {**nominal_values(), **values}
    used, times, velocity = hits, None, None
    if settings.t0 == "found":
        used, times = with_found_times(hits, geometry, values, settings.finding, model_settings, where)
    if settings.velocity == "crossers":
        values, velocity = with_measured_field(used, geometry, values, settings, model_settings)
        if velocity is not None and times is not None:
            # Ends at the cathode tell another time at another velocity.
            used, times = with_found_times(hits, geometry, values, settings.finding, model_settings, where)
    found = reconstruct(used, geometry, values, settings, model_settings, pixels=pixels, progress=progress)
    found = identified(found, used, geometry, settings.particles, classifier)
    if settings.stopping is not None:
        resolution = settings.particles.charge_resolution
        recombination = model_settings.recombination
        found, values = stopping_tracks(found, settings.stopping, geometry, resolution, values, recombination, where)
    found = with_model_losses(found, settings)
    hit_track = np.full(len(hits), -1)
    hit_track[np.isin(hits.event_id, list(used.event_t0))] = found.hit_track
    return FromHits(replace(found, hit_track=hit_track), Assumed(values, times), velocity)
