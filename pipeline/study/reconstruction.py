"""How well tracks are reconstructed from hits alone: every event is simulated with noise, reconstructed, and compared
with the particles that were there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..config.models import Config
from ..config.performance import ReconstructionPerformance
from ..detector.argon import scaled_drift_velocity
from ..detector.geometry import DetectorGeometry
from ..errors import SelectionError
from ..parameters import nominal_values
from ..reconstruct.modes import with_model_losses
from ..reconstruct.particles import identified
from ..reconstruct.reconstruct import reconstruct
from ..simulate.observe import hits_table
from ..simulate.setup import forward_model, model_settings
from ..storage.identity import load_classifier
from ..storage.pixels import load_pixels
from ..tables import Hits, Reconstruction, Segments
from .matching import match
from .noisy import noise_draw
from .reconstruction_curves import headline, performance_curves, worst
from .track_accuracy import performance
from .track_rows import Performance
from .truth_hits import energy_held, hit_owners, particles_of

#: Stream of random numbers of the noise.
_NOISE = 22
#: Events that are held at once.
_EVENTS_AT_ONCE = 5

#: What makes a reconstruction of hits at assumed parameter values.
Reconstructor = Callable[[Hits, Mapping[str, float]], Reconstruction]


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Headline numbers, curves and the worst particles.

    Raises `SelectionError` where the sample has no such events, or no particle that should be found.
    """
    settings, pixels = model_settings(config), load_pixels(config.readout.pixels, geometry)
    particles = config.reconstruct.particles
    classifier = load_classifier(particles)

    def from_hits(hits: Hits, values: Mapping[str, float]) -> Reconstruction:
        found = reconstruct(hits, geometry, values, config.reconstruct, settings, pixels=pixels)
        return with_model_losses(identified(found, hits, geometry, particles, classifier), config.reconstruct)

    return summary(config, compare(config, segments, geometry, from_hits, progress))


def compare(
    config: Config,
    segments: Segments,
    geometry: DetectorGeometry,
    reconstructor: Reconstructor,
    progress: Callable[[str], None],
) -> Performance:
    """The configured events with noise, as the `reconstructor` sees them, beside the truth."""
    settings, parts, group = config.study.reconstruction, [], 0
    true = {**nominal_values(), **settings.target}
    for number, part in enumerate(_parts(settings, segments)):
        progress(f"events {number * _EVENTS_AT_ONCE} to {number * _EVENTS_AT_ONCE + len(np.unique(part.event_id)) - 1}")
        model = forward_model(part, geometry, config)
        hits = hits_table(
            model.hits(true, noise_draw(config, _NOISE, number)),
            geometry,
            drift_velocity=scaled_drift_velocity({**true, **settings.assumed}, geometry.temperature),
            event_t0=model.plan(true).event_t0,
            integer_adc=config.readout.integer_adc,
        )
        found = reconstructor(hits, {**true, **settings.assumed})
        particles = particles_of(part)
        owners = hit_owners(model, true, hits, particles)
        matching = match(
            owners.owner, found.hit_track, len(particles), len(found.tracks),
            least_share=settings.matched_share, least_purity=settings.matched_purity,
        )  # fmt: skip
        held = energy_held(model, true, hits, found.hit_track, matching.best, particles)
        parts.append(
            performance(
                found, part, particles, owners, matching, hits, geometry,
                window=settings.window_cm, held=held, first_group=group,
            )
        )  # fmt: skip
        group += len(particles)
    return Performance.concatenate(parts)


def _parts(settings: ReconstructionPerformance, segments: Segments) -> Iterator[Segments]:
    """Some whole events at a time, with all that is in them."""
    events = np.unique(segments.event_id)
    last = None if settings.events is None else settings.first_event + settings.events
    chosen = events[settings.first_event : last]
    if not len(chosen):
        raise SelectionError(
            f"reconstruction: the sample has {len(events)} events, and study.reconstruction.first_event = "
            f"{settings.first_event} leaves out all of them; lower it."
        )
    for k in range(0, len(chosen), _EVENTS_AT_ONCE):
        yield segments.take(np.isin(segments.event_id, chosen[k : k + _EVENTS_AT_ONCE]))


def summary(config: Config, rows: Performance) -> dict[str, Any]:
    """What `run` gives, from all rows; raises `SelectionError` where no particle should be found."""
    settings = config.study.reconstruction
    if not (np.isin(rows.particles.pdg_id, settings.species) & (rows.particles.hits > 0)).any():
        there = ", ".join(map(str, np.unique(rows.particles.pdg_id)))
        raise SelectionError(
            f"reconstruction: no particle of study.reconstruction.species has any hit, only PDG codes {there} are "
            f"there; name one of these, or give another sample."
        )
    return {
        "settings": settings.model_dump(mode="json"),
        "events": len(np.unique(rows.particles.event_id)),
        "headline": headline(settings, rows),
        "curves": performance_curves(settings, rows),
        "worst": worst(settings, rows),
    }


def table(result: dict[str, Any]) -> str:
    """The headline numbers as lines of text, and the particles that were reconstructed worst."""
    lines = [f"{result['events']} events"]
    for row in result["headline"]:
        value, low, high = row["value"]
        if value is None:
            lines.append(f"{row['name']:<72}{'-':>10}")
        else:
            lines.append(f"{row['name']:<72}{value:>10.4g}  {low:.4g} ... {high:.4g}  {row['unit']}")
    lines.append("worst: event, trajectory, PDG, length [cm], share of hits, purity, rms distance [cm]")
    for row in result["worst"]:
        rms = "-" if row["rms_cm"] is None else f"{row['rms_cm']:.2f}"
        lines.append(
            f"  {row['event_id']:>6} {row['traj_id']:>6} {row['pdg_id']:>6} {row['length_cm']:>8.1f} "
            f"{row['share']:>6.2f} {row['purity']:>6.2f} {rms:>6}"
        )
    return "\n".join(lines)
