"""The distance of tracks to true particles, where geometry says what it is."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.reconstruct.distance import distance_to_truth
from pipeline.tables import Segments

from .hits_of import segments_of


def line(start, direction, length, event=0, traj=0, pieces=20):
    """A straight track of `length` [cm]."""
    share = np.linspace(0, length, pieces + 1)[:, None]
    return segments_of(np.asarray(start) + share * np.asarray(direction), event=event, traj=traj)


def moved(segments, by):
    """The same segments elsewhere."""
    return segments.replace(start=segments.start + np.array(by), end=segments.end + np.array(by))


TRUE = line([0, 0, 10.0], [0.6, 0, 0.8], 20.0)


@pytest.mark.parametrize(("shift", "distance"), [([0, 0.03, 0], 0.03), ([0.04, 0, 0], 0.032), ([0.006, 0, 0.008], 0)])
def test_a_shift_counts_across_the_track_alone(shift, distance):
    found = distance_to_truth(moved(TRUE, shift), TRUE)
    assert found.rms == pytest.approx(distance, abs=1e-9) and found.missed == pytest.approx(0, abs=1e-12)


def test_a_chord_is_off_by_the_sagitta_of_the_arc():
    """Of a chord of the angle 2 a, `r (cos(x) - cos(a))` at x from its middle."""
    radius, half = 200.0, 0.05
    angle = np.linspace(-half, half, 201)
    arc = segments_of(np.stack([radius * np.sin(angle), radius * np.cos(angle), 10 + 0 * angle], axis=1))
    chord = arc.take(np.array([0])).replace(end=arc.end[-1:])
    x = np.linspace(-half, half, 100_001)
    expected = radius * np.sqrt(np.mean((np.cos(x) - np.cos(half)) ** 2))
    assert distance_to_truth(chord, arc).rms == pytest.approx(expected, rel=1e-3)


def test_each_place_has_the_nearest_track_of_its_event_and_pieces_do_not_matter():
    near, far = (moved(TRUE, [0, d, 0]) for d in (0.02, 0.3))
    other = TRUE.replace(event_id=TRUE.event_id + 1)
    found = distance_to_truth(Segments.concatenate([near, far.replace(traj_id=far.traj_id + 1), other]), TRUE)
    assert found.rms == pytest.approx(0.02)
    uneven = Segments.concatenate([line([0, 0, 10.0], [0.6, 0, 0.8], 10.0, pieces=3), TRUE.take(np.arange(10, 20))])
    assert distance_to_truth(near, uneven).rms == pytest.approx(0.02)


def test_what_has_no_track_is_missed():
    """A particle without a track, and the last 4 cm, but for the centimetre that a track is continued by."""
    short, alone = TRUE.take(np.arange(16)), line([0, 50.0, 10], [1, 0, 0], 10.0, traj=1)
    found = distance_to_truth(short, Segments.concatenate([TRUE, alone]))
    assert found.rms == pytest.approx(0, abs=1e-9) and found.missed == pytest.approx((3 + 10) / 30)
    nothing = distance_to_truth(line([0, 50.0, 40], [1, 0, 0], 10.0), TRUE)
    assert np.isnan(nothing.rms) and nothing.missed == 1


def test_electrons_beside_a_track_do_not_count():
    knocked = line(TRUE.centre[4], [0, 1, 0], 0.5, traj=1).replace(pdg_id=np.full(20, 11))
    off = moved(TRUE, [0, 0.1, 0])
    assert distance_to_truth(Segments.concatenate([off, knocked]), TRUE).rms == pytest.approx(0.1)
    assert distance_to_truth(TRUE, Segments.concatenate([TRUE, knocked])).rms == pytest.approx(0, abs=1e-9)
