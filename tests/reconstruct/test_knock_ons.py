"""Electrons that leave their track: whose they are, and that their energy is kept."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.detector import argon
from pipeline.parameters import nominal_values
from pipeline.reconstruct.knock_ons import hosts_of_hits, knocked_out
from pipeline.reconstruct.losses import KNOCKED_OUT
from pipeline.tables import Hits

from .hits_of import MODULE0
from .test_losses import escaping

VALUES = nominal_values()


def line(start, direction, length):
    """Vertices every centimetre."""
    unit = np.array(direction, dtype=float) / np.linalg.norm(direction)
    return np.array(start) + np.arange(length + 1)[:, None] * unit


LONG = line([-20.0, 0, 10], [1, 0, 0], 40)
SHORT = line([0.3, 0.4, 10], [0.3, 1, 0], 4)


def hits_at(points, charge=20e3, event=0):
    n = len(points)
    whole, zero = np.zeros(n, dtype=np.int64), np.zeros(n)
    return Hits(
        whole + event, whole, whole, whole, whole, points[:, 0], points[:, 1], points[:, 2], zero, zero, zero + charge,
        0.16, {event: 0.0},
    )  # fmt: skip


def hosts(groups, curves, events=None, hit_event=0):
    """Hosts of hits on and beside curves: `groups` are pairs of a track (or -1) and points."""
    points = np.concatenate([p for _, p in groups])
    track = np.repeat([t for t, _ in groups], [len(p) for _, p in groups])
    event = np.zeros(len(curves), dtype=int) if events is None else np.array(events)
    found = hosts_of_hits(points, hits_at(points, event=hit_event), track, curves, event)
    return [found[k] for k in np.split(np.arange(len(points)), np.cumsum([len(p) for _, p in groups])[:-1])]


def test_hits_that_a_chain_connects_to_a_track_are_what_it_knocked_out():
    electron = line([5.0, 1.0, 10], [0, 1, 0.2], 5)
    beside, far = hosts([(0, LONG), (-1, electron), (-1, electron + np.array([0, 12.0, 0]))], [LONG])[1:]
    assert (beside == 0).all() and (far == -1).all()


def test_what_is_set_free_at_the_end_is_its_own():
    decay = line([20.6, 0.8, 10], [0.2, 1, 0], 4)
    assert (hosts([(0, LONG), (-1, decay)], [LONG])[1] == -1).all()
    short = line([19.9, 0.4, 10], [0.2, 1, 0], 4)
    assert (hosts([(0, LONG), (1, short)], [LONG, short])[1] == -1).all()


def test_short_tracks_that_begin_on_a_track_are_knocked_out_and_long_ones_not():
    on_short = line([1.2, 2.6, 10], [1, 0.2, 0], 1)
    long = line([3.0, 0.2, 10], [0.5, 1, 0], 15)
    loose = on_short + np.array([1.0, 0.7, 0])
    found = hosts([(0, LONG), (1, SHORT), (2, on_short), (3, long), (-1, loose)], [LONG, SHORT, on_short, long])
    assert [set(k) for k in found] == [{-1}, {0}, {0}, {-1}, {0}]
    elsewhere = hosts([(0, LONG), (1, SHORT)], [LONG, SHORT], events=[0, 1])
    assert (elsewhere[1] == -1).all()


@pytest.mark.parametrize("depth", [0.0, 25.0])
def test_their_energy_is_kept_and_put_where_they_are_nearest(depth):
    """10 hits of 0.5 MeV each at the recombination of such electrons, after drift: 5 MeV."""
    curve, points = LONG - np.array([0, 0, depth]), line([5.2, 1.0, 10.0 - depth], [0, 1, 0], 9)
    way = MODULE0.anode_distance(points[:, 2]) - MODULE0.response_start
    velocity = argon.scaled_drift_velocity(VALUES, MODULE0.temperature)
    charge = 0.5 * escaping(KNOCKED_OUT) / KNOCKED_OUT * np.exp(-way / velocity / VALUES["electron_lifetime"])
    host = np.zeros(10, dtype=int)
    found = knocked_out(points, hits_at(points, charge), host, [curve, SHORT], MODULE0, VALUES, "birks")
    assert len(found) == 44 and found.sum() == pytest.approx(5.0, rel=1e-6)
    assert found[25] == pytest.approx(5.0, rel=1e-6)
