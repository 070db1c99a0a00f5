"""The drift velocity from tracks that cross the cathode.

Either half of such a track is measured from its own anode, and both end at the cathode, whose distance from the anodes
is known. At the right velocity they are one line there; at a wrong one each half is stretched about its anode, and
the drift coordinates of the halves are apart by an equal distance on both sides. So the one number that brings the
halves of all tracks together is the velocity: no truth, no absolute time resolution, and no energy loss enters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..errors import ReconstructionError
from ..tables import Bools, Floats, Hits, Ints
from .finding import back_to_back
from .joining import weighted_median
from .lines import fit_line

#: Length [cm] of either half, from the cathode on, that is looked at: scattering bends longer ones.
_WINDOW = 15.0

#: Hits that either half must have there.
_HITS = 6

#: Tracks that are further off than this many times the spread of all are left out.
_FAR = 3.0

#: What [cm] of the drift length the correction of the delay leaves open in common for all tracks: measured on simulated
#: muons, whose delay depends a little on their direction.
_DELAY_LEFT = 0.03

#: Noise [cm] that no fit of a track goes below.
_LEAST_NOISE = 1e-3

#: Error [cm] of the drift length that the last hit of a track at the cathode tells: a pixel is wide, and its charge
#: is told in steps.
_LAST_HIT = 0.3

#: Ends of tracks within this distance [cm] of the furthest are taken to be at the cathode.
_AT_CATHODE = 1.0


@dataclass(frozen=True)
class VelocityEstimate:
    """Drift velocity `value` and standard `error` [cm/us], from `crossers` tracks across the cathode.

    With no crosser it is that of the longest drifts, by the number of `ends` that are taken to lie at the cathode.
    """

    value: float
    error: float
    crossers: int
    ends: int = 0


def estimate_velocity(
    hits: Hits, labels: Ints, geometry: DetectorGeometry, z: Floats | None = None
) -> VelocityEstimate:
    """Drift velocity at which the halves of tracks across the cathode meet, or else that of the longest drifts.

    `labels` `(h,)` are those of `find_tracks`; `z` `(h,)` [cm] drift coordinates at `hits.drift_velocity`, corrected
    for the delay of the response (without: those of the hits). Raises `ReconstructionError` where no track reaches
    far enough to tell.
    """
    z = hits.z if z is None else z
    stretch, error = _stretches(hits, labels, z, geometry)
    if len(stretch):
        centre, width = _combined(stretch, error)
        width = float(np.hypot(width, _DELAY_LEFT / _shortest(geometry)))
        return VelocityEstimate(hits.drift_velocity * (1 + centre), hits.drift_velocity * width, len(stretch))
    return _from_ends(hits, labels, z, geometry)


def _stretches(hits: Hits, labels: Ints, z: Floats, geometry: DetectorGeometry) -> tuple[Floats, Floats]:
    """`(c,)` relative excess of the velocity over that of `z`, by each crosser, and its standard error."""
    found = []
    for a, b in back_to_back(geometry):
        inside = np.flatnonzero((labels >= 0) & ((hits.tpc == a) | (hits.tpc == b)))
        _, track = np.unique(np.stack([hits.event_id, labels])[:, inside], axis=1, return_inverse=True)
        order = np.argsort(track.reshape(-1), kind="stable")
        for rows in np.split(inside[order], np.flatnonzero(np.diff(track.reshape(-1)[order])) + 1):
            if len(rows):
                of_track = _stretch(
                    np.stack([hits.x[rows], hits.y[rows], z[rows]], axis=1), hits.tpc[rows] == b, a, b, geometry
                )
                found += [of_track] if of_track else []
    return np.array([s for s, _ in found]), np.array([e for _, e in found])


def _stretch(points: Floats, second: Bools, a: int, b: int, geometry: DetectorGeometry) -> tuple[float, float] | None:
    """Excess of the velocity by one track of hits `(n, 3)` in two volumes, and its standard error; None: no telling.

    With the coordinate z_0 = z_a + f_a (d + response_start) at velocity v_0 (f = +-1: away from the anode) and a
    straight track z = p + q s, the velocity v_0 (1 + k) makes z_0 (1 + k) - k (z_a + f_a response_start) = p + q s:
    linear in p, q and k / (1 + k), with the known offset of either volume. Fitted along s where the track runs across
    the drift, and along z where it runs along it, so that the coordinate with the larger steps is the measured one.
    """
    cathode = 0.5 * (geometry.tpcs[a].z_cathode + geometry.tpcs[b].z_cathode)
    # The window is one of length along the track: the last hits of either half.
    along = fit_line(points).along(points)
    middle = 0.5 * (
        np.median(_innermost(along, ~second, points, cathode)) + np.median(_innermost(along, second, points, cathode))
    )
    near = np.abs(along - middle) <= _WINDOW
    points, second = points[near], second[near]
    if min(np.count_nonzero(second), np.count_nonzero(~second)) < _HITS:
        return None
    flat = points[:, :2] - points[:, :2].mean(axis=0)
    s = flat @ np.linalg.eigh(flat.T @ flat)[1][:, 1]
    offset = geometry.undrifted(np.where(second, b, a))
    depth = points[:, 2] - cathode
    if np.ptp(s) > np.ptp(depth):  # z - offset * share = p + q s
        value, covariance = _least_squares(np.stack([offset, s, np.ones_like(s)], axis=1), depth)
        share, error = value[0], np.sqrt(covariance[0, 0])
    else:  # s = p + q (z - offset * share)
        value, covariance = _least_squares(np.stack([offset, depth, np.ones_like(s)], axis=1), s)
        if abs(value[1]) < 1e-3:
            return None
        share = -value[0] / value[1]
        slope = np.array([-1 / value[1], -share / value[1], 0.0])
        error = np.sqrt(slope @ covariance @ slope)
    return (float(share / (1 - share)), float(error / (1 - share) ** 2)) if abs(share) < 0.5 else None


def _shortest(geometry: DetectorGeometry) -> float:
    """The shortest of the drift lengths [cm]."""
    return min(t.drift_length for t in geometry.tpcs)


def _innermost(along: Floats, chosen: Bools, points: Floats, cathode: float) -> Floats:
    """Place along the track of the three chosen hits that are nearest to the cathode."""
    rows = np.flatnonzero(chosen)
    return along[rows[np.argsort(np.abs(points[rows, 2] - cathode), kind="stable")[:3]]] if len(rows) else along


def _least_squares(design: Floats, measured: Floats) -> tuple[Floats, Floats]:
    """Coefficients and their covariance, after the hits furthest off are left out; the noise is that of the rest."""
    keep = np.ones(len(measured), dtype=np.bool_)
    for _ in range(3):
        value = np.asarray(np.linalg.lstsq(design[keep], measured[keep], rcond=None)[0], dtype=np.float64)
        residual = measured - design @ value
        width = max(1.4826 * float(np.median(np.abs(residual[keep]))), 0.02)
        keep = np.abs(residual) <= 3 * width
    noise = _LEAST_NOISE**2 + float((residual[keep] ** 2).sum()) / max(np.count_nonzero(keep) - design.shape[1], 1)
    covariance = noise * np.linalg.pinv(design[keep].T @ design[keep])
    return np.asarray(value, dtype=np.float64), np.asarray(covariance, dtype=np.float64)


def _combined(value: Floats, error: Floats) -> tuple[float, float]:
    """Weighted mean without values that are far off, and its standard error.

    The common variance that is added to those of the fits brings the chi-squared to its expectation (Paule and Mandel,
    J. Res. NBS 87 (1982) 377): scattering and the delay of single tracks, which no fit of one track sees.
    """
    centre = weighted_median(value, 1 / (error**2 + np.median(error) ** 2))
    spread = max(1.4826 * float(np.median(np.abs(value - centre))), float(np.median(error)))
    keep = np.abs(value - centre) <= _FAR * spread
    value, error = value[keep], error[keep]
    low, high = 0.0, float((value.max() - value.min()) ** 2)
    for _ in range(60):
        added = 0.5 * (low + high)
        weight = 1 / (error**2 + added)
        centre = float(np.average(value, weights=weight))
        low, high = (added, high) if (weight * (value - centre) ** 2).sum() > len(value) - 1 else (low, added)
    return centre, float(1 / np.sqrt((1 / (error**2 + high)).sum()))


def _from_ends(hits: Hits, labels: Ints, z: Floats, geometry: DetectorGeometry) -> VelocityEstimate:
    """Drift velocity at which the longest drifts end at the cathode."""
    chosen = labels >= 0
    if not chosen.any():
        raise ReconstructionError(
            "no track was found that the drift velocity could be told from; give it, or more events"
        )
    origin = geometry.undrifted(np.arange(len(geometry.tpcs)))
    length = np.array([abs(t.z_cathode - o) for t, o in zip(geometry.tpcs, origin, strict=True)])
    drift = np.abs(z[chosen] - origin[hits.tpc[chosen]]) / length[hits.tpc[chosen]]
    _, track = np.unique(np.stack([hits.event_id, hits.tpc, labels])[:, chosen], axis=1, return_inverse=True)
    longest = np.zeros(track.max() + 1)
    np.maximum.at(longest, track.reshape(-1), drift)
    scale = _AT_CATHODE / float(length.min())
    # One stray hit must not decide what the longest drift is: of the candidates, that with most others just below it.
    beside = [np.count_nonzero((longest <= end) & (longest > end - scale)) for end in longest]
    furthest = max(longest[np.array(beside) >= max(1, 0.2 * np.max(beside))])
    ends = longest[(longest <= furthest) & (longest > furthest - scale)]
    value = hits.drift_velocity / float(np.median(ends))
    return VelocityEstimate(value, value * _LAST_HIT / float(length.min()), 0, len(ends))
