"""Features: finite, of the right end, and blind to where and how a track lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.reconstruct.features import FEATURES, features
from pipeline.storage.detector import load_geometry
from pipeline.tables import Floats, Hits
from tests.reconstruct.lines import START, line, mean_losses

GEOMETRY = load_geometry("module0")
#: dE/dx that rises towards the end, as of a proton that stops.
RISING = mean_losses("proton", 12)


def charge_at(point: Floats, own: int) -> Hits:
    """Hits of one electron track's charge at a point, beside `own` hits on the track."""
    n = own + 3
    x = np.concatenate([START[0] + np.arange(own), np.full(3, point[0])])
    y = np.concatenate([np.full(own, START[1]), np.full(3, point[1])])
    z = np.concatenate([np.full(own, START[2]), np.full(3, point[2])])
    whole, real = np.zeros(n, dtype=np.int64), np.zeros(n)
    return Hits(whole, whole, whole, whole, whole, x, y, z, real, real, np.full(n, 2.5e4), 0.16, {0: 0.0})


def column(name: str) -> int:
    return FEATURES.index(name)


def test_every_feature_has_a_name_and_is_a_number() -> None:
    for energy in (RISING, np.array([2.0]), np.zeros(4)):
        found = features(line(energy), None, GEOMETRY, 0.04)
        assert found.shape == (1, len(FEATURES))
        assert np.isfinite(found).all()


def test_the_rise_towards_the_stop_is_seen_in_both_directions() -> None:
    for energy in (RISING, RISING[::-1].copy()):
        found = features(line(energy), None, GEOMETRY, 0.04)[0]
        assert found[column("Bragg ratio")] > 0.6
        assert found[column("ln dE/dx over muon, 5 to 15 cm")] > 0.3
    assert abs(features(line(np.full(12, 1.9)), None, GEOMETRY, 0.04)[0, column("Bragg ratio")]) < 1e-9


@pytest.mark.parametrize("turned", [False, True])
def test_charge_after_the_stop_counts_at_the_end(turned: bool) -> None:
    """A decay electron lies where the dE/dx has risen, whichever end the reconstruction calls the last."""
    energy = RISING[::-1].copy() if turned else RISING
    stop = START + np.array([-2.0 if turned else 14.0, 1.5, 0.0])
    hits = charge_at(stop, 12)
    track = replace(line(energy), hit_track=np.array([0] * 12 + [-1] * 3))
    found = features(track, hits, GEOMETRY, 0.04)[0]
    assert found[column("charge near the end")] == pytest.approx(np.log1p(1.5))
    assert found[column("charge near the start")] == found[column("charge beside the track")] == 0


def test_charge_beside_is_per_length_and_not_at_the_ends() -> None:
    track = replace(line(np.full(20, 2.0)), hit_track=np.array([0] * 20 + [-1] * 3))
    found = features(track, charge_at(START + np.array([10.0, 1.5, 0.0]), 20), GEOMETRY, 0.04)[0]
    assert found[column("charge beside the track")] == pytest.approx(np.log1p(10 * 1.5 / 20))
    assert found[column("charge near the end")] == found[column("charge near the start")] == 0


def test_other_events_are_not_seen() -> None:
    track = replace(line(RISING, event=1), hit_track=np.full(15, -1))
    found = features(track, charge_at(START + np.array([14.0, 1.5, 0.0]), 12), GEOMETRY, 0.04)[0]
    assert found[column("charge near the end")] == 0
