"""How far tracks are from the particles that made them, where these are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables import SPECIES, Floats, Segments
from .track_paths import StraightPieces

#: Past the end of a track by more than this [cm], or this far beside all of them, a true place has no track.
_BEYOND = 1.0
#: Labels of what makes tracks: muons and charged hadrons.
_MAKERS = tuple(code for code in SPECIES.values() if code != SPECIES["electron"])


@dataclass(frozen=True)
class Distance:
    """Root mean square distance `rms` [cm] of true places from the tracks beside them (NaN: there is none), weighted by
    length, and the part `missed` of the true length that has none.
    """

    rms: float
    missed: float


def distance_to_truth(tracks: Segments, truth: Segments) -> Distance:
    """Distance of `tracks` to the `truth`: both are muons and charged hadrons by their labels, others are left out.

    A true place is the centre of a true segment. Its distance is that to the nearest track of its event, perpendicular
    to that; tracks go on straight for 1 cm beyond their ends, and further away than that is nothing near.
    """
    tracks, truth = (s.take(np.isin(np.abs(s.pdg_id), _MAKERS) & (s.length > 0)) for s in (tracks, truth))
    found = np.full(len(truth), np.inf)
    index = tracks.track_index()
    for number in np.unique(index):
        own = tracks.take(index == number)
        rows = np.flatnonzero(truth.event_id == own.event_id[0])
        if len(rows):
            found[rows] = np.minimum(found[rows], _from_curve(own, truth.centre[rows]))
    near, weight = found < _BEYOND, truth.length
    rms = float(np.sqrt(np.average(found[near] ** 2, weights=weight[near]))) if near.any() else np.nan
    return Distance(rms, 1 - float(weight[near].sum() / max(weight.sum(), 1e-300)))


def _from_curve(track: Segments, points: Floats) -> Floats:
    """`(n,)` distance [cm] of points `(n, 3)` from one track; infinite past its ends."""
    curve = StraightPieces.through(np.concatenate([track.start[:1], track.end]))
    places = curve.places(points)
    beside = (places.along > -_BEYOND) & (places.along < curve.length + _BEYOND)
    return np.where(beside, np.linalg.norm(places.offset, axis=1), np.inf)
