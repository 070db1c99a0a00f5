"""Tracks of another species under the label of the wanted one."""

import numpy as np
import pytest

from pipeline.errors import SegmentError
from pipeline.perturb.contamination import Contamination, contaminate
from pipeline.tables import Segments

from .samples import bent_tracks, keys, of_track

SAMPLE = bent_tracks(1, tracks=60, events=6)
OTHER = bent_tracks(2, tracks=80, events=3, species=(211, -211, 2212))
OTHER = OTHER.replace(t0=OTHER.t0 + 1e4, t0_start=OTHER.t0_start + 1e4, t0_end=OTHER.t0_end + 1e4)
WANTED = {k for k in keys(SAMPLE) if abs(of_track(SAMPLE, *k).pdg_id[0]) == 13}


def mixed(fraction=0.25, sample=SAMPLE, other=OTHER, **settings):
    return contaminate(sample, other, Contamination(sample="other", fraction=fraction, **settings), "a.h5", "b.h5")


def replaced(found):
    return {
        k for k in keys(found.segments) if found.true_pdg_id[rows_of(found.segments, *k)][0] not in (13, -13, 11, 2212)
    }


def rows_of(segments, event, traj):
    return (segments.event_id == event) & (segments.traj_id == traj)


def test_the_number_of_tracks_and_the_labels_stay_and_the_truth_does_not():
    found = mixed()
    assert keys(found.segments) == keys(SAMPLE)
    assert (found.replaced, found.wanted) == (round(0.25 * len(WANTED)), len(WANTED))
    for key in keys(SAMPLE):
        assert set(of_track(found.segments, *key).pdg_id) == set(of_track(SAMPLE, *key).pdg_id)
    assert len(replaced(found)) == found.replaced and replaced(found) <= WANTED
    assert set(np.abs(found.true_pdg_id[np.isin(found.true_pdg_id, (211, -211))])) == {211}


def test_tracks_that_stay_are_untouched_and_those_that_come_are_of_the_other_sample():
    found = mixed()
    theirs = {of_track(OTHER, *key).start.tobytes() for key in keys(OTHER)}
    used = []
    for key in keys(SAMPLE):
        after, before = of_track(found.segments, *key), of_track(SAMPLE, *key)
        if key in replaced(found):
            used.append(after.start.tobytes())
            assert after.start.tobytes() in theirs
            # The other sample's deposits are 10 ms into its events; here they begin with the event.
            assert abs(after.t0.min() - 5.0) < 1e-2
        else:
            for name in Segments.__dataclass_fields__:
                np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert len(set(used)) == len(used)


def test_numbers_stay_unique_in_every_event():
    found = mixed(1.0).segments
    assert len(np.unique(np.stack([found.event_id, found.segment_id], axis=1), axis=0)) == len(found)


def test_a_larger_fraction_replaces_the_same_tracks_and_more():
    few, many = mixed(0.1), mixed(0.5)
    assert replaced(few) < replaced(many)
    for key in replaced(few):
        np.testing.assert_array_equal(of_track(few.segments, *key).start, of_track(many.segments, *key).start)
    assert replaced(mixed(0.5, seed=2)) != replaced(many)


def test_the_order_of_tracks_in_either_file_does_not_matter():
    order = np.argsort(SAMPLE.track_index(), kind="stable")
    back = np.argsort(-OTHER.track_index(), kind="stable")
    one, other = mixed(), mixed(sample=SAMPLE.take(order), other=OTHER.take(back))
    assert replaced(one) == replaced(other)
    for key in keys(SAMPLE):
        np.testing.assert_array_equal(of_track(one.segments, *key).start, of_track(other.segments, *key).start)


def test_true_species_of_an_earlier_contamination_are_kept():
    first = mixed(0.5)
    settings = Contamination(sample="other", fraction=0.2, wanted=11, species=2212)
    second = contaminate(first.segments, OTHER, settings, "a.h5", "b.h5", true_pdg_id=first.true_pdg_id)
    assert np.count_nonzero(np.abs(second.true_pdg_id) == 211) == np.count_nonzero(np.abs(first.true_pdg_id) == 211)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fraction": 0.001}, r"a.h5: contaminate.fraction 0.001 of \d+ tracks of PDG code 13 is none"),
        ({"wanted": 321}, r"a.h5: contaminate.fraction 0.25 of 0 tracks of PDG code 321 is none"),
        ({"species": 321}, r"b.h5: \d+ tracks of PDG code 321 are needed and 0 are there"),
    ],
)
def test_too_few_tracks_are_refused(settings, said):
    with pytest.raises(SegmentError, match=said):
        mixed(**settings)
