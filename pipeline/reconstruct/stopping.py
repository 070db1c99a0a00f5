"""Tracks of particles that stop inside: which they are, and at which end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..config.reconstruction import Stopping
from ..detector.geometry import DetectorGeometry
from ..errors import SelectionError
from ..matter.scattering import across
from ..tables import Bools, Floats, Reconstruction
from .cuts import with_segments
from .likelihood import ends_of_range, track_of_segments
from .losses import loss_with_knock_ons, may_stop
from .recombination import density_of_charge, recombination_of_stops


def stopping_tracks(
    found: Reconstruction,
    settings: Stopping,
    geometry: DetectorGeometry,
    charge_resolution: float,
    values: Mapping[str, float],
    recombination: str,
    where: str,
) -> tuple[Reconstruction, dict[str, float]]:
    """The tracks of `settings.species` that end where the particle stopped, all turned to end there; and the parameter
    values with the recombination that these ask for (`recombination_of_stops`), at which they have their dE/dx.

    `charge_resolution` as for `evidence`; `where` (the file) begins the sentence of an error. Raises `SelectionError`
    if there is none.
    """
    measured = recombination_of_stops(found, geometry, values, recombination, settings.species, charge_resolution)
    track = track_of_segments(found)
    ends = may_stop(found.tracks.contained[track], found.residual_range)
    dedx = loss_with_knock_ons(density_of_charge(found, geometry, measured), track, ends, measured, recombination)
    found = replace(found, segments=found.segments.with_dedx(dedx))
    stops = ends_of_range(found, geometry, charge_resolution, settings.species, settings.within_cm)
    kept = (stops.sum(axis=0) >= settings.probability) & (found.tracks.length >= settings.min_length_cm)
    if not kept.any():
        raise SelectionError(
            f"{where}: none of {len(found.tracks)} tracks is a {settings.species} of {settings.min_length_cm:g} cm or "
            f"more that stops inside; lower reconstruct.stopping.probability or min_length_cm, or set stopping to null."
        )
    found = turned(found, stops[1] > stops[0])
    return with_segments(found, np.flatnonzero(kept[track_of_segments(found)])), measured


def turned(found: Reconstruction, back: Bools) -> Reconstruction:
    """The same tracks, those of `back` `(n,)` with start and end exchanged; their ends lie inside."""
    tracks, owner = found.tracks, track_of_segments(found)
    order = np.arange(len(owner))
    for track in np.flatnonzero(back):
        rows = np.flatnonzero(owner == track)
        order[rows] = rows[::-1]
    of_segment = back[owner]
    segments = found.segments.take(order)
    ends = np.stack([segments.start, segments.end])
    start, end = np.where(of_segment[:, None], ends[::-1], ends)
    residual = np.where(of_segment, tracks.length[owner] - found.residual_range, found.residual_range)
    direction = np.where(back[:, None], -tracks.direction, tracks.direction)
    return Reconstruction(
        tracks=replace(
            tracks,
            start=np.where(back[:, None], tracks.end, tracks.start),
            end=np.where(back[:, None], tracks.start, tracks.end),
            direction=direction,
            covariance=_carried(tracks.covariance, tracks.direction, direction),
            contained=tracks.contained | back,
        ),
        segments=segments.replace(start=start, end=end, segment_id=found.segments.segment_id),
        residual_range=residual[order],
        position_error=found.position_error[order],
        charge=found.charge[order],
        knocked_out=found.knocked_out[order],
        hit_track=found.hit_track,
    )


def _carried(covariance: Floats, before: Floats, after: Floats) -> Floats:
    """Covariances `(n, 4, 4)` of offsets and slopes of lines on the axes of the directions `after`, which are those of
    `before` or opposite to them: slopes then change their sign."""
    old, new = (np.stack(across(d), axis=1) for d in (before, after))
    axes = np.einsum("nik,njk->nij", new, old)
    turn = np.zeros_like(covariance)
    turn[:, :2, :2] = axes
    turn[:, 2:, 2:] = axes * np.sign((before * after).sum(axis=1))[:, None, None]
    return np.asarray(turn @ covariance @ turn.swapaxes(1, 2))
