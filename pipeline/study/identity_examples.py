"""Reconstructed tracks of known species: simulated particles, their hits with noise, and the tracks found in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.spatial import cKDTree

from ..config.models import Config
from ..detector.argon import scaled_drift_velocity
from ..detector.geometry import DetectorGeometry
from ..errors import ReconstructionError, SelectionError
from ..parameters import nominal_values
from ..produce.sample import Recipe, parts, produce_part
from ..reconstruct.classifier import Examples
from ..reconstruct.features import FEATURES, features
from ..reconstruct.likelihood import evidence, track_of_segments
from ..reconstruct.particles import CODES
from ..simulate.observe import hits_table
from ..simulate.setup import forward_model
from ..tables import Bools, Floats, Hits, Ints, Reconstruction, Segments, common_numbers
from .noisy import noise_draw

#: Number of the stream of random numbers from which the seeds of examples and of their noise come.
_STREAM = 21

#: A segment is true to the deposit nearest to it, up to this distance [cm].
_NEAR = 1.0

#: Least share of a track's segments that must be of one particle for the track to have a species.
_PURITY = 0.5

#: From hits to tracks with dE/dx from their charge.
Reconstructing = Callable[[Hits], Reconstruction]

_NO_NUMBERS, _NOTHING = np.zeros(0, dtype=np.int64), np.zeros(0)
_NONE = Examples(
    FEATURES,
    np.zeros((0, len(FEATURES))),
    _NO_NUMBERS,
    _NO_NUMBERS,
    np.zeros((0, len(CODES))),
    _NOTHING,
    _NOTHING.astype(np.bool_),
)


def generated(
    config: Config,
    geometry: DetectorGeometry,
    reconstructing: Reconstructing,
    least_cm: float,
    progress: Callable[[str], None],
) -> Examples:
    """Tracks of `reconstruct.particles.examples`, of `least_cm` or more.

    Their seed is that of the run, in a stream of its own, so that a generated sample shares no particle with them.
    Raises `SelectionError` where there are fewer than two species.
    """
    seed = int(np.random.SeedSequence([config.seed, _STREAM]).generate_state(1)[0]) >> 1
    sample = config.sample.model_copy(update={"generator": config.reconstruct.particles.examples, "engine": "argon"})
    recipe = Recipe.of(sample, geometry, seed)
    found = []
    for first, events in parts(recipe):
        progress(f"examples of events {first} to {first + events - 1} of {recipe.events}")
        segments = produce_part(recipe, first, events).segments
        found.append(known_tracks(config, segments, geometry, reconstructing, least_cm, first))
    known = Examples.concatenate(found)
    if len(np.unique(known.species)) < 2:
        raise SelectionError(
            "reconstruct.particles.examples: fewer than two species were reconstructed; give it more events or species."
        )
    return known


def known_tracks(
    config: Config,
    segments: Segments,
    geometry: DetectorGeometry,
    reconstructing: Reconstructing,
    least_cm: float,
    number: int,
) -> Examples:
    """What is reconstructed of these deposits, at nominal parameters with noise (draw `number`), and of what."""
    resolution = config.reconstruct.particles.charge_resolution
    found = [_NONE]
    for some in _some_events(segments):
        deposits = segments.take(some)
        hits = _hits(config, deposits, geometry, number)
        try:
            reconstruction = reconstructing(hits)
        except ReconstructionError:  # these few events hold nothing; others may
            continue
        tracks = reconstruction.tracks
        species = true_species(reconstruction, deposits)
        every = Examples(
            FEATURES,
            features(reconstruction, hits, geometry, resolution),
            species,
            tracks.event_id,
            evidence(reconstruction, geometry, resolution).log_likelihood,
            tracks.length,
            tracks.contained,
        )
        found.append(every.take((species >= 0) & (tracks.length >= least_cm)))
    return Examples.concatenate(found)


def true_species(reconstruction: Reconstruction, segments: Segments) -> Ints:
    """`(n,)` number, in the order of `SPECIES`, of the particle that most of each track is; -1: none of them, or mixed.

    A segment of a track is of the particle that left the nearest deposit of its event.
    """
    owner = track_of_segments(reconstruction)
    points, deposit = _points(segments)
    mine, theirs = common_numbers(reconstruction.segments.event_id[:, None], segments.event_id[:, None])
    reach = 10 * (
        1 + np.abs(segments.centre).max(initial=0.0) + np.abs(reconstruction.segments.centre).max(initial=0.0)
    )
    apart = np.array([reach, 0.0, 0.0])
    tree = cKDTree(points + apart * theirs[deposit][:, None])
    distance, found = tree.query(reconstruction.segments.centre + apart * mine[:, None])
    nearest = deposit[found]
    particle, code = segments.track_index(), np.abs(segments.pdg_id)
    species = np.full(len(reconstruction.tracks), -1, dtype=np.int64)
    near = (distance < _NEAR) & (owner >= 0)
    for row in np.unique(owner[near]):
        these = nearest[near & (owner == row)]
        kinds, count = np.unique(particle[these], return_counts=True)
        if count.max() < _PURITY * (owner == row).sum():
            continue
        one = these[particle[these] == kinds[count.argmax()]][0]
        which = code[one] == CODES
        species[row] = int(np.argmax(which)) if which.any() else -1
    return species


def _points(segments: Segments) -> tuple[Floats, Ints]:
    """Points `(p, 3)` along deposits, which may be longer than what is near, and the deposit `(p,)` of each."""
    number = np.ceil(segments.length / (0.5 * _NEAR)).astype(np.int64).clip(1)
    deposit = np.repeat(np.arange(len(segments)), number)
    place = (np.arange(len(deposit)) - np.repeat(np.cumsum(number) - number, number) + 0.5) / number[deposit]
    return segments.start[deposit] + place[:, None] * (segments.end - segments.start)[deposit], deposit


def _some_events(segments: Segments) -> Iterator[Bools]:
    """Masks of the rows of some events each: the forward model plans what it gets as a whole."""
    events = np.unique(segments.event_id)
    for some in np.array_split(events, max(1, len(events) // 25)):
        yield np.isin(segments.event_id, some)


def _hits(config: Config, segments: Segments, geometry: DetectorGeometry, number: int) -> Hits:
    values = nominal_values()
    model = forward_model(segments, geometry, config)
    return hits_table(
        model.hits(values, noise_draw(config, _STREAM, number)),
        geometry,
        drift_velocity=scaled_drift_velocity(values, geometry.temperature),
        event_t0=model.plan(values).event_t0,
        integer_adc=config.readout.integer_adc,
    )
