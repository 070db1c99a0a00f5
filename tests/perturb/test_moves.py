"""Shifts, rotations, time offsets and chords."""

import numpy as np
import pytest
from scipy import stats

from pipeline.detector.argon import drift_velocity
from pipeline.perturb.chord import Chord
from pipeline.perturb.rotate import Rotate
from pipeline.perturb.shift import Shift
from pipeline.perturb.shift_tracks import ShiftTracks
from pipeline.perturb.t0_offset import T0Offset
from pipeline.tables import Segments

from ..tracks import straight_track
from .samples import MODULE0, apply, bent_tracks, keys, of_track

SAMPLE = bent_tracks(3)


def many_tracks(n=4000):
    """One deposit each, somewhere in the middle of a drift volume."""
    rng = np.random.default_rng(2)
    start = rng.uniform([-20, -60, -20], [20, 20, 20], (n, 3))
    start[:, 2] += np.sign(start[:, 2]) * 5
    numbers = np.arange(n)
    one, zero = np.ones(n), np.zeros(n)
    direction = rng.normal(size=(n, 3))
    end = start + direction / np.linalg.norm(direction, axis=1)[:, None]
    return Segments(
        numbers // 10,
        numbers * 0,
        numbers,
        numbers % 10,
        numbers * 0 + 13,
        start,
        end,
        zero,
        zero,
        zero,
        2 * one,
        one,
        2 * one,
    )


def test_a_shift_and_its_inverse_leave_everything_where_it_was():
    there = apply(SAMPLE, Shift(x_cm=1.5, y_cm=-2, z_cm=0.5)).segments
    np.testing.assert_allclose(there.start - SAMPLE.start, np.tile([1.5, -2, 0.5], (len(SAMPLE), 1)), atol=1e-13)
    back = apply(there, Shift(x_cm=-1.5, y_cm=2, z_cm=-0.5)).segments
    np.testing.assert_allclose(back.end, SAMPLE.end, atol=1e-13)


@pytest.mark.parametrize("z", [-20.0, 20.0])
def test_a_drift_shift_lengthens_the_drift_in_either_volume(z):
    track = straight_track(start=(0, 0, z))
    found = apply(track, Shift(drift_cm=0.25))
    before, after = (MODULE0.anode_distance(s.centre[:, 2]) for s in (track, found.segments))
    np.testing.assert_allclose(after - before, 0.25, rtol=1e-12)
    np.testing.assert_array_equal(found.segments.start[:, :2], track.start[:, :2])
    assert found.notes == ()


def test_deposits_that_go_through_the_cathode_or_out_are_counted():
    near = straight_track(start=(0, 0, -0.2), segments=4)
    found = apply(near, Shift(drift_cm=1.0))
    assert found.notes == ("4 of 4 deposits went through a cathode into another drift volume",)
    out = apply(straight_track(start=(25, 0, 20.0), segments=10), Shift(x_cm=2.0))
    # Centres at 29.5 and 30.5 cm, of an edge at 31.039; those beyond it were outside before.
    assert out.notes == ("2 of 10 deposits left the active volume",)
    assert apply(near, Shift(z_cm=-1.0)).notes == ()


@pytest.mark.parametrize(
    ("settings", "distribution"),
    [
        (ShiftTracks(low_cm=0, high_cm=0.3), stats.uniform(0, 0.3)),
        (ShiftTracks(along="y", low_cm=-1, high_cm=1), stats.uniform(-1, 2)),
        (ShiftTracks(along="x", distribution="gaussian", sigma_cm=0.2), stats.norm(0, 0.2)),
    ],
)
def test_shifts_of_tracks_follow_their_distribution(settings, distribution):
    sample = many_tracks()
    found = apply(sample, settings)
    moved = found.segments.centre - sample.centre
    if settings.along == "drift":
        shift = MODULE0.anode_distance(found.segments.centre[:, 2]) - MODULE0.anode_distance(sample.centre[:, 2])
    else:
        shift = moved[:, "xyz".index(settings.along)]
    assert stats.kstest(shift, distribution.cdf).pvalue > 1e-3
    order = np.lexsort((sample.traj_id, sample.event_id))
    np.testing.assert_allclose(found.drawn.values["shift"], shift[order], atol=1e-12)
    assert found.drawn.units == {"shift": "cm"}


def test_a_track_moves_as_a_whole():
    found = apply(SAMPLE, ShiftTracks(along="y", distribution="gaussian", sigma_cm=1)).segments
    for event, traj in keys(SAMPLE):
        moved = of_track(found, event, traj).start - of_track(SAMPLE, event, traj).start
        np.testing.assert_allclose(moved, np.tile(moved[0], (len(moved), 1)), atol=1e-12)


def test_shifts_along_different_axes_are_independent():
    one, other = (apply(many_tracks(), ShiftTracks(along=a, low_cm=0, high_cm=1)).drawn.values["shift"] for a in "xy")
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 * len(one) ** -0.5


