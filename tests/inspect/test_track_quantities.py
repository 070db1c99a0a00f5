import numpy as np
import pytest

from pipeline.inspect import track_quantities as quantities
from pipeline.inspect.track_quantities import Tracks, tracks_of
from pipeline.matter.particles import mass
from pipeline.matter.ranges import range_table
from pipeline.storage.detector import load_geometry
from pipeline.tables import Segments

from ..tracks import no_segments, polyline, stopping_track, straight_track

GEOMETRY = load_geometry("module0")
CODES = quantities.IONISING


def test_path_and_residual_range_of_a_straight_track_are_exact() -> None:
    tracks = tracks_of(straight_track(segments=8, step=0.5))
    assert tracks.path == pytest.approx([4.0])
    assert tracks.middle == pytest.approx(np.arange(0.25, 4, 0.5))
    assert tracks.to_end == pytest.approx(np.arange(3.75, 0, -0.5))
    assert tracks.straightness == pytest.approx([1.0])
    assert tracks.energy == pytest.approx([8.4])


def test_path_follows_a_bend_and_the_chord_does_not() -> None:
    """Two sides of a right-angled triangle of 3, 4, 5."""
    tracks = tracks_of(polyline([(0, 0, 0), (3, 0, 0), (3, 4, 0)]))
    assert tracks.path == pytest.approx([7.0])
    assert tracks.straightness == pytest.approx([5 / 7])


def test_deposits_are_ordered_by_time_and_equal_times_by_the_file() -> None:
    track = straight_track(segments=6)
    timed = track.replace(t0=np.arange(6.0))
    shuffled = timed.take(np.array([3, 0, 5, 1, 4, 2]))
    assert np.array_equal(tracks_of(shuffled).segments.start, track.start)
    assert np.array_equal(tracks_of(track).segments.start, track.start)


def test_tracks_do_not_depend_on_how_their_rows_are_mixed() -> None:
    one, other = stopping_track(13, 10.0), stopping_track(2212, 6.0, traj=1)
    both = Segments.concatenate([one, other])
    mixed = tracks_of(both.take(np.argsort(np.r_[np.arange(len(one)), np.arange(len(other))], kind="stable")))
    assert mixed.path == pytest.approx([10.0, 6.0])
    assert mixed.energy == pytest.approx([one.dE.sum(), other.dE.sum()])
    assert mixed.species.tolist() == [13, 2212]


def test_a_gap_counts_to_the_path_and_is_told() -> None:
    track = straight_track(segments=10)
    tracks = tracks_of(track.take(np.array([0, 1, 2, 6, 7, 8, 9])))
    assert tracks.path == pytest.approx([10.0])
    assert tracks.gaps == pytest.approx([3.0])
    assert not quantities.stopped(tracks, GEOMETRY).any()


@pytest.mark.parametrize("code", CODES)
def test_a_track_of_the_range_table_stops_with_its_energy(code: int) -> None:
    tracks = tracks_of(stopping_track(code, 12.0))
    assert quantities.stopped(tracks, GEOMETRY).all()
    assert tracks.energy == pytest.approx(quantities.energy_of_path(tracks), rel=1e-9)


@pytest.mark.parametrize("code", CODES)
def test_a_track_that_ends_in_flight_does_not_stop(code: int) -> None:
    """Of a particle of 40 cm of range the first 10 cm: it ends inside, but has left less than one that stops there."""
    whole = stopping_track(code, 40.0)
    tracks = tracks_of(whole.take(np.arange(20)))
    assert quantities.end_inside(tracks, GEOMETRY).all()
    assert not quantities.stopped(tracks, GEOMETRY).any()


@pytest.mark.parametrize("share", [0.1, 1.5])
def test_a_wrong_scale_of_energy_stops_nothing(share: float) -> None:
    assert not quantities.stopped(tracks_of(stopping_track(2212, 12.0, share=share)), GEOMETRY).any()


def test_ends_near_any_face_are_not_inside() -> None:
    low = np.array([GEOMETRY.x_range[0], GEOMETRY.y_range[0], -30.431])
    high = np.array([GEOMETRY.x_range[1], GEOMETRY.y_range[1], 30.431])
    middle = 0.5 * (low + high)
    for axis in range(3):
        for face, sign in ((low, 1), (high, -1)):
            for distance, inside in ((0.9, False), (1.1, True), (-0.5, False)):
                end = middle.copy()
                end[axis] = face[axis] + sign * distance
                track = polyline([middle, end])
                assert quantities.end_inside(tracks_of(track), GEOMETRY).tolist() == [inside]


@pytest.mark.parametrize("code", CODES)
def test_energy_from_the_start_and_from_the_end_agree(code: int) -> None:
    """The range table is used from either side of one track."""
    tracks = tracks_of(stopping_track(code, 15.0))
    start = range_table(mass(code)).energy(np.array([15.0]))
    unknown = np.full(1, np.nan)
    by_end = quantities.kinetic_energy(tracks, unknown, np.ones(1, dtype=bool))
    by_start = quantities.kinetic_energy(tracks, start, np.zeros(1, dtype=bool))
    assert by_start == pytest.approx(by_end, rel=1e-6)
    assert np.isnan(quantities.kinetic_energy(tracks, unknown, np.zeros(1, dtype=bool))).all()


def test_energy_past_the_mean_range_is_not_known() -> None:
    tracks = tracks_of(stopping_track(2212, 15.0))
    start = range_table(mass(2212)).energy(np.array([10.0]))
    energy = quantities.kinetic_energy(tracks, start, np.zeros(1, dtype=bool))
    assert np.array_equal(np.isfinite(energy), tracks.middle < 10.0)


def test_antiprotons_and_electrons_are_no_stopping_species() -> None:
    for code in (-2212, 11, 22, 1000180400):
        tracks = tracks_of(stopping_track(13, 10.0).replace(pdg_id=np.full(20, code)))
        assert np.isnan(quantities.energy_of_path(tracks)).all()
        assert not quantities.stopped(tracks, GEOMETRY).any()


def test_nothing_and_a_track_without_length() -> None:
    empty: Tracks = tracks_of(no_segments())
    assert len(empty) == len(empty.path) == len(empty.to_end) == 0
    assert not len(quantities.stopped(empty, GEOMETRY))
    point = straight_track(segments=1)
    still = tracks_of(point.replace(end=point.start, dx=np.zeros(1)))
    assert still.path == still.straightness == [0.0]
    assert not quantities.stopped(still, GEOMETRY).any()
