"""Deposits and models for the tests of the forward model, simulation frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.detector.geometry import DetectorGeometry
from pipeline.simulate.model import ForwardModel, ModelSettings
from pipeline.storage.detector import load_geometry
from pipeline.tables import Segments

MODULE0: DetectorGeometry = load_geometry("module0")
PITCH = MODULE0.pixel_pitch


def deposits(
    start: npt.ArrayLike,
    end: npt.ArrayLike,
    *,
    dedx: npt.ArrayLike = 2.1,
    energy: npt.ArrayLike | None = None,
    t0: npt.ArrayLike = 0.0,
    event: npt.ArrayLike = 0,
) -> Segments:
    """Straight deposits from `start` to `end` `(n, 3)` [cm]; energy [MeV] is dE/dx times length if not given."""
    start, end = (np.atleast_2d(np.asarray(place, dtype=np.float64)) for place in (start, end))
    n = len(start)
    length = np.linalg.norm(end - start, axis=1)

    def column(value: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), n).copy()

    number = np.arange(n)
    return Segments(
        event_id=column(event).astype(np.int64),
        vertex_id=np.zeros(n, dtype=np.int64),
        segment_id=number,
        traj_id=number,
        pdg_id=np.full(n, 13),
        start=start,
        end=end,
        t0=column(t0),
        t0_start=column(t0),
        t0_end=column(t0),
        dE=column(dedx) * length if energy is None else column(energy),
        dx=length,
        dEdx=column(dedx),
    )


def random_deposits(seed: int, count: int, *, along_drift: float = 0.2, one_event: bool = False) -> Segments:
    """Deposits of 0.3 to 2.5 cm and 1.7 to 8 MeV/cm all over module 0, a share of them along the drift."""
    rng = np.random.default_rng(seed)
    middle = np.stack(
        [
            rng.uniform(-29, 29, count),
            rng.uniform(-82, 38, count),
            rng.choice([-1, 1], count) * rng.uniform(2, 28, count),
        ],
        axis=1,
    )
    direction = rng.normal(size=(count, 3))
    steep = rng.random(count) < along_drift
    direction[steep] = [0.0, 0.0, 1.0] + 0.03 * rng.normal(size=(steep.sum(), 3)) * [1, 1, 0]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    half = 0.5 * rng.uniform(0.3, 2.5, count)[:, None] * direction
    event = 0 if one_event else np.arange(count)
    return deposits(middle - half, middle + half, dedx=rng.uniform(1.7, 8.0, count), event=event)


def model(segments: Segments, geometry: DetectorGeometry = MODULE0, **settings: Any) -> ForwardModel:
    """The forward model of deposits, float64 and one thread unless told otherwise."""
    return ForwardModel(segments, geometry, ModelSettings(**{"threads": 1, **settings}))
