"""What a particle knocked out of atoms and its track does not hold: hits beside the track, and short tracks from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..detector.geometry import DetectorGeometry
from ..tables import Bools, Floats, Hits, Ints
from .charge import survival
from .losses import escape_of_knock_ons
from .polyline import foot
from .track_paths import StraightPieces

#: Hits of electrons that were knocked out are no further apart than this [cm], nor from the track that they left, ...
_REACH = 1.5
#: ... which they leave away from its ends [cm]: what decays and reactions set free are particles of their own.
_AT_THE_END = 1.0
#: Their own tracks are shorter than this [cm], and than this part of the track that they left.
_LONGEST, _PART = 12.0, 0.5


def hosts_of_hits(points: Floats, hits: Hits, hit_track: Ints, curves: Sequence[Floats], event: Ints) -> Ints:
    """`(h,)` the track whose particle knocked out the electron that left each hit, -1 for all other hits.

    `points` `(h, 3)` [cm] of hits; `hit_track` `(h,)` their tracks, rows of `curves` (vertices of each, [cm]) and of
    `event` `(t,)`, or -1.
    """
    paths = [StraightPieces.through(curve) for curve in curves]
    host_of_track = _hosts_of_tracks(paths, event)
    host = np.where(hit_track >= 0, np.append(host_of_track, -1)[hit_track], -1)
    particle = np.where(host_of_track >= 0, host_of_track, np.arange(len(paths)))
    for number in np.unique(hits.event_id):
        rows = np.flatnonzero(hits.event_id == number)
        free, held = rows[hit_track[rows] < 0], rows[hit_track[rows] >= 0]
        if len(free) and len(held):
            distance, nearest = cKDTree(points[held]).query(points[free])
            for group in _connected(points[free]):
                first = group[distance[group].argmin()]
                track = int(hit_track[held[nearest[first]]])
                own = host_of_track[track] < 0
                if distance[first] < _REACH and not (own and not _inner(paths[track], points[free[[first]]])[0]):
                    host[free[group]] = particle[track]
    return np.asarray(host)


def _hosts_of_tracks(paths: Sequence[StraightPieces], event: Ints) -> Ints:
    """`(t,)` the track that each short track begins on; of a chain of them the first. -1: it is its own."""
    host = np.full(len(paths), -1)
    length = np.array([path.length for path in paths])
    for k in np.flatnonzero(length < _LONGEST).tolist():
        ends, best = paths[k].points[[0, -1]], _REACH
        for other in np.flatnonzero((event == event[k]) & (length * _PART > length[k])).tolist():
            near = np.linalg.norm(paths[other].places(ends).offset, axis=1)
            near = near[_inner(paths[other], ends)]
            if near.size and near.min() < best:
                host[k], best = other, float(near.min())
    # Hosts are longer than what they host, so this ends.
    while (host[host[host >= 0]] >= 0).any():
        further = np.where(host >= 0, host[host], -1)
        host = np.where(further >= 0, further, host)
    return host


def _inner(path: StraightPieces, points: Floats) -> Bools:
    """`(n,)` whether points are beside the path away from its ends."""
    along = path.places(points).along
    return np.asarray((along > _AT_THE_END) & (along < path.length - _AT_THE_END))


def _connected(points: Floats) -> list[Ints]:
    """Rows of the groups of points `(n, 3)` that chains of steps up to the reach connect."""
    pairs = cKDTree(points).query_pairs(_REACH, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    number = connected_components(links, directed=False)[1]
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)


def knocked_out(
    points: Floats,
    hits: Hits,
    host: Ints,
    curves: Sequence[Floats],
    geometry: DetectorGeometry,
    values: Mapping[str, float],
    recombination: str,
) -> Floats:
    """Energy [MeV] of the hits that `host` `(h,)` gives to tracks, by their pieces `(n,)`, all pieces of all `curves`.

    That of each hit goes to the nearest piece: its charge before attenuation, at the recombination of electrons that
    were knocked out (`losses`).
    """
    energy = hits.charge / survival(points[:, 2], geometry, values) / escape_of_knock_ons(values, recombination)
    found = []
    for track, curve in enumerate(curves):
        rows = np.flatnonzero(host == track)
        piece = foot(points[rows], curve).piece if len(rows) else rows
        found.append(np.bincount(piece, energy[rows], minlength=len(curve) - 1))
    return np.concatenate([np.zeros(0), *found])
