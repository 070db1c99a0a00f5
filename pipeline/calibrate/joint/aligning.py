"""Where tracks that were told, and the drift, have to begin: along the drift such tracks may be millimetres off.

The likelihood of a track that is millimetres from its hits leads into side minima: hits that are early are those of
electrons that it struck, before they are hits of a track that is somewhere else. So each track is first shifted along
the drift by its own amount, to where the hits beside it are, at the drift velocity at which they lie along all tracks.
This says where a fit begins, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ...detector import argon
from ...reconstruct.drift_correction import delays
from ...reconstruct.track_paths import StraightPieces
from ...simulate.model import ForwardModel
from ...tables import Floats, Ints, Observables, Segments

#: Hits further from a track than this are not of it: across the drift [pixel pitches], and along it [cm].
_BESIDE, _FAR = 1.0, 4.0
#: Ends of segments of a track that are further apart [cm] are not one point.
_GAP = 0.01
#: Tracks that are not further from their hits [cm] stay as they are: the likelihood knows better than this.
_NEAR = 0.1
#: Fewer hits than this tell nothing of a track.
_TOLD_BY = 5
#: How far [cm] hits of a track may be from it, as the fit goes on: those further away count less and less.
_WIDTHS = (1.0, 0.3, 0.1)
#: Rounds of the fit at each, ...
_ROUNDS = 10
#: ... what hits know at best, and how well tracks are known along the drift [cm] before.
_NOISE, _KNOWN = 0.05, 1.0
#: The same of the velocity, relative, and the most that it is changed by.
_RANGE, _MOST = 0.1, 0.2


def aligned(
    model: ForwardModel, data: Observables, values: Mapping[str, float], *, moving: bool
) -> tuple[Segments, float]:
    """The segments of a `model`, each track shifted along the drift to its hits, and the drift velocity at which they
    lie along it, over that of `values`: 1 if that is not `moving`. What lies near the hits stays as it is.
    """
    segments, geometry = model.segments, model.geometry
    velocity = argon.scaled_drift_velocity(values, geometry.temperature)
    charge = model.pixels.charge(data.centre[:, 0], data.channel)
    late = delays(geometry, values, model.settings).of(charge, data.order)
    tpc = data.columns["volume"]
    index = _stretches(segments)

    def depth(rows: Ints, begun: float) -> Floats:
        """Where hits are along the drift [cm] of charge that was left when the track `begun` [us] after its event."""
        return geometry.drift_coordinate(tpc[rows], (data.centre[:, 1] - late)[rows] - begun, velocity)

    hit, track, place, noise, off = _beside(segments, index, data, depth, geometry.pixel_pitch)
    if not _any_far(off, track):
        return segments, 1.0
    origin = geometry.undrifted(tpc[hit])
    shift, faster = np.zeros(int(index.max()) + 1), 0.0
    for width in np.repeat(_WIDTHS, _ROUNDS):
        # How far it drifted by the track: by the hit itself, whose noise is in `off`, too, it would tell a velocity.
        lever = (place + shift[track] - origin) / (1 + faster) * moving
        left = off - shift[track] + faster * lever
        weight = 1 / (noise**2 * (1 + (left / width) ** 2))
        # Off by `shift - faster lever`: shifts follow `faster`, which is solved for first.
        total = np.bincount(track, weight, len(shift)) + _KNOWN**-2
        mean_off, mean_lever = (np.bincount(track, weight * v, len(shift)) / total for v in (off, lever))
        inner = float((weight * lever * (lever - mean_lever[track])).sum())
        faster = -float((weight * lever * (off - mean_off[track])).sum()) / (inner + _RANGE**-2)
        faster = float(np.clip(faster, -_MOST, _MOST))
        shift = mean_off + faster * mean_lever
    by = np.zeros_like(segments.start)
    by[:, 2] = shift[index]
    return segments.replace(start=segments.start + by, end=segments.end + by), 1 + faster


def _any_far(off: Floats, track: Ints) -> bool:
    """Whether the hits beside any track are, in their middle, further than `_NEAR` from it."""
    of_tracks = (off[track == number] for number in np.unique(track))
    return any(len(own) >= _TOLD_BY and abs(np.median(own)) > _NEAR for own in of_tracks)


def _stretches(segments: Segments) -> Ints:
    """`(n,)` number of the stretch of a track without a gap that each segment is of: a track that is told too late is
    torn at the cathode, as its halves lie too far from anodes on either side."""
    track = segments.track_index()
    order = np.argsort(track, kind="stable")
    gap = np.linalg.norm(segments.start[order][1:] - segments.end[order][:-1], axis=1)
    number = np.zeros(len(track), dtype=np.int64)
    number[order[1:]] = np.cumsum((gap > _GAP) | (np.diff(track[order]) > 0))
    return number


def _beside(
    segments: Segments, index: Ints, data: Observables, depth: Callable[[Ints, float], Floats], pitch: float
) -> tuple[Ints, Ints, Floats, Floats, Floats]:
    """Hits beside tracks, seen from the anode, and not far from them: number of the hit, of the track, where the track
    is there along the drift [cm], how well the hit knows that, and how far from there it is, by its `depth`."""
    pixels = np.stack([data.columns["x"], data.columns["y"], np.zeros(len(data))], axis=1)
    events, row = np.unique(segments.event_id, return_inverse=True)
    earliest = np.full(len(events), np.inf)
    np.minimum.at(earliest, row, segments.t0)
    found: list[tuple[Ints, Ints, Floats, Floats, Floats]] = []
    for number in range(int(index.max(initial=-1)) + 1):
        mine = index == number
        own = segments.take(mine)
        rows = np.flatnonzero((data.event == own.event_id[0]) & data.valid)
        points = np.concatenate([own.start[:1], own.end])
        flat = points * [1.0, 1.0, 0.0]
        kept = np.append(True, np.linalg.norm(np.diff(flat, axis=0), axis=1) > 0)
        if kept.sum() < 2 or not len(rows):
            continue
        curve, along_drift = StraightPieces.through(flat), points[kept, 2]
        places = curve.places(pixels[rows])
        slope = np.diff(along_drift) / np.diff(curve.begin)
        at = np.interp(places.along, curve.begin, along_drift)
        off = depth(rows, float(np.mean(own.t0 - earliest[row[mine]]))) - at
        beside = np.linalg.norm(places.offset, axis=1) < _BESIDE * pitch
        beside &= (places.along > -pitch) & (places.along < curve.length + pitch) & (np.abs(off) < _FAR)
        noise = np.hypot(_NOISE, slope[places.piece] * pitch / np.sqrt(12))
        hits = rows[beside]
        found.append((hits, np.full(len(hits), number), at[beside], noise[beside], off[beside]))
    none = np.zeros(0, dtype=np.int64)
    found.append((none, none, np.zeros(0), np.zeros(0), np.zeros(0)))
    hit, track, place, noise, off = (np.concatenate(column) for column in zip(*found, strict=True))
    return hit, track, place, noise, off
