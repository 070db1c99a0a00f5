"""Comparison of a reconstruction with the true particles: fills the tables of `track_rows`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..reconstruct.track_paths import StraightPieces, line_of
from ..tables import Floats, Hits, Ints, Reconstruction, Segments
from .matching import Matching
from .track_rows import HitRows, LossRows, ParticleRows, Performance, PlaceRows, TrackRows, WindowRows, join
from .truth_hits import HitOwners, Particles

#: Deposits are put onto the curve in pieces of this length [cm].
_FINE = 0.1
#: Part of the length of a reconstructed segment that the true path must cover for their dE/dx to be compared.
_LEAST_COVERED = 0.9
#: Beyond the end of a curve by more than this [cm], a true place has no distance from it: it was missed.
_BEYOND = 1.0


def performance(
    reconstruction: Reconstruction,
    segments: Segments,
    particles: Particles,
    owners: HitOwners,
    matching: Matching,
    hits: Hits,
    geometry: DetectorGeometry,
    *,
    window: float,
    held: Floats,
    first_group: int = 0,
) -> Performance:
    """Compare a reconstruction of `hits` with the true `segments` of their events.

    `window` [cm]: length over which directions are compared; `held` `(n,)`: share of the charge of each segment that
    the match of its particle holds. Groups are numbered from `first_group` in the order of
    `particles`.
    """
    paths = [_path_of(segments, particles, k) for k in range(len(particles))]
    curves = {int(k): _curve_of(reconstruction, int(matching.best[k])) for k in np.flatnonzero(matching.found)}
    group = first_group + np.arange(len(particles))
    found = [(int(group[k]), paths[k], curve) for k, curve in curves.items()]
    own = {k: np.flatnonzero(particles.own & (particles.of_segment == k)) for k in curves}
    all_of = {k: np.flatnonzero(particles.of_segment == k) for k in curves}
    losses = [
        _losses(
            int(group[k]), reconstruction, int(matching.best[k]), curve, segments, own[k], all_of[k], held, geometry
        )
        for k, curve in curves.items()
    ]
    places = [
        _places(int(group[k]), curve, segments.centre[own[k]], _directions(segments)[own[k]], geometry)
        for k, curve in curves.items()
    ]
    rows = _particle_rows(reconstruction, particles, owners, matching, paths, curves, group, geometry)
    return Performance(
        particles=rows,
        tracks=_track_rows(reconstruction, particles, matching, geometry),
        hits=_hit_rows(reconstruction, owners, matching, hits, rows, geometry),
        places=join([_places(0, None, np.zeros((0, 3)), np.zeros((0, 3)), geometry), *places]),
        windows=_windows(found, window, geometry),
        losses=join([_no_losses(), *losses]),
    )


def _directions(segments: Segments) -> Floats:
    return np.asarray((segments.end - segments.start) / segments.length[:, None])


def _path_of(segments: Segments, particles: Particles, particle: int) -> StraightPieces:
    rows = np.flatnonzero(particles.own & (particles.of_segment == particle))
    return StraightPieces.through(np.concatenate([segments.start[rows[:1]], segments.end[rows]]))


def _curve_of(reconstruction: Reconstruction, track: int) -> StraightPieces:
    rows = _segments_of(reconstruction, track)
    pieces = reconstruction.segments
    return StraightPieces.through(np.concatenate([pieces.start[rows[:1]], pieces.end[rows]]))


def _segments_of(reconstruction: Reconstruction, track: int) -> Ints:
    tracks, pieces = reconstruction.tracks, reconstruction.segments
    return np.flatnonzero((pieces.event_id == tracks.event_id[track]) & (pieces.traj_id == tracks.track_id[track]))


def _particle_rows(
    reconstruction: Reconstruction,
    particles: Particles,
    owners: HitOwners,
    matching: Matching,
    paths: Sequence[StraightPieces],
    curves: dict[int, StraightPieces],
    group: Ints,
    geometry: DetectorGeometry,
) -> ParticleRows:
    count = len(particles)
    charge, ends = np.full(count, np.nan), np.full((count, 4), np.nan)
    for k, curve in curves.items():
        charge[k] = reconstruction.charge[_segments_of(reconstruction, int(matching.best[k]))].sum()
        ends[k] = _ends(curve, paths[k])
    best = matching.best
    return ParticleRows(
        group=group,
        event_id=particles.event_id,
        traj_id=particles.traj_id,
        pdg_id=particles.pdg_id,
        length=particles.length,
        hits=matching.hits,
        cos_drift=np.array([abs(line_of(p.points)[2]) for p in paths]),
        drift=np.array([_mean_drift(p, geometry) for p in paths]),
        found=matching.found,
        share=matching.share,
        purity=np.where(best >= 0, np.append(matching.purity, 0.0)[best], 0.0),
        track=best,
        collected=owners.collected,
        charge=charge,
        start_gap=ends[:, 0],
        end_gap=ends[:, 1],
        start_off=ends[:, 2],
        end_off=ends[:, 3],
    )


def _mean_drift(path: StraightPieces, geometry: DetectorGeometry) -> float:
    """Mean distance [cm] of a path to the anode on its side."""
    even = path.at((np.arange(100) + 0.5) / 100 * path.length)
    return float(geometry.anode_distance(even[:, 2]).mean())


def _ends(curve: StraightPieces, path: StraightPieces) -> Floats:
    """Gaps [cm] of the curve beyond the true start and end, and distances [cm] beside them, `(4,)`."""
    true, found = path.points[[0, -1]], curve.points[[0, -1]]
    outward = np.stack([-curve.directions[0], curve.directions[-1]])
    # A track knows not from which side the particle came.
    if np.linalg.norm(found - true, axis=1).sum() > np.linalg.norm(found[::-1] - true, axis=1).sum():
        found, outward = found[::-1], outward[::-1]
    gap = ((found - true) * outward).sum(axis=1)
    off = np.linalg.norm(found - true - gap[:, None] * outward, axis=1)
    return np.concatenate([gap, off])


def _track_rows(
    reconstruction: Reconstruction, particles: Particles, matching: Matching, geometry: DetectorGeometry
) -> TrackRows:
    tracks = reconstruction.tracks
    drift = np.zeros(len(tracks))
    for k in range(len(tracks)):
        rows = _segments_of(reconstruction, k)
        if len(rows):
            drift[k] = _mean_drift(_curve_of(reconstruction, k), geometry)
    return TrackRows(
        event_id=tracks.event_id,
        track_id=tracks.track_id,
        length=tracks.length,
        hits=matching.track_hits,
        cos_drift=np.abs(tracks.direction[:, 2]),
        drift=drift,
        purity=matching.purity,
        main=matching.main,
        pdg_id=np.append(particles.pdg_id, 0)[matching.particle],
    )


def _hit_rows(
    reconstruction: Reconstruction,
    owners: HitOwners,
    matching: Matching,
    hits: Hits,
    rows: ParticleRows,
    geometry: DetectorGeometry,
) -> HitRows:
    owned = np.flatnonzero(owners.owner >= 0)
    who = owners.owner[owned]
    return HitRows(
        group=rows.group[who],
        cos_drift=rows.cos_drift[who],
        drift=geometry.anode_distance(hits.z[owned]),
        kept=np.asarray(matching.found[who] & (reconstruction.hit_track[owned] == matching.best[who])),
    )


def _places(
    group: int, curve: StraightPieces | None, points: Floats, true: Floats, geometry: DetectorGeometry
) -> PlaceRows:
    """Distances of true `points` `(n, 3)`, where the particle flies along `true` `(n, 3)`, from a curve."""
    if curve is None:
        none = np.zeros(0)
        whole = np.zeros(0, dtype=np.int64)
        return PlaceRows(whole, none, none, none, none, none, none, none, np.zeros(0, dtype=bool))
    places = curve.places(points)
    unit = curve.directions[places.piece]
    away = _away_from_anode(points, geometry)
    flat = np.stack([-unit[:, 1], unit[:, 0], np.zeros(len(unit))], axis=1)
    steep = np.linalg.norm(flat, axis=1)
    # Along the drift every direction in the anode plane is perpendicular to the track.
    flat = np.where(steep[:, None] > 1e-6, flat / np.maximum(steep, 1e-6)[:, None], [1.0, 0.0, 0.0])
    deep = np.cross(unit, flat)
    deep *= (np.sign(deep[:, 2] * away) + (deep[:, 2] == 0))[:, None]
    return PlaceRows(
        group=np.full(len(points), group),
        cos_drift=np.abs(true[:, 2]),
        drift=geometry.anode_distance(points[:, 2]),
        x=places.offset[:, 0],
        y=places.offset[:, 1],
        away=places.offset[:, 2] * away,
        across=(places.offset * flat).sum(axis=1),
        deep=(places.offset * deep).sum(axis=1),
        beyond=np.asarray((places.along < -_BEYOND) | (places.along > curve.length + _BEYOND)),
    )


def _away_from_anode(points: Floats, geometry: DetectorGeometry) -> Floats:
    """`(n,)` 1 where the drift coordinate grows away from the nearest anode, else -1."""
    anode = np.array([t.z_anode for t in geometry.tpcs])
    inward = np.sign(np.array([t.z_cathode for t in geometry.tpcs]) - anode)
    return np.asarray(inward[np.abs(points[:, 2, None] - anode).argmin(axis=1)])


def _windows(
    found: Sequence[tuple[int, StraightPieces, StraightPieces]], window: float, geometry: DetectorGeometry
) -> WindowRows:
    rows = []
    for group, path, curve in found:
        for k in range(int(path.length / window)):
            piece = path.between(k * window, (k + 1) * window)
            line = line_of(piece)
            low, high = sorted(np.clip(curve.places(piece[[0, -1]]).along, 0, curve.length).tolist())
            angle = np.nan
            if high - low > window / 2:
                there = line_of(curve.between(low, high))
                # The sine keeps its digits where the cosine is 1.
                angle = float(np.arcsin(min(float(np.linalg.norm(np.cross(line, there))), 1.0)))
            middle = piece.mean(axis=0)[None]
            rows.append((group, abs(line[2]), geometry.anode_distance(middle[:, 2])[0], angle))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return WindowRows(table[:, 0].astype(np.int64), table[:, 1], table[:, 2], table[:, 3])


def _no_losses() -> LossRows:
    none = np.zeros(0)
    return LossRows(np.zeros(0, dtype=np.int64), none, none, none, none, none, none, none)


def _losses(
    group: int,
    reconstruction: Reconstruction,
    track: int,
    curve: StraightPieces,
    segments: Segments,
    own: Ints,
    all_of: Ints,
    held: Floats,
    geometry: DetectorGeometry,
) -> LossRows:
    """dE/dx of the segments of one track; the true deposits are put where they are nearest to the curve."""
    rows = _segments_of(reconstruction, track)
    pieces = reconstruction.segments.take(rows)
    edges = np.append(0.0, np.cumsum(pieces.length))
    energy = _along(curve, edges, segments.take(all_of), segments.dE[all_of])
    alone = _along(curve, edges, segments.take(own), segments.dE[own])
    of_hits = _along(curve, edges, segments.take(all_of), (segments.dE * held)[all_of])
    covered = _along(curve, edges, segments.take(own), segments.length[own])
    kept = covered >= _LEAST_COVERED * pieces.length
    chosen = pieces.take(kept)
    return LossRows(
        group=np.full(len(chosen), group),
        cos_drift=np.abs(_directions(chosen)[:, 2]),
        drift=geometry.anode_distance(chosen.centre[:, 2]),
        measured=chosen.dEdx,
        with_knocked=chosen.dEdx + reconstruction.knocked_out[rows][kept] / chosen.length,
        alone=alone[kept] / covered[kept],
        held=of_hits[kept] / covered[kept],
        true=energy[kept] / covered[kept],
    )


def _along(curve: StraightPieces, edges: Floats, segments: Segments, weight: Floats) -> Floats:
    """Sum of `weight`, spread evenly over each segment, in bins of the distance along a curve."""
    count = np.maximum(np.ceil(segments.length / _FINE), 1).astype(np.int64)
    row = np.repeat(np.arange(len(segments)), count)
    k = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    where = ((k + 0.5) / count[row])[:, None]
    point = segments.start[row] + where * (segments.end - segments.start)[row]
    return np.asarray(np.histogram(curve.places(point).along, edges, weights=(weight / count)[row])[0])
