"""The time of events from tracks that cross an anode or the cathode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..tables import Floats, Hits, Ints
from .curve import line_through

#: Ends this close [cm] to the sides of the detector left through them.
_SIDE = 1.5
#: Ends agree on a time within this width [us].
_AGREE = 3.0


@dataclass(frozen=True)
class TimeOffset:
    """How much later [us] the times of an event's hits are than the drift of their charge, and how many `ends` of
    tracks agree on it.
    """

    value: float
    ends: int


def infer_t0(
    hits: Hits, labels: Ints, geometry: DetectorGeometry, velocity: float, delay: Floats
) -> dict[int, TimeOffset]:
    """Offset of the times of hits for every event with tracks that tell it.

    `labels` `(h,)`: track of each hit in its event or -1; `velocity` [cm/us]; `delay` `(h,)` [us] between arrival and
    threshold (`drift_correction.Delays.of`). A track that enters through the anode begins at a drift time of 0, one
    that crosses the cathode ends at the longest. So every end away from the sides offers two offsets, of which the
    wrong ones are spread out; the offset on which most ends agree is taken. Events in which no two ends agree are left
    out. Take it off `hits.t` (with the sign that it has) to correct them.
    """
    found = {}
    for event in np.unique(hits.event_id):
        offers = []
        rows = np.flatnonzero((hits.event_id == event) & (labels >= 0))
        for track in np.unique(labels[rows]):
            for tpc in geometry.tpcs:
                own = rows[(labels[rows] == track) & (hits.tpc[rows] == tpc.tpc)]
                if len(own) >= 4:
                    offers += _offers(hits, own, geometry, velocity, delay[own], abs(tpc.z_anode - tpc.z_cathode))
        best = _most_agreed(np.array(offers))
        if best is not None:
            found[int(event)] = best
    return found


def _offers(
    hits: Hits, rows: Ints, geometry: DetectorGeometry, velocity: float, delay: Floats, drift: float
) -> list[float]:
    """Offsets [us] at which an end of a part of a track lies on the anode or on the cathode."""
    distance = velocity * (hits.t[rows] - delay) + geometry.response_start
    points = np.stack([hits.x[rows], hits.y[rows], distance], axis=1)
    centre, direction = line_through(points, np.ones(len(rows)))
    along = (points - centre) @ direction
    low, high = (
        np.array([geometry.x_range[0], geometry.y_range[0]]),
        np.array([geometry.x_range[1], geometry.y_range[1]]),
    )
    offers = []
    for near in (np.argmin(along), np.argmax(along)):
        end = points[near]
        if np.minimum(end[:2] - low, high - end[:2]).min() < _SIDE:
            continue
        offers += [end[2] / velocity, (end[2] - drift) / velocity]
    return [float(o) for o in offers]


def _most_agreed(offers: Floats) -> TimeOffset | None:
    """The middle of the offers in the window that holds most of them."""
    offers = np.sort(offers)
    count = np.searchsorted(offers, offers + _AGREE, side="right") - np.arange(len(offers))
    if not len(offers) or count.max() < 2:
        return None
    begin = int(np.argmax(count))
    return TimeOffset(float(np.median(offers[begin : begin + count[begin]])), int(count[begin]))