@pytest.mark.parametrize("about", ["centre", "start"])
@pytest.mark.parametrize("axis", ["perpendicular", "isotropic", "x", "y", "z"])
def test_a_rotation_keeps_distances_and_its_point(axis, about):
    found = apply(SAMPLE, Rotate(angle_mrad=300, axis=axis, about=about)).segments
    for event, traj in keys(SAMPLE):
        before, after = of_track(SAMPLE, event, traj), of_track(found, event, traj)
        a, b = (np.concatenate([s.start, s.end]) for s in (before, after))
        distances = [np.linalg.norm(p[:, None] - p, axis=2) for p in (a, b)]
        np.testing.assert_allclose(*distances, atol=1e-11)
        if about == "start":
            np.testing.assert_allclose(after.start[0], before.start[0], atol=1e-12)
        else:
            centres = [np.average(s.centre, axis=0, weights=s.length) for s in (before, after)]
            np.testing.assert_allclose(*centres, atol=1e-11)


def test_a_perpendicular_rotation_turns_the_direction_by_the_whole_angle():
    found = apply(SAMPLE, Rotate(angle_mrad=50))
    for event, traj in keys(SAMPLE):
        ends = [(t.end[-1] - t.start[0]) for t in (of_track(s, event, traj) for s in (SAMPLE, found.segments))]
        one, other = (e / np.linalg.norm(e) for e in ends)
        assert np.arcsin(np.linalg.norm(np.cross(one, other))) == pytest.approx(0.05, rel=1e-9)


def test_a_rotation_about_an_axis_is_undone_by_its_opposite():
    there = apply(SAMPLE, Rotate(angle_mrad=120, axis="y")).segments
    back = apply(there, Rotate(angle_mrad=-120, axis="y")).segments
    np.testing.assert_allclose(back.start, SAMPLE.start, atol=1e-12)


def test_angles_and_axes_follow_their_distributions():
    sample = many_tracks()
    drawn = apply(sample, Rotate(sigma_mrad=30, axis="isotropic")).drawn.values
    assert stats.kstest(drawn["angle"], stats.norm(0, 30).cdf).pvalue > 1e-3
    for name in ("axis_x", "axis_y", "axis_z"):  # each coordinate of a point on a sphere is uniform
        assert stats.kstest(drawn[name], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    across = apply(sample, Rotate(sigma_mrad=30)).drawn.values
    axis = np.stack([across[f"axis_{c}"] for c in "xyz"], axis=1)
    order = np.lexsort((sample.traj_id, sample.event_id))
    np.testing.assert_allclose(np.sum(axis * (sample.end - sample.start)[order], axis=1), 0, atol=1e-12)


def test_a_wrong_event_time_displaces_by_the_drift_velocity():
    velocity = drift_velocity(0.5)
    sample = many_tracks()
    found = apply(sample, T0Offset(sigma_us=0.8, drift_cm_per_us=velocity))
    offset = found.drawn.values["offset"]
    assert stats.kstest(offset, stats.norm(0, 0.8).cdf).pvalue > 1e-3
    longer = MODULE0.anode_distance(found.segments.centre[:, 2]) - MODULE0.anode_distance(sample.centre[:, 2])
    np.testing.assert_allclose(longer, velocity * offset[sample.event_id], atol=1e-12)
    # What is recorded at a time comes from where it says: the time of arrival stays.
    np.testing.assert_allclose(found.segments.t0 + longer / velocity, sample.t0, atol=1e-12)


def test_chords_are_straight_and_keep_ends_energy_and_joints():
    found = apply(SAMPLE, Chord()).segments
    for event, traj in keys(SAMPLE):
        before, after = of_track(SAMPLE, event, traj), of_track(found, event, traj)
        np.testing.assert_array_equal(after.start[0], before.start[0])
        np.testing.assert_array_equal(after.end[-1], before.end[-1])
        np.testing.assert_array_equal(after.dE, before.dE)
        chord = after.end[-1] - after.start[0]
        across = np.cross(after.end - after.start[0], chord / np.linalg.norm(chord))
        assert np.abs(across).max() < 1e-12 * np.linalg.norm(chord) + 1e-13
        np.testing.assert_allclose(after.start[1:], after.end[:-1], atol=1e-12)
        # All lengths shrink alike.
        np.testing.assert_allclose(after.dx / before.dx, np.linalg.norm(chord) / before.dx.sum(), rtol=1e-9)


def test_a_chord_of_a_chord_is_the_same():
    once = apply(SAMPLE, Chord()).segments
    np.testing.assert_allclose(apply(once, Chord()).segments.end, once.end, atol=1e-12)


def test_a_straight_track_with_a_gap_keeps_its_gap():
    whole = straight_track(direction=(1, 2, 0.5), segments=20)
    gap = whole.take(np.delete(np.arange(20), range(6, 11)))
    found = apply(gap, Chord()).segments
    np.testing.assert_allclose(found.start, gap.start, atol=1e-12)
    np.testing.assert_allclose(found.end, gap.end, atol=1e-12)


def test_a_closed_loop_stays_as_it_is():
    track = straight_track(segments=2)
    loop = track.replace(end=track.end[::-1] * 1.0, start=np.stack([track.end[1], track.end[0]]))
    loop = loop.replace(start=np.array([[0.0, 0, 20], [1, 0, 20]]), end=np.array([[1.0, 0, 20], [0, 0, 20]]))
    found = apply(loop, Chord())
    np.testing.assert_array_equal(found.segments.start, loop.start)
    assert found.notes == ("1 of 1 tracks end where they began and stay as they are",)
