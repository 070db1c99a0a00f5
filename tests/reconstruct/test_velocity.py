"""The drift velocity from tracks across the cathode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config.finding import Finding
from pipeline.errors import ReconstructionError
from pipeline.reconstruct.finding import find_tracks
from pipeline.reconstruct.velocity import estimate_velocity
from pipeline.storage.detector import load_geometry
from tests.reconstruct.pixelised import VELOCITY, pixelised, random_lines, through

GEOMETRY = load_geometry("module0")


@pytest.mark.parametrize("wrong", [0.94, 1.06])
def test_twenty_crossers_tell_the_velocity_to_three_per_mille(wrong) -> None:
    paths = [random_lines(5, GEOMETRY, seed) for seed in range(4)]
    hits, _ = pixelised(paths, GEOMETRY, velocity=wrong * VELOCITY)
    labels = find_tracks(hits, hits.z, GEOMETRY, Finding())
    estimate = estimate_velocity(hits, labels, GEOMETRY)
    assert 15 <= estimate.crossers <= 20
    assert estimate.value == pytest.approx(VELOCITY, rel=0.003)
    assert abs(estimate.value - VELOCITY) < 3 * estimate.error < 0.006 * VELOCITY


def test_exact_lines_give_the_exact_velocity() -> None:
    """Points on lines, not pixels: the condition that halves meet is linear in the velocity, whatever the error."""
    paths = [
        [through((0, -20, 0), (1, 0.3, 0.8)), through((5, -30, 0), (0.4, -1, 2.5)), through((9, 0, 0), (1, 1, 0.3))]
    ]
    hits, owner = pixelised(paths, GEOMETRY)
    for number, path in enumerate(paths[0]):
        of_path = owner == number
        step = path[1] - path[0]
        share = (np.where(of_path, hits.x, 0.0) - path[0, 0]) / step[0]
        y, depth = path[0, 1] + share * step[1], path[0, 2] + share * step[2]
        anode = np.array([t.z_anode for t in GEOMETRY.tpcs])[hits.tpc]
        time = (np.abs(depth - anode) - GEOMETRY.response_start) / VELOCITY
        z = GEOMETRY.drift_coordinate(hits.tpc, time, 1.05 * VELOCITY)
        hits = replace(hits, y=np.where(of_path, y, hits.y), z=np.where(of_path, z, hits.z))
    inside = np.abs(hits.z - GEOMETRY.drift_coordinate(hits.tpc, np.zeros(len(hits)), 1.0)) > 0
    estimate = estimate_velocity(replace(hits, drift_velocity=1.05 * VELOCITY), np.where(inside, owner, -1), GEOMETRY)
    assert estimate.crossers == 3
    assert estimate.value == pytest.approx(VELOCITY, rel=1e-6)


@pytest.mark.parametrize("wrong", [0.95, 1.05])
def test_without_crossers_the_longest_drifts_tell_it(wrong) -> None:
    rng = np.random.default_rng([2, 17])
    paths = [
        [np.array([[x, y, 0.0], [x + a, y + b, 40.0]])]
        for x, y, a, b in zip(rng.uniform(-15, 15, 12), rng.uniform(-60, 20, 12), *rng.uniform(-15, 15, (2, 12)))
    ]
    hits, owner = pixelised(paths, GEOMETRY, velocity=wrong * VELOCITY)
    estimate = estimate_velocity(hits, owner, GEOMETRY)
    assert estimate.crossers == 0 and estimate.ends >= 6
    assert abs(estimate.value - VELOCITY) < 2 * estimate.error < 0.04 * VELOCITY


def test_hits_without_tracks_are_refused() -> None:
    hits, owner = pixelised([[through((0, -20, 15), (1, 0, 0))]], GEOMETRY)
    with pytest.raises(ReconstructionError, match="no track was found that the drift velocity"):
        estimate_velocity(hits, np.full_like(owner, -1), GEOMETRY)
