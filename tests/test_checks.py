"""Checks on segments: what is refused, dropped, repaired, and what is said about it."""

import numpy as np
import pytest

from pipeline.checks import check_segments, guess_cause, inconsistent_length, inconsistent_stopping
from pipeline.config.models import Checks
from pipeline.errors import SegmentError
from pipeline.storage.detector import load_geometry
from pipeline.storage.segments import read_segments
from pipeline.tables import Segments

from .tracks import straight_track

MODULE0 = load_geometry("module0")


def changed(segments: Segments, name: str, row: int, value: float) -> Segments:
    column = getattr(segments, name).copy()
    column[row] = value
    return segments.replace(**{name: column})


def test_good_segments_pass_untouched():
    track = straight_track()
    checked = check_segments(track, Checks(), MODULE0, "file.h5")
    assert checked.warnings == ()
    for name in track.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(checked.segments, name), getattr(track, name))


@pytest.mark.parametrize("name", ["start", "end", "t0", "t0_start", "t0_end", "dE", "dx", "dEdx"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_with_file_and_row(name, value):
    with pytest.raises(SegmentError, match=rf"file.h5: {name} is -?(nan|inf) in row 3 "):
        check_segments(changed(straight_track(), name, 3, value), Checks(), None, "file.h5")


@pytest.mark.parametrize("name", ["dE", "dEdx"])
def test_negative_energy_is_refused_with_file_and_row(name):
    with pytest.raises(SegmentError, match=rf"file.h5: {name} is -0.5 in row 7 "):
        check_segments(changed(straight_track(), name, 7, -0.5), Checks(), None, "file.h5")


def test_no_events_are_refused():
    with pytest.raises(SegmentError, match=r"file.h5: there are no events"):
        check_segments(straight_track(segments=0), Checks(), None, "file.h5")


def test_zero_length_is_dropped_with_a_count_and_tiny_is_kept():
    track = straight_track()
    end = track.end.copy()
    end[4] = track.start[4]
    end[5] = track.start[5] + [1e-6, 0, 0]
    dx, dedx = track.dx.copy(), track.dEdx.copy()
    dx[4], dx[5], dedx[4], dedx[5] = 0.0, 1e-6, 0.0, 2.1e6
    checked = check_segments(track.replace(end=end, dx=dx, dEdx=dedx), Checks(), MODULE0, "file.h5")
    assert checked.rows.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert checked.warnings == ("file.h5: dropped 1 of 10 segments with start equal to end",)
    assert checked.segments.dEdx[4] == 2.1e6
    with pytest.raises(SegmentError, match=r"first in row 4, and checks.zero_length is refuse"):
        check_segments(track.replace(end=end), Checks(zero_length="refuse"), MODULE0, "file.h5")


@pytest.mark.parametrize(
    ("length", "dx", "wrong"),
    [
        (0.1, 0.1099, False),  # within 0.01 cm
        (0.1, 0.1101, True),
        (10.0, 10.099, False),  # within 1 %
        (10.0, 10.101, True),
        (10.0, 9.899, True),
        (1.0, -1.0, True),
    ],
)
def test_tolerance_on_the_length_is_the_larger_of_a_tenth_of_a_millimetre_and_a_percent(length, dx, wrong):
    track = straight_track(segments=2, step=length)
    assert inconsistent_length(changed(track, "dx", 1, dx)).tolist() == [False, wrong]


def test_inconsistent_length_is_repaired_dropped_or_refused():
    track = changed(straight_track(step=2.0), "dx", 6, 3.0)
    repaired = check_segments(track, Checks(), MODULE0, "file.h5")
    np.testing.assert_array_equal(repaired.segments.dx, repaired.segments.length)
    np.testing.assert_allclose(repaired.segments.dEdx, 2.1)
    assert "1 of 10 segments" in repaired.warnings[0]
    dropped = check_segments(track, Checks(inconsistent_length="drop"), MODULE0, "file.h5")
    assert 6 not in dropped.rows and len(dropped.segments) == 9
    with pytest.raises(SegmentError, match="first in row 6"):
        check_segments(track, Checks(inconsistent_length="refuse"), MODULE0, "file.h5")


@pytest.mark.parametrize(
    ("dx", "factor", "wrong"),
    [
        (1.0, 1.009, False),  # within 1 %
        (1.0, 1.011, True),
        (1.0, 0.989, True),
        (1.0, 0.1, True),  # MeV/mm
        (0.001, 1.011, True),
        (0.00099, 2.0, False),  # rounding may be behind it
        (0.00099, 0.0, True),  # no dE/dx where energy is lost
        (1.0, 0.0, True),
    ],
)
def test_tolerance_on_the_stopping_power_is_a_percent_of_all_but_the_shortest(dx, factor, wrong):
    track = straight_track(segments=2, step=dx)
    assert inconsistent_stopping(changed(track, "dEdx", 1, 2.1 * factor)).tolist() == [False, wrong]


def test_no_energy_has_no_stopping_power():
    track = changed(straight_track(), "dE", 2, 0.0)
    assert np.flatnonzero(inconsistent_stopping(track)).tolist() == [2]
    assert not inconsistent_stopping(changed(track, "dEdx", 2, 0.0)).any()


def test_inconsistent_stopping_is_repaired_dropped_or_refused():
    track = changed(straight_track(step=2.0), "dEdx", 6, 21.0)
    repaired = check_segments(track, Checks(), MODULE0, "file.h5")
    np.testing.assert_allclose(repaired.segments.dEdx, 2.1, rtol=1e-15)
    for name in ("dx", "dE"):
        np.testing.assert_array_equal(getattr(repaired.segments, name), getattr(track, name))
    assert repaired.warnings == ("file.h5: set dEdx to dE/dx in 1 of 10 segments with a dEdx that differs from dE/dx",)
    assert check_segments(repaired.segments, Checks(), MODULE0, "file.h5").warnings == ()
    dropped = check_segments(track, Checks(inconsistent_length="drop"), MODULE0, "file.h5")
    assert 6 not in dropped.rows and len(dropped.segments) == 9
    with pytest.raises(
        SegmentError, match=r"a dEdx that differs from dE/dx, first in row 6, and checks.inconsistent_l"
    ):
        check_segments(track, Checks(inconsistent_length="refuse"), MODULE0, "file.h5")


def test_stopping_power_without_a_dx_is_over_the_length():
    track = straight_track(step=0.005)  # dx = 0 is within the tolerance of 0.01 cm
    broken = changed(changed(track, "dx", 3, 0.0), "dEdx", 3, 0.0)
    np.testing.assert_allclose(check_segments(broken, Checks(), MODULE0, "file.h5").segments.dEdx, 2.1)


REAL = [
    "edepsim_g4_20ev.root",
    "edepsim_g4_20ev_new.h5",
    "edepsim_g4_20ev_old.h5",
    "edepsim_mixed_100ev.h5",
    "edepsim_mixed_20ev.root",
    "edepsim_real_objectwise_5ev.root",
    "g4_muon_1gev_100ev.h5",
    "g4_stopping_proton_150ev.h5",
    "wtest.root",
]


@pytest.mark.parametrize("name", REAL)
def test_files_of_simulations_need_no_repair(name, shared_data):
    """In single and double precision, old and new names."""
    found = read_segments(shared_data / name, checks=Checks(), geometry=None)
    assert not [warning for warning in found.warnings if "set d" in warning]


def test_outside_the_volume_is_dropped_and_unknown_without_a_detector():
    track = straight_track(start=(25.0, 0.0, 20.0))  # x ends at 31.04: centres 31.5 and beyond are outside
    checked = check_segments(track, Checks(), MODULE0, "file.h5")
    assert checked.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert checked.warnings == ("file.h5: dropped 4 of 10 segments with a centre outside the active volume of module0",)
    assert len(check_segments(track, Checks(), None, "file.h5").segments) == 10
    with pytest.raises(SegmentError, match="outside_volume is refuse"):
        check_segments(track, Checks(outside_volume="refuse"), MODULE0, "file.h5")


def test_rows_are_those_of_the_file_after_earlier_drops():
    track = straight_track(start=(25.0, 0.0, 20.0))
    end = track.end.copy()
    end[0] = track.start[0]
    with pytest.raises(SegmentError, match="first in row 6"):
        check_segments(track.replace(end=end), Checks(outside_volume="refuse"), MODULE0, "file.h5")


def test_millimetres_are_guessed_and_another_detector_is_not():
    track = straight_track(direction=(0, 1, 0), start=(5.0, -40.0, 20.0), segments=60)
    in_mm = track.replace(start=10 * track.start, end=10 * track.end, dx=10 * track.dx, dEdx=track.dEdx / 10)
    with pytest.raises(SegmentError, match=r"60 of 60 segments lie outside .*mm instead of cm\?"):
        check_segments(in_mm, Checks(), MODULE0, "file.h5")
    away = np.array([0.0, 0.0, 600.0])
    elsewhere = track.replace(start=track.start + away, end=track.end + away)
    with pytest.raises(SegmentError, match=r"detector\.file") as caught:
        check_segments(elsewhere, Checks(), MODULE0, "file.h5")
    assert "mm" not in str(caught.value)


def test_half_outside_passes_and_more_can_be_allowed():
    half = Segments.concatenate([straight_track(), straight_track(start=(60, 0, 20))])
    assert len(check_segments(half, Checks(), MODULE0, "file.h5").segments) == 10
    most = Segments.concatenate([half, straight_track(start=(60, 0, 20), segments=1)])
    with pytest.raises(SegmentError, match="11 of 21"):
        check_segments(most, Checks(), MODULE0, "file.h5")
    assert len(check_segments(most, Checks(mostly_outside="drop"), MODULE0, "file.h5").segments) == 10


def test_checks_that_leave_nothing_are_an_error():
    away = straight_track(start=(60, 0, 20))
    with pytest.raises(SegmentError, match=r"leave no segment; dropped 10 of 10"):
        check_segments(away, Checks(mostly_outside="drop"), MODULE0, "file.h5")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("scale", "order", "words"),
    [
        (10.0, (0, 1, 2), "mm instead of cm?"),
        (1.0, (0, 2, 1), "x and y exchanged?"),
        (1.0, (1, 0, 2), "y and z exchanged?"),
        (10.0, (0, 2, 1), "mm instead of cm, and x and y exchanged?"),
        (300.0, (0, 1, 2), None),
    ],
)
def test_the_cause_of_being_outside_is_guessed(scale, order, words, seed):
    """Deposits all over the detector, of a file whose x is the drift; columns 0, 1, 2 are its z, y, x."""
    points = np.random.default_rng(seed).uniform([-31, -83, -30], [31, 40, 30], (200, 3))
    track = straight_track(segments=200)
    assert MODULE0.active(track.replace(start=points, end=points)).all()
    spoiled = scale * points[:, order]
    assert guess_cause(track.replace(start=spoiled, end=spoiled), MODULE0) == words
