"""Which hits belong to which track.

Hits of one drift volume that are close together form clusters (DBSCAN: Ester et al., KDD-96, 226), which leaves out
lonely ones; within a cluster tracks that cross are followed one by one (`following`), pieces are joined across gaps
and across the cathode (`joining`), and every hit near a track goes to the nearest one.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from sklearn.cluster import DBSCAN

from ..config.finding import Finding
from ..detector.geometry import DetectorGeometry, Tpc
from ..tables import Floats, Hits, Ints
from .following import find_pieces
from .hit_polyline import polyline
from .joining import Crossing, crossings, ends_of, join_gaps, weighted_median
from .kinks import split_kinks

#: With at least this many tracks across the cathode their common jump narrows down what is joined.
_ENOUGH = 4

#: How far [cm] the jump of a track at the cathode may be from the common one.
_JUMP_SPREAD = 0.4

#: What [cm] the delay of the response may leave of a jump at the cathode at the right drift velocity.
_DELAY_ERROR = 0.3


def find_tracks(hits: Hits, z: Floats, geometry: DetectorGeometry, settings: Finding) -> Ints:
    """`(h,)` number of each hit's track within its event (0, 1, ... by number of hits), or -1: none.

    `z` `(h,)` [cm]: drift coordinates, corrected for the delay of the response, at a drift velocity that may be wrong
    by `settings.velocity_tolerance`. A track that crosses the cathode has one number.
    """
    labels = np.full(len(hits), -1, dtype=np.int64)
    if not len(hits):
        return labels
    points = np.stack([hits.x, hits.y, z], axis=1)
    events, event = np.unique(hits.event_id, return_inverse=True)
    pieces: list[list[list[Ints]]] = []
    for e in range(len(events)):
        pieces.append(
            [_pieces(points, np.flatnonzero((event == e) & (hits.tpc == t.tpc)), settings) for t in geometry.tpcs]
        )
    for e, tracks in enumerate(_joined(points, pieces, geometry, settings)):
        rows = np.flatnonzero(event == e)
        labels[rows] = _assigned(points[rows], hits.tpc[rows], [np.searchsorted(rows, t) for t in tracks], settings)
    return labels


def _pieces(points: Floats, rows: Ints, settings: Finding) -> list[Ints]:
    """Rows of the pieces of tracks among some rows of one drift volume."""
    if not len(rows):
        return []
    cluster = DBSCAN(eps=settings.neighbour_cm, min_samples=settings.neighbours).fit_predict(points[rows])
    found: list[Ints] = []
    for number in range(cluster.max(initial=-1) + 1):
        inside = rows[cluster == number]
        found += [inside[piece] for piece in find_pieces(points[inside], settings)]
    return [part for piece in join_gaps(points, found, rows, settings) for part in split_kinks(points, piece, settings)]


def _joined(
    points: Floats, pieces: list[list[list[Ints]]], geometry: DetectorGeometry, settings: Finding
) -> list[list[Ints]]:
    """Tracks of each event: pieces `[event][drift volume]`, joined across cathodes."""
    joined = [list(event) for event in pieces]
    for a, b in back_to_back(geometry):
        found = _crossings(
            [(event[a], event[b]) for event in pieces], points, geometry.tpcs[a], geometry.tpcs[b], settings
        )
        for event, pairs in zip(joined, found, strict=True):
            both = [np.concatenate([event[a][c.one], event[b][c.other]]) for c in pairs]
            rest = [p for i, p in enumerate(event[b]) if i not in {c.other for c in pairs}]
            event[a] = both + [p for i, p in enumerate(event[a]) if i not in {c.one for c in pairs}]
            event[b] = rest
    return [[piece for volume in event for piece in volume] for event in joined]


def _crossings(
    pieces: list[tuple[list[Ints], list[Ints]]], points: Floats, one: Tpc, other: Tpc, settings: Finding
) -> list[list[Crossing]]:
    """Per event the pairs of its pieces in either drift volume that are one track across their cathode.

    The jump at the cathode is the same for all tracks: the median of those found first narrows down a second search.
    """
    ends = [(ends_of(points, a, settings), ends_of(points, b, settings)) for a, b in pieces]
    faces = one.z_cathode, other.z_cathode
    largest = settings.velocity_tolerance * one.drift_length + _DELAY_ERROR
    found = [crossings(*event, faces, (-largest, largest), 0.0, settings) for event in ends]
    every = [crossing for event in found for crossing in event]
    if len(every) < _ENOUGH:
        return found
    centre = weighted_median(np.array([c.jump for c in every]), np.array([c.weight for c in every]))
    narrow = centre - _JUMP_SPREAD, centre + _JUMP_SPREAD
    return [crossings(*event, faces, narrow, settings.gap_cm, settings) for event in ends]


def back_to_back(geometry: DetectorGeometry) -> list[tuple[int, int]]:
    """Pairs of drift volumes that share a cathode, which lies between them and is thin beside the drift length."""
    pairs = []
    for a, b in combinations(geometry.tpcs, 2):
        drift_a, drift_b, thickness = a.z_cathode - a.z_anode, b.z_cathode - b.z_anode, b.z_cathode - a.z_cathode
        if (
            drift_a * drift_b < 0
            and drift_a * thickness >= 0
            and abs(thickness) < 0.1 * min(abs(drift_a), abs(drift_b))
        ):
            pairs.append((a.tpc, b.tpc))
    return pairs


def _assigned(points: Floats, tpc: Ints, tracks: list[Ints], settings: Finding) -> Ints:
    """`(h,)` number of the nearest of an event's tracks, most hits first, or -1 for hits that are near none."""
    labels = np.full(len(points), -1, dtype=np.int64)
    for number, rows in enumerate(tracks):
        labels[rows] = number
    for _ in range(2):
        distance = np.full((len(tracks) + 1, len(points)), np.inf)
        distance[-1] = settings.hit_distance_cm
        for number in range(len(tracks)):
            for volume in np.unique(tpc[labels == number]):
                inside = tpc == volume
                curve = polyline(points[inside & (labels == number)])
                if curve is not None:
                    distance[number, inside] = curve.distance(points[inside])
        nearest = np.argmin(distance, axis=0)
        labels = np.where(nearest == len(tracks), -1, nearest)
    size = np.bincount(labels[labels >= 0], minlength=len(tracks))
    order = [i for i in np.argsort(-size, kind="stable") if size[i] >= settings.minimum_hits]
    number_of = np.full(len(tracks) + 1, -1, dtype=np.int64)
    number_of[order] = np.arange(len(order))
    return number_of[labels]
