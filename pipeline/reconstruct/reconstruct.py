"""From hits to tracks of segments: correct the drift, find, fit, cut, measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..config.reconstruction import Reconstruct
from ..detector import argon
from ..detector.geometry import DetectorGeometry
from ..detector.pixels import PixelConstants
from ..errors import ReconstructionError
from ..simulate.model import ModelSettings
from ..tables import SPECIES, Floats, Hits, Ints, Reconstruction, Segments, Tracks
from .charge import shared_out, survival
from .curve import fit_curve, scattering_angle
from .drift_correction import Delays, corrected, delays
from .finding import find_tracks
from .knock_ons import hosts_of_hits, knocked_out
from .losses import density_of, loss_with_knock_ons, may_stop, seen_length
from .polyline import foot, lengths
from .refine import Electronics, Refined, State, refine
from .segments import Cut, cut_track

#: Length of track [cm] that is refined at once; whole events, so that memory does not grow with the sample.
_LENGTH_AT_ONCE = 1500.0
#: Standard deviations of the drift coordinate of a corrected hit: of its delay [us].
_DELAY_SPREAD = 0.8


@dataclass(frozen=True)
class _Found:
    """A track in the making: its event, the rows of its hits, its curve and charge."""

    event: int
    hits: Ints
    vertices: Floats
    charge: Floats


def reconstruct(
    hits: Hits,
    geometry: DetectorGeometry,
    values: Mapping[str, float],
    settings: Reconstruct,
    model_settings: ModelSettings,
    *,
    pixels: PixelConstants | None = None,
    labels: Ints | None = None,
    progress: Callable[[int], None] = lambda events: None,
) -> Reconstruction:
    """Tracks, their segments and charge, from hits and the parameter values of the detector (others nominal).

    `labels` `(h,)`: track of each hit where it is known, counted from 0 in each event, -1 for none; otherwise tracks
    are found. `progress(n)` is called after n more events. Raises `ReconstructionError` if there is no track.
    """
    pixels = PixelConstants.nominal(geometry) if pixels is None else pixels
    electronics = Electronics.of(geometry, model_settings, pixels, values)
    found = delays(geometry, electronics.values, model_settings)
    velocity = argon.scaled_drift_velocity(electronics.values, geometry.temperature)
    z = corrected(hits, geometry, velocity, found)
    if labels is None:
        labels = find_tracks(hits, z, geometry, settings.finding)
    tracks = _first_curves(hits, z, labels, electronics, settings, found)
    cuts: list[tuple[_Found, Cut, float]] = []
    for group in _groups(tracks):
        cuts += _refined(group, hits, z, electronics, settings)
        progress(len({t.event for t in group}))
    if not cuts:
        raise ReconstructionError(
            f"{len(hits)} hits make no track of {settings.min_hits} hits inside {geometry.name}; are these hits of "
            "this detector? Lower reconstruct.min_hits for shorter tracks."
        )
    return _tables(cuts, hits, z, electronics)


def _first_curves(
    hits: Hits, z: Floats, labels: Ints, electronics: Electronics, settings: Reconstruct, found: Delays
) -> list[_Found]:
    """Curves through the hits themselves, and charge spread evenly along them; sorted by event."""
    geometry = electronics.geometry
    points = np.stack([hits.x, hits.y, z], axis=1)
    pitch = geometry.pixel_pitch / np.sqrt(12.0)
    velocity = argon.scaled_drift_velocity(electronics.values, geometry.temperature)
    spread = np.array([pitch, pitch, _DELAY_SPREAD * velocity])
    freed = hits.charge / survival(z, geometry, electronics.values)
    tracks = []
    order = np.lexsort((labels, hits.event_id))
    order = order[labels[order] >= 0]
    key = np.stack([hits.event_id[order], labels[order]], axis=1)
    starts = np.flatnonzero(np.any(np.diff(key, axis=0, prepend=-1), axis=1))
    for rows in np.split(order, starts[1:]) if len(starts) else []:
        if len(rows) < settings.min_hits or np.ptp(points[rows], axis=0).max() == 0:
            continue
        curve = fit_curve(points[rows], hits.charge[rows], spread, settings.curves)
        h = lengths(curve.vertices)
        charge = freed[rows].sum() * h / h.sum()
        tracks.append(_Found(int(hits.event_id[rows[0]]), np.sort(rows), curve.vertices, charge))
    return tracks


def _groups(tracks: list[_Found]) -> list[list[_Found]]:
    """Tracks of whole events, about `_LENGTH_AT_ONCE` together."""
    groups: list[list[_Found]] = []
    length = np.inf
    for i, track in enumerate(tracks):
        if length > _LENGTH_AT_ONCE and (i == 0 or tracks[i - 1].event != track.event):
            groups.append([])
            length = 0.0
        groups[-1].append(track)
        length += float(lengths(track.vertices).sum())
    return groups


def _refined(
    group: list[_Found], hits: Hits, z: Floats, electronics: Electronics, settings: Reconstruct
) -> list[tuple[_Found, Cut, float]]:
    """The tracks of some events, refined by the forward model and cut; their hits' rms about them [cm]."""
    events = np.array([t.event for t in group])
    begin, end = np.searchsorted(hits.event_id, [events.min(), events.max() + 1])
    rows = np.arange(begin, end)
    own = hits.take(rows)
    state = State(
        tuple(t.vertices for t in group),
        tuple(t.charge for t in group),
        events,
        np.full(len(group), scattering_angle(settings.curves.momentum_mev)),
    )
    refined = refine(state, own, electronics, settings.curves)
    points = np.stack([own.x, own.y, z[rows]], axis=1)
    refined = replace(refined, state=_with_recorded_charge(refined, own, points, group, begin, electronics))
    return [r for r in (_cut(group, k, refined, hits, z, electronics, settings) for k in range(len(group))) if r]


