"""Hits that lines leave on pixels, without a forward model: for tests of what is found in them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.detector.geometry import DetectorGeometry
from pipeline.tables import Floats, Hits, Ints

#: Drift velocity [cm/us] of these hits.
VELOCITY = 0.16

#: Length of drift [cm] after which a pixel can have its next hit.
_DEAD = 0.45


def pixelised(
    paths: Sequence[Sequence[Floats]], geometry: DetectorGeometry, *, velocity: float = VELOCITY, seed: int = 0
) -> tuple[Hits, Ints]:
    """Hits of paths `(m, 3)` [cm] per event, and the number of the path that each `(h,)` is of.

    A hit lies at the centre of its pixel and at the mean drift coordinate of the path there, but for 0.5 mm; a path
    along the drift leaves several in a pixel. `z` of the hits is at `velocity`, which need not be the true `VELOCITY`.
    """
    rng = np.random.default_rng([seed, 17])
    rows = []
    for event, of_event in enumerate(paths):
        for number, path in enumerate(of_event):
            points = _dense(path)
            tpc = geometry.tpc_of(points)
            points, tpc = points[tpc >= 0], tpc[tpc >= 0]
            x = np.floor((points[:, 0] - geometry.x_range[0]) / geometry.pixel_pitch).astype(np.int64)
            y = np.floor((points[:, 1] - geometry.y_range[0]) / geometry.pixel_pitch).astype(np.int64)
            pixel, place = np.unique(np.stack([tpc, x, y], axis=1), axis=0, return_inverse=True)
            order = np.argsort(place.reshape(-1), kind="stable")
            for where, z in zip(pixel, np.split(points[order, 2], np.cumsum(np.bincount(place.reshape(-1)))[:-1])):
                for part in np.array_split(z, max(1, int(np.ptp(z) / _DEAD))):
                    rows.append((event, *where, part.mean() + rng.normal(0, 0.05), number))
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    table = table[np.lexsort((np.abs(table[:, 4]) * -1, table[:, 3], table[:, 2], table[:, 1], table[:, 0]))]
    event, tpc, pixel_x, pixel_y = table[:, :4].astype(np.int64).T
    x, y = geometry.pixel_centre(pixel_x, pixel_y)
    anode = np.array([t.z_anode for t in geometry.tpcs])[tpc]
    time = (np.abs(table[:, 4] - anode) - geometry.response_start) / VELOCITY
    key = np.stack([event, tpc, pixel_x, pixel_y], axis=1)
    first = np.append(True, np.any(np.diff(key, axis=0), axis=1))[: len(table)]
    begin = np.maximum.accumulate(np.where(first, np.arange(len(table)), 0)) if len(table) else np.zeros(0, np.int64)
    hits = Hits(
        event_id=event,
        tpc=tpc,
        pixel_x=pixel_x,
        pixel_y=pixel_y,
        hit=np.arange(len(table)) - begin,
        x=x,
        y=y,
        z=geometry.drift_coordinate(tpc, time, velocity),
        t=time,
        adc=np.full(len(table), 100.0),
        charge=np.full(len(table), 2e4),
        drift_velocity=velocity,
        event_t0=dict.fromkeys(range(len(paths)), 0.0),
    )
    return hits, table[:, 5].astype(np.int64)


def _dense(path: Floats) -> Floats:
    """Points every 0.02 cm along a polygon."""
    return np.concatenate(
        [a + np.linspace(0, 1, max(2, int(np.linalg.norm(b - a) / 0.02)))[:, None] * (b - a) for a, b in pairwise(path)]
    )


def through(point: Sequence[float], direction: Sequence[float], length: float = 300.0) -> Floats:
    """A straight path `(2, 3)` through a point, this long to either side."""
    step = length * np.array(direction) / np.linalg.norm(direction)
    return np.array([np.array(point) - step, np.array(point) + step])


def random_lines(number: int, geometry: DetectorGeometry, seed: int) -> list[Floats]:
    """Straight paths in all directions through random points near the cathode, across the whole detector."""
    rng = np.random.default_rng([seed, 17])
    low, high = geometry.bounds
    paths = []
    for _ in range(number):
        point = rng.uniform(0.7 * low, 0.7 * high)
        point[2] = rng.uniform(-5, 5)
        paths.append(through(point, rng.normal(size=3)))
    return paths
