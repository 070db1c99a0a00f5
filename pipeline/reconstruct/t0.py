"""The time of events from tracks that cross an anode or the cathode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..config.finding import Finding
from ..detector import argon
from ..detector.geometry import DetectorGeometry
from ..errors import ReconstructionError
from ..simulate.model import ModelSettings
from ..tables import Floats, Hits, Ints, TimeOffset
from .curve import line_through
from .drift_correction import corrected, delays
from .finding import find_tracks

#: Ends this close [cm] to the sides of the detector left through them.
_SIDE = 1.5
#: Ends agree on a time within this width [us].
_AGREE = 3.0
#: Part of the hits on tracks that must come from within the drift volumes, but for this distance [cm].
_INSIDE, _MARGIN = 0.95, 1.0


def with_found_times(
    hits: Hits,
    geometry: DetectorGeometry,
    values: Mapping[str, float],
    finding: Finding,
    model_settings: ModelSettings,
    where: str,
) -> tuple[Hits, dict[int, TimeOffset]]:
    """Hits of the events whose time their tracks tell, with that taken off, and what was found by event.

    `values` of all parameters tell the drift. Raises `ReconstructionError`, which names the file `where`, if no event
    has two ends that agree.
    """
    velocity = argon.scaled_drift_velocity(values, geometry.temperature)
    delay = delays(geometry, values, model_settings)
    labels = find_tracks(hits, corrected(hits, geometry, velocity, delay), geometry, finding)
    found = infer_t0(hits, labels, geometry, velocity, delay.of(hits.charge, hits.hit))
    if not found:
        raise ReconstructionError(
            f"{where}: in no event do two ends of tracks agree on its time; give the times of the events, and set "
            "reconstruct.t0 to given."
        )
    rows = np.isin(hits.event_id, list(found))
    told = replace(hits.take(rows), event_t0={event: t0 for event, t0 in hits.event_t0.items() if event in found})
    return retimed(told, {event: offset.value for event, offset in found.items()}, geometry), found


def retimed(hits: Hits, offsets: Mapping[int, float], geometry: DetectorGeometry) -> Hits:
    """Hits whose times count from so much [us] later in each event; events without an offset stay as they are."""
    late = np.array([offsets.get(int(event), 0.0) for event in hits.event_id])
    t = hits.t - late
    return replace(
        hits,
        t=t,
        z=np.where(late == 0, hits.z, geometry.drift_coordinate(hits.tpc, t, hits.drift_velocity)),
        event_t0={event: t0 + offsets.get(event, 0.0) for event, t0 in hits.event_t0.items()},
    )


def infer_t0(
    hits: Hits, labels: Ints, geometry: DetectorGeometry, velocity: float, delay: Floats
) -> dict[int, TimeOffset]:
    """Offset of the times of hits for every event with tracks that tell it.

    `labels` `(h,)`: track of each hit in its event or -1; `velocity` [cm/us]; `delay` `(h,)` [us] between arrival and
    threshold (`drift_correction.Delays.of`). A track that enters through the anode begins at a drift time of 0, one
    that crosses the cathode ends at the longest. So every end away from the sides offers two offsets, of which the
    wrong ones are spread out; the offset on which most ends agree is taken, of those at which the tracks lie between
    anode and cathode. Events in which no two ends agree are left out. Take it off `hits.t` (with the sign that it has)
    to correct them.
    """
    found = {}
    drift = np.array([tpc.drift_length for tpc in geometry.tpcs])
    distance = velocity * (hits.t - delay) + geometry.response_start
    for event in np.unique(hits.event_id):
        offers = []
        rows = np.flatnonzero((hits.event_id == event) & (labels >= 0))
        for track in np.unique(labels[rows]):
            for tpc in geometry.tpcs:
                own = rows[(labels[rows] == track) & (hits.tpc[rows] == tpc.tpc)]
                if len(own) >= 4:
                    points = np.stack([hits.x[own], hits.y[own], distance[own]], axis=1)
                    offers += _offers(points, geometry, velocity, float(drift[tpc.tpc]))
        left = distance[rows, None] - velocity * np.array(offers)
        inside = (left > -_MARGIN) & (left < drift[hits.tpc[rows], None] + _MARGIN)
        best = _most_agreed(np.array(offers)[inside.mean(axis=0) > _INSIDE]) if offers else None
        if best is not None:
            found[int(event)] = best
    return found


def _offers(points: Floats, geometry: DetectorGeometry, velocity: float, drift: float) -> list[float]:
    """Offsets [us] at which an end of a part of a track lies on the anode or, `drift` [cm] from it, on the cathode.

    `points` `(n, 3)`: x, y and distance from the anode [cm] of its hits.
    """
    centre, direction = line_through(points, np.ones(len(points)))
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
