"""What tells particles apart, as one row of numbers per reconstructed track."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from ..detector.geometry import DetectorGeometry
from ..matter.particles import MUON_MASS
from ..matter.ranges import range_table
from ..tables import SPECIES, Floats, Hits, Ints, Reconstruction
from .likelihood import Evidence, evidence, track_of_segments

#: Edges [cm] of residual range in which dE/dx is compared with a muon's that stops.
_EDGES = (0.0, 2.0, 5.0, 15.0, 40.0)

#: Distance [cm] from the end of a track, and from its middle parts, within which other charge counts as near.
_NEAR_END, _NEAR_TRACK = 6.0, 2.5

#: Hits at most this far [cm] from the charge of a track may be the same charge, wrongly placed along the drift.
_SAME = 0.7

#: Names of the features, in the order of their columns.
FEATURES = (
    *(f"log-likelihood of {name} over muon" for name in SPECIES if name != "muon"),
    "log-likelihood of the best per segment",
    *(f"{name} stops" for name in SPECIES if name != "electron"),
    "log length",
    "contained",
    "median ln dE/dx",
    "low ln dE/dx",
    "high ln dE/dx",
    *(f"ln dE/dx over muon, {a:g} to {b:g} cm" for a, b in pairwise(_EDGES)),
    "Bragg ratio",
    "log rms",
    "bend",
    "kinks",
    "largest kink",
    "charge near the end",
    "charge near the start",
    "charge beside the track",
)


def features(
    reconstruction: Reconstruction, hits: Hits | None, geometry: DetectorGeometry, charge_resolution: float
) -> Floats:
    """`(n, k)` features of all tracks, in the order of `FEATURES`; all finite.

    Start and end are taken as the likelihood prefers (`evidence`, with its `charge_resolution`). `hits` are those that
    `reconstruction.hit_track` speaks of; None: nothing is known of charge beside tracks.
    """
    found = evidence(reconstruction, geometry, charge_resolution)
    forward = _forward(found)
    columns = [*_of_likelihood(found)]
    columns += _of_segments(reconstruction, forward)
    columns += _of_shape(reconstruction)
    columns += _of_surroundings(reconstruction, hits, forward)
    return np.nan_to_num(np.stack(columns, axis=1), nan=0.0, posinf=0.0, neginf=0.0)


def _forward(found: Evidence) -> Floats:
    """`(n,)` how probable it is that tracks run from their start to their end, by the species that suit them."""
    best = found.log_likelihood[:, :-1].argmax(axis=1)
    return np.asarray(found.forward[np.arange(len(best)), best])


def _of_likelihood(found: Evidence) -> list[Floats]:
    """Ratios to the muon, compressed: a hundred segments say more than is to be believed."""
    muon = found.log_likelihood[:, 0]
    columns = [np.arcsinh((found.log_likelihood[:, k] - muon) / 2) for k in range(1, len(SPECIES))]
    columns.append(found.log_likelihood.max(axis=1) / np.maximum(found.segments, 1))
    return columns + [found.stopping[:, k] for k in range(len(SPECIES) - 1)]


def _of_segments(reconstruction: Reconstruction, forward: Floats) -> list[Floats]:
    """Length, whether both ends are inside, quantiles of dE/dx, dE/dx over that of a stopping muon, Bragg ratio."""
    tracks, segments = reconstruction.tracks, reconstruction.segments
    number, owner = len(tracks), track_of_segments(reconstruction)
    used = (owner >= 0) & (segments.dEdx > 0)
    owner, log = owner[used], np.log(segments.dEdx[used])
    ahead = reconstruction.residual_range[used]
    residual = np.where(forward[owner] >= 0.5, ahead, np.maximum(tracks.length[owner] - ahead, 0.0))
    table = range_table(MUON_MASS)
    half = 0.5 * np.minimum(segments.length[used], 2 * residual)
    loss = table.energy(residual + half) - table.energy(np.maximum(residual - half, 0.0))
    over = log - np.log(np.maximum(loss, 1e-6) / np.maximum(2 * half, 1e-6))
    columns = [np.log(np.maximum(tracks.length, 0.1)), tracks.contained.astype(np.float64)]
    columns += [_quantile(log, owner, number, q) for q in (0.5, 0.2, 0.85)]
    for low, high in pairwise(_EDGES):
        inside = (residual >= low) & (residual < high)
        columns.append(np.clip(_quantile(over[inside], owner[inside], number, 0.5), -2, 2))
    end, rest = residual < 3.0, residual >= 6.0
    bragg = _quantile(log[end], owner[end], number, 0.5) - _quantile(log[rest], owner[rest], number, 0.5)
    known = (np.bincount(owner[end], minlength=number) > 0) & (np.bincount(owner[rest], minlength=number) > 0)
    columns.append(np.where(known, bragg, 0.0))
    return columns


def _of_shape(reconstruction: Reconstruction) -> list[Floats]:
    """Rms about the straight line, how much longer than straight, rms and largest angle between segments."""
    tracks, segments = reconstruction.tracks, reconstruction.segments
    number, owner = len(tracks), track_of_segments(reconstruction)
    chord = np.linalg.norm(tracks.end - tracks.start, axis=1)
    direction = (segments.end - segments.start) / np.maximum(segments.length, 1e-9)[:, None]
    pair = np.flatnonzero((owner[1:] == owner[:-1]) & (owner[1:] >= 0))
    cosine = (direction[pair] * direction[pair + 1]).sum(axis=1)
    angle = np.arccos(np.clip(cosine, -1, 1))
    largest = np.zeros(number)
    np.maximum.at(largest, owner[pair], angle)
    square = np.bincount(owner[pair], angle**2, number) / np.maximum(np.bincount(owner[pair], minlength=number), 1)
    return [
        np.log(np.maximum(tracks.rms, 0.005)),
        np.log(np.maximum(tracks.length - chord, 0.001)) - np.log(np.maximum(tracks.length, 0.1)),
        np.log(np.sqrt(square) + 0.01),
        np.log(largest + 0.01),
    ]


def _of_surroundings(reconstruction: Reconstruction, hits: Hits | None, forward: Floats) -> list[Floats]:
    """Charge that is not the track's, in units of what a muon leaves in 1 cm, near its last end, near its first end,
    and beside the rest of it per cm: decay electrons, products of interactions, showers.
    """
    tracks, segments = reconstruction.tracks, reconstruction.segments
    end, start, beside = (np.zeros(len(tracks)) for _ in range(3))
    owner = track_of_segments(reconstruction)
    events = np.array([], dtype=np.int64) if hits is None or not len(hits) else np.unique(tracks.event_id)
    for event in events:
        assert hits is not None
        here = np.flatnonzero(hits.event_id == event)
        tree = cKDTree(np.stack([hits.x[here], hits.y[here], hits.z[here]], axis=1)) if len(here) else None
        for row in np.flatnonzero(tracks.event_id == event) if tree is not None else ():
            other = reconstruction.hit_track[here] != row
            line = segments.centre[owner == row]
            if tree is None or not len(line):
                continue
            distance = cKDTree(line).query(tree.data, distance_upper_bound=_NEAR_END)[0]
            charge = hits.charge[here] / 5e4 * (other & (distance > _SAME))
            at_end, at_start = (
                np.linalg.norm(tree.data - point, axis=1) < _NEAR_END for point in (tracks.end[row], tracks.start[row])
            )
            side = (distance < _NEAR_TRACK) & ~at_end & ~at_start
            end[row], start[row] = charge[at_end].sum(), charge[at_start].sum()
            beside[row] = charge[side].sum() / max(tracks.length[row], 1.0)
    turned = forward < 0.5
    end, start = np.where(turned, start, end), np.where(turned, end, start)
    return [np.log1p(end), np.log1p(start), np.log1p(10 * beside)]


def _quantile(values: Floats, owner: Ints, number: int, q: float) -> Floats:
    """`(number,)` quantile of the values of each owner, the nearest from below; 0 where there is none."""
    order = np.lexsort((values, owner))
    count = np.bincount(owner, minlength=number)
    first = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
    place = first + np.floor(q * np.maximum(count - 1, 0)).astype(np.int64)
    found = np.zeros(number)
    some = count > 0
    found[some] = values[order][place[some]]
    return found