def _with_recorded_charge(
    refined: Refined, hits: Hits, points: Floats, group: list[_Found], begin: int, electronics: Electronics
) -> State:
    """The state with the charge that was recorded of each piece, instead of that which explains the hits best."""
    state = refined.state
    owner = np.full(len(hits), -1, dtype=np.int64)
    for k, track in enumerate(group):
        owner[track.hits - begin] = k
    first = np.concatenate([[0], np.cumsum([len(q) for q in state.charge])])

    def nearest(rows: Ints) -> Ints:
        piece = np.zeros(len(rows), dtype=np.int64)
        for k in np.unique(owner[rows]):
            here = owner[rows] == k
            piece[here] = first[k] + foot(points[rows[here]], state.vertices[k]).piece
        return piece

    pieces = electronics.deposits(state)
    arrived = shared_out(refined.collected, hits, owner, pieces.traj_id, nearest)
    freed = arrived / survival(pieces.centre[:, 2], electronics.geometry, electronics.values)
    return replace(state, charge=tuple(np.split(freed, first[1:-1])))


def _cut(
    group: list[_Found],
    k: int,
    refined: Refined,
    hits: Hits,
    z: Floats,
    electronics: Electronics,
    settings: Reconstruct,
) -> tuple[_Found, Cut, float] | None:
    vertices = refined.state.vertices[k]
    cut = cut_track(vertices, refined.state.charge[k], refined.precision[k], electronics.geometry, settings.segment_cm)
    if cut is None:
        return None
    rows = group[k].hits
    distance = foot(np.stack([hits.x[rows], hits.y[rows], z[rows]], axis=1), cut.vertices).distance
    return group[k], cut, float(np.sqrt((distance**2).mean()))


def _tables(cuts: list[tuple[_Found, Cut, float]], hits: Hits, z: Floats, electronics: Electronics) -> Reconstruction:
    event = np.array([f.event for f, _, _ in cuts], dtype=np.int64)
    number = np.arange(len(event)) - np.searchsorted(event, event)
    hit_track = np.full(len(hits), -1, dtype=np.int64)
    for row, (found, _, _) in enumerate(cuts):
        hit_track[found.hits] = row
    tracks = Tracks(
        event_id=event,
        track_id=number,
        hits=np.array([len(f.hits) for f, _, _ in cuts], dtype=np.int64),
        length=np.array([c.length for _, c, _ in cuts]),
        rms=np.array([rms for _, _, rms in cuts]),
        cathode=np.array([c.cathode for _, c, _ in cuts], dtype=np.bool_),
        anode=np.array([c.anode for _, c, _ in cuts], dtype=np.int64),
        contained=np.array([c.contained for _, c, _ in cuts], dtype=np.bool_),
        start=np.stack([c.vertices[0] for _, c, _ in cuts]),
        end=np.stack([c.vertices[-1] for _, c, _ in cuts]),
        direction=np.stack([c.direction for _, c, _ in cuts]),
        covariance=np.stack([c.covariance for _, c, _ in cuts]),
        probability=np.full((len(cuts), len(SPECIES)), 1.0 / len(SPECIES)),
    )
    return _with_segments(tracks, [c for _, c, _ in cuts], hits, z, hit_track, electronics)


def _with_segments(
    tracks: Tracks, cuts: list[Cut], hits: Hits, z: Floats, hit_track: Ints, electronics: Electronics
) -> Reconstruction:
    count = np.array([len(c.charge) for c in cuts])
    track = np.repeat(np.arange(len(cuts)), count)
    start = np.concatenate([c.vertices[:-1] for c in cuts])
    end = np.concatenate([c.vertices[1:] for c in cuts])
    freed = np.concatenate([c.charge for c in cuts])
    length = np.linalg.norm(end - start, axis=1)
    along = np.cumsum(length) - 0.5 * length
    residual = np.cumsum([c.length for c in cuts])[track] - along
    density = density_of(freed, length, seen_length(start, end, electronics.geometry), track)
    stopping = may_stop(tracks.contained[track], residual)
    dedx = loss_with_knock_ons(density, track, stopping, electronics.values, electronics.settings.recombination)
    t0 = np.array([hits.event_t0.get(int(e), 0.0) for e in tracks.event_id])[track]
    segments = Segments(
        event_id=tracks.event_id[track],
        vertex_id=np.zeros(len(track), dtype=np.int64),
        segment_id=np.arange(len(track)),
        traj_id=tracks.track_id[track],
        pdg_id=np.full(len(track), SPECIES["muon"]),
        start=start,
        end=end,
        t0=t0,
        t0_start=t0,
        t0_end=t0,
        dE=dedx * length,
        dx=length,
        dEdx=dedx,
    )
    arrived = freed * survival(segments.centre[:, 2], electronics.geometry, electronics.values)
    error = np.concatenate([c.position_error for c in cuts])
    points, curves = np.stack([hits.x, hits.y, z], axis=1), [c.vertices for c in cuts]
    host = hosts_of_hits(points, hits, hit_track, curves, tracks.event_id)
    recombination = electronics.settings.recombination
    beside = knocked_out(points, hits, host, curves, electronics.geometry, electronics.values, recombination)
    return Reconstruction(tracks, segments, residual, error, arrived, beside, hit_track)
