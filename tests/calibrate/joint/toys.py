"""Tracks and what they leave, for tests of fits with unknown segments."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.parameters import nominal_values
from pipeline.simulate.model import ForwardModel, ModelSettings
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.observe import observables_of_simulation
from pipeline.tables import Floats, Observables, Segments

from ...simulate.deposits import MODULE0

LEVELS = NoiseLevels(reset=900.0, sampling=500.0)
SETTINGS = ModelSettings(noise=LEVELS, threads=1)
TRUTH = {**nominal_values(), "birks_ab": 0.82, "transverse_diffusion": 8e-6}
WIDTH, MEAN = 0.1, np.log(2.1)


def tracks(count: int, pieces: int = 12, bend: float = 0.003, seed: int = 5) -> Segments:
    """Tracks of pieces of 1 cm, each in an event of its own, with a Gaussian spread of ln(dE/dx)."""
    rng = np.random.default_rng(seed)
    parts = []
    for event in range(count):
        direction = np.array([0.7, 0.4, 0.5]) + 0.2 * rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        points = [np.array([-10.0 + 3 * event, -20.0, 8.0 + 2 * event])]
        for _ in range(pieces):
            points.append(points[-1] + direction)
            direction = direction + bend * rng.normal(size=3)
            direction /= np.linalg.norm(direction)
        v = np.array(points)
        dedx = np.exp(MEAN + WIDTH * rng.normal(size=pieces))
        number, zero = np.arange(pieces), np.zeros(pieces)
        event_id = np.full(pieces, event)
        parts.append(
            Segments(event_id, 0 * number, number, 0 * number, 0 * number + 13, v[:-1], v[1:], zero, zero, zero,
                     dedx, np.ones(pieces), dedx)
        )  # fmt: skip
    return Segments.concatenate(parts)


def data_of(segments: Segments, seed: int) -> Observables:
    model = ForwardModel(segments, MODULE0, SETTINGS)
    return observables_of_simulation(model.hits(TRUTH, Noise(LEVELS, seed)), MODULE0)


def check_moves(local: Floats, before: Segments, after: Segments, steepness: float) -> None:
    """`local` `(n, moves)` moves of segments lead from those `before` to those `after`, to first order."""
    assert after.start - before.start == pytest.approx(local[:, 1:4], abs=1e-10)
    assert after.end - before.end == pytest.approx(local[:, 1:4] + local[:, 4:7], abs=1e-10)
    # ln(charge) = steepness u + ln(length), which is what the energy of the move stands for.
    grown = steepness * np.log(after.dEdx / before.dEdx) + np.log(after.length / before.length)
    assert grown == pytest.approx(steepness * local[:, 0], abs=1e-10)
