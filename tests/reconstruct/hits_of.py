"""Hits of made-up deposits, for tests of reconstruction."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.detector.argon import scaled_drift_velocity
from pipeline.detector.geometry import DetectorGeometry
from pipeline.detector.pixels import PixelConstants
from pipeline.parameters import nominal_values
from pipeline.reconstruct.refine import Electronics
from pipeline.simulate.model import ForwardModel, ModelSettings
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.observe import hits_table
from pipeline.storage.detector import load_geometry
from pipeline.tables import Floats, Hits, Segments

MODULE0: DetectorGeometry = load_geometry("module0")
LEVELS = NoiseLevels(900.0, 500.0)
SETTINGS = ModelSettings(threads=1, noise=LEVELS)


def electronics(values: Mapping[str, float] | None = None) -> Electronics:
    """The nominal detector, with the noise of module 0."""
    return Electronics.of(MODULE0, SETTINGS, PixelConstants.nominal(MODULE0), values or {})


def hits_of(segments: Segments, values: Mapping[str, float] | None = None, seed: int | None = None) -> Hits:
    """What the readout records; without `seed` without noise."""
    values = {**nominal_values(), **(values or {})}
    model = ForwardModel(segments, MODULE0, SETTINGS)
    return hits_table(
        model.hits(values, None if seed is None else Noise(LEVELS, seed)),
        MODULE0,
        drift_velocity=scaled_drift_velocity(values, MODULE0.temperature),
        event_t0=model.plan(values).event_t0,
        integer_adc=False,
    )


def segments_of(vertices: Floats, loss: float = 2.1, event: int = 0, traj: int = 0) -> Segments:
    """Deposits of constant `loss` [MeV/cm] along a curve."""
    start, end = vertices[:-1], vertices[1:]
    n, length = len(start), np.linalg.norm(end - start, axis=1)
    zero, whole = np.zeros(n), np.zeros(n, dtype=np.int64)
    return Segments(
        event_id=whole + event, vertex_id=whole, segment_id=np.arange(n), traj_id=whole + traj, pdg_id=whole + 13,
        start=start, end=end, t0=zero, t0_start=zero, t0_end=zero, dE=loss * length, dx=length, dEdx=zero + loss,
    )  # fmt: skip
