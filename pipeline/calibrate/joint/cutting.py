"""Tracks cut anew, where they pass from one pixel to the next.

What a particle lost within one pixel is what the pixel tells. Segments that end elsewhere tie losses together that have
nothing to do with each other, and the fit would make up for it by losses that go up and down.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ...detector.geometry import DetectorGeometry
from ...errors import FitError
from ...tables import Bools, Floats, Ints, Segments, common_numbers

#: Lengths [cm] between which segments are.
SHORTEST, LONGEST = 0.15, 0.5
#: Pieces shorter than this [cm] are joined to their neighbours.
_SHORT = 0.05
#: A track that passes over so many pixels has been in the rows on both sides of one: those know where in it it was.
_ROWS = 2
#: A track that ends within this part of the drift length of a cathode may end there: so far drift velocities are known
#: before any track across it has told them.
_AT_CATHODE = 0.05


def cut_at_pixels(
    segments: Segments, geometry: DetectorGeometry, shortest: float = SHORTEST, longest: float = LONGEST
) -> Segments:
    """Chains of segments with ends where their tracks cross borders of pixels.

    A border closer than `shortest` [cm] along the track to the one before is passed over; where they are further apart
    than `longest` [cm], as on tracks along the drift, there are ends in between. Energies are shared out by length.
    """
    track = segments.track_index()
    order = np.argsort(track, kind="stable")
    segments, track = segments.take(order), track[order]
    first = np.searchsorted(track, np.arange(int(track.max(initial=-1)) + 2))
    pieces = [_cut(segments.take(np.arange(a, b)), geometry, shortest, longest) for a, b in pairwise(first)]
    rows = np.concatenate(
        [np.zeros(0, dtype=np.int64), *(a + row for a, (row, *_) in zip(first[:-1], pieces, strict=True))]
    )
    start, end, energy = (
        np.concatenate([np.zeros((0, *shape)), *(p[i] for p in pieces)]) for i, shape in ((1, (3,)), (2, (3,)), (3, ()))
    )
    dx = np.linalg.norm(end - start, axis=1)
    return segments.take(rows).replace(start=start, end=end, dE=energy, dx=dx, dEdx=energy / dx)


def _cut(
    track: Segments, geometry: DetectorGeometry, shortest: float, longest: float
) -> tuple[Ints, Floats, Floats, Floats]:
    """Rows of the old segments, start, end and energy of the new ones."""
    points = np.concatenate([track.start, track.end[-1:]])
    path = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    borders = []
    for axis, low in ((0, geometry.x_range[0]), (1, geometry.y_range[0])):
        place = (points[:, axis] - low) / geometry.pixel_pitch
        for i in range(len(points) - 1):
            a, b = sorted((place[i], place[i + 1]))
            lines = np.arange(np.ceil(a), np.ceil(b))
            if len(lines):
                part = (lines - place[i]) / (place[i + 1] - place[i])
                borders.append(path[i] + part * (path[i + 1] - path[i]))
    cuts = [0.0]
    for border in np.sort(np.concatenate([np.zeros(0), *borders])):
        if border - cuts[-1] >= shortest and path[-1] - border >= shortest:
            cuts.append(float(border))
    cuts.append(float(path[-1]))
    fine = [np.linspace(a, b, max(int(np.ceil((b - a) / longest)), 1), endpoint=False) for a, b in pairwise(cuts)]
    at = np.append(np.concatenate(fine), path[-1])
    ends = np.stack([np.interp(at, path, points[:, k]) for k in range(3)], axis=1)
    energy = np.diff(np.interp(at, path, np.concatenate([[0.0], np.cumsum(track.dE)])))
    row = np.clip(np.searchsorted(path, 0.5 * (at[1:] + at[:-1]), side="right") - 1, 0, len(track) - 1)
    return row, ends[:-1], ends[1:], energy


def usable(segments: Segments, *, loose: bool) -> Segments:
    """Those of the segments that chains can be made of, short ones joined where places move (`loose`).

    Raises `FitError` where there are none.
    """
    segments = joined(segments, _SHORT) if loose else segments
    segments = segments.take((segments.length > 0) & (segments.dE > 0))
    if not len(segments):
        raise FitError("there are no segments to begin with; loosen the cuts, or reconstruct again.")
    return segments


class NothingLocated(FitError):
    """There is no track whose place hits tell."""


def located(segments: Segments, geometry: DetectorGeometry, shortest: float, *, fast: bool) -> Segments:
    """Those of tracks that hits tell the places of: not shorter than `shortest` [cm], not along a side of the detector,
    with no end at a cathode, and, of `fast` particles, not along a row of pixels (two of them or less in x or in y).

    Of charge on both sides of the last pixels one half is lost: which, and so the loss of energy, nobody knows. A track
    that at another drift velocity ends beyond a cathode would lose its charge there, and seem to tell the velocity as
    one does that is on both sides. In a row of pixels a fast particle and its mirror image leave nearly the same hits;
    of slow ones the rows beside get enough to tell.

    Raises `NothingLocated` where there are none.
    """
    track = segments.track_index()
    length = np.bincount(track, segments.length)
    low, high = _extent(segments, track)
    beside = geometry.side_distance(segments.centre) < geometry.pixel_pitch
    reasons = {
        f"shorter than {shortest:g} cm (unknown.min_track_cm)": length < shortest,
        "along a side of the detector": np.bincount(track, segments.length * beside) > 0.5 * length,
        "with an end at a cathode": _at_cathode(np.stack([low, high])[..., 2], geometry).any(axis=0),
        "along a row of pixels": ((high - low)[:, :2] < _ROWS * geometry.pixel_pitch).any(axis=1) & fast,
    }
    left_out = np.any(list(reasons.values()), axis=0)
    if left_out.all():
        counted = ", ".join(f"{which.sum()} {reason}" for reason, which in reasons.items() if which.any())
        raise NothingLocated(
            f"hits tell the place of none of {len(length)} tracks ({counted}); select others, or more."
        )
    return segments.take(~left_out[track])


def _extent(segments: Segments, track: Ints) -> tuple[Floats, Floats]:
    """`(tracks, 3)` the lowest and the highest coordinates [cm] of tracks."""
    low = np.full((int(track.max(initial=-1)) + 1, 3), np.inf)
    high = -low
    for ends in (segments.start, segments.end):
        np.minimum.at(low, track, ends)
        np.maximum.at(high, track, ends)
    return low, high


def _at_cathode(z: Floats, geometry: DetectorGeometry) -> Bools:
    """Which drift coordinates are near a cathode, in the shape of `z` [cm]."""
    distance = [np.abs(z - t.z_cathode) < _AT_CATHODE * t.drift_length for t in geometry.tpcs]
    return np.asarray(np.any(distance, axis=0))


def joined(segments: Segments, shortest: float) -> Segments:
    """Chains of segments without pieces that are shorter than `shortest` [cm]: each is joined to the one before it (the
    first one to the next)."""
    order = np.argsort(segments.track_index(), kind="stable")
    segments = segments.take(order)
    track, long = segments.track_index(), segments.length >= shortest
    # The first long piece of a track takes what is before it, too.
    group = np.cumsum(long)
    first = np.searchsorted(track, track)
    group = np.maximum(group, group[first] + ~long[first])
    key = common_numbers(np.stack([track, group], axis=1))[0]
    begin = np.searchsorted(key, np.arange(int(key.max(initial=-1)) + 1))
    last = np.searchsorted(key, np.arange(len(begin)), side="right") - 1
    kept, energy = segments.take(begin), np.bincount(key, segments.dE)
    length = np.linalg.norm(segments.end[last] - segments.start[begin], axis=1)
    return kept.replace(end=segments.end[last], dE=energy, dx=length, dEdx=energy / np.maximum(length, 1e-9))
