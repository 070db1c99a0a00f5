"""Selection cuts: what each of them means for tracks, and the published sample."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from pipeline.config.models import Checks, Select
from pipeline.errors import SelectionError
from pipeline.select.cuts import CUTS, apply_cuts, torn_by
from pipeline.storage.detector import load_geometry
from pipeline.storage.segments import read_segments
from pipeline.tables import Segments

from ..tracks import random_tracks, straight_track

MODULE0 = load_geometry("module0")
ANODE = 30.431

OFF = {name: None for name in Select.model_fields if name != "species"}


def only(**cuts):
    return Select(**(OFF | cuts))


def run(segments, select, seed=1):
    return apply_cuts(segments, select, MODULE0, seed, "file.h5")


def tracks_of(segments):
    return set(zip(segments.event_id.tolist(), segments.traj_id.tolist(), strict=True))


def test_every_cut_has_a_setting_and_every_setting_a_cut():
    assert {cut.name for cut in CUTS} == set(Select.model_fields)


def test_without_cuts_everything_is_left():
    everything = random_tracks(1, 30)
    selection = run(everything, only())
    assert [step.name for step in selection.cut_flow] == ["read"]
    assert selection.rows.tolist() == list(range(len(everything)))


@pytest.mark.parametrize(("degrees", "kept"), [(0, False), (14.9, False), (15.1, True), (90, True), (165.1, False)])
def test_angle_to_the_drift_is_cut_at_15_degrees(degrees, kept):
    """cos 15 degrees = 0.9659; direction and its opposite are the same line."""
    angle = np.radians(degrees)
    track = straight_track(start=(0, 0, 0.5), direction=(np.sin(angle), 0, np.cos(angle)))
    other = straight_track(traj=1)
    left = run(Segments.concatenate([track, other]), only(max_abs_cos_drift=0.966)).segments
    assert ((0, 0) in tracks_of(left)) == kept


def test_the_angle_is_that_of_the_track_not_of_its_pieces():
    """A track at 45 degrees made of steps along the drift and across it stays whole."""
    steps = [straight_track(start=(i, 0, 5 + i), direction=(0, 0, 1), segments=1) for i in range(5)] + [
        straight_track(start=(i, 0, 6 + i), direction=(1, 0, 0), segments=1) for i in range(5)
    ]
    staircase = Segments.concatenate([steps[j] for i in range(5) for j in (i, i + 5)])
    assert len(run(staircase, only(max_abs_cos_drift=0.966)).segments) == 10


def test_one_deposit_near_an_anode_drops_the_whole_track():
    crossing = straight_track(start=(0, 0, 20.0), direction=(0, 0, 1), segments=9)  # last centre 28.5, 1.93 cm away
    clear = straight_track(traj=1, start=(0, 0, -20.0), direction=(0, 0, -1), segments=8)  # last centre -27.5
    left = run(Segments.concatenate([crossing, clear]), only(track_anode_margin_cm=2.0)).segments
    assert tracks_of(left) == {(0, 1)}
    assert len(left) == 8


def test_the_anode_margin_sees_the_track_before_far_segments_are_dropped():
    """Both cuts, either way round: the near end condemns the far end too."""
    through = straight_track(start=(0, 0, 1.0), direction=(0.5, 0, 1), segments=34)
    clear = straight_track(traj=1, start=(0, 0, 20))
    both = run(Segments.concatenate([through, clear]), only(track_anode_margin_cm=2.0, max_anode_distance_cm=15.0))
    assert tracks_of(both.segments) == {(0, 1)}


def test_segments_far_from_the_anode_are_dropped_one_by_one():
    track = straight_track(start=(0, 0, 10.0), direction=(0, 0, 1))  # centres 10.5 ... 19.5; limit at 15.431
    selection = run(track, only(max_anode_distance_cm=15.0))
    assert selection.rows.tolist() == [5, 6, 7, 8, 9]
    assert np.all(ANODE - selection.segments.centre[:, 2] < 15)


def test_the_length_is_that_of_the_whole_track():
    """A long track of which only 1 cm lies near the anode has passed the cut on length."""
    track = straight_track(start=(0, 0, 6.0), direction=(0, 0, 1))
    short = straight_track(traj=1, start=(0, 0, 20), segments=2)
    selection = run(Segments.concatenate([track, short]), only(min_track_length_cm=2.0, max_anode_distance_cm=15.0))
    assert selection.rows.tolist() == [9]


def test_species_are_those_asked_for():
    everything = random_tracks(3, 60)
    left = run(everything, only(species=(13, 2212))).segments
    assert set(left.pdg_id) == {13, 2212}
    assert len(left) == np.count_nonzero(everything.pdg_id != 211)


def test_total_length_takes_whole_tracks_by_the_seed():
    everything = random_tracks(4, 80)
    left = run(everything, only(max_total_length_cm=100.0)).segments
    chosen = tracks_of(left)
    for event, traj in chosen:
        whole = (everything.event_id == event) & (everything.traj_id == traj)
        assert np.count_nonzero(whole) == np.count_nonzero((left.event_id == event) & (left.traj_id == traj))
    assert tracks_of(run(everything, only(max_total_length_cm=100.0)).segments) == chosen
    assert tracks_of(run(everything, only(max_total_length_cm=100.0), seed=2).segments) != chosen


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("limit", [0.75, 7.25, 50.25, 200.25, 1e4])  # lengths are multiples of 0.5 cm: no ties
def test_no_track_that_is_left_out_would_still_fit(limit, seed):
    everything = random_tracks(4, 80)
    left = run(everything, only(max_total_length_cm=limit), seed=seed).segments
    total = left.length.sum()
    assert 0 < total <= limit
    track = everything.track_index()
    of_track = np.bincount(track, everything.length)
    out = np.setdiff1d(track, track[np.isin(everything.traj_id, left.traj_id)])
    assert total + of_track[out].min(initial=np.inf) > limit


@pytest.mark.parametrize("seed", range(4))
def test_a_track_longer_than_the_limit_does_not_hide_a_shorter_one(seed):
    pair = Segments.concatenate([straight_track(segments=50, start=(-25, 0, 20)), straight_track(traj=1, segments=3)])
    assert tracks_of(run(pair, only(max_total_length_cm=10.0), seed=seed).segments) == {(0, 1)}


def test_where_no_track_fits_the_length_of_the_shortest_is_said():
    pair = Segments.concatenate([straight_track(segments=7), straight_track(traj=1, segments=3)])
    with pytest.raises(
        SelectionError, match=r"leaves nothing of 2 tracks, the shortest 3\.00 cm and the longest 7\.00"
    ):
        run(pair, only(max_total_length_cm=2.9))
    with pytest.raises(SelectionError, match=r"leaves nothing of 3\.00 cm of track;"):
        run(straight_track(segments=3), only(max_total_length_cm=2.9))


def test_the_same_number_in_two_events_is_two_tracks():
    twins = Segments.concatenate([straight_track(event=e, segments=1, start=(0, 0, 20)) for e in (0, 1)])
    with pytest.raises(SelectionError):
        run(twins, only(min_track_length_cm=1.5))


def test_cut_flow_counts_what_is_left():
    everything = random_tracks(5, 200)
    selection = run(everything, Select())
    flow = selection.cut_flow
    assert [step.name for step in flow] == ["read", *(c.name for c in CUTS if c.name != "species")]
    for before, after in pairwise(flow):
        for name in ("events", "tracks", "segments", "length_cm"):
            assert getattr(after, name) <= getattr(before, name)
    last = flow[-1]
    assert last.segments == len(selection.segments) == len(selection.rows)
    assert last.tracks == len(tracks_of(selection.segments))
    assert last.length_cm == pytest.approx(selection.segments.dx.sum())
    for column in dataclasses.fields(Segments):
        np.testing.assert_array_equal(
            getattr(selection.segments, column.name), getattr(everything, column.name)[selection.rows]
        )


@pytest.mark.parametrize(
    ("cuts", "named"),
    [
        ({"species": (999,)}, r"select\.species \(tracks of PDG code 999\)"),
        ({"min_track_length_cm": 1e3}, r"select\.min_track_length_cm"),
        ({"max_total_length_cm": 0.1}, r"select\.max_total_length_cm"),
        ({"max_anode_distance_cm": 3.0, "track_anode_margin_cm": 4.0}, r"select\.max_anode_distance_cm"),
    ],
)
def test_the_cut_that_removes_the_last_track_is_named(cuts, named):
    with pytest.raises(SelectionError, match="file.h5: the cut " + named):
        run(random_tracks(6, 20), only(**cuts))


def test_published_muon_sample_shrinks_to_7028_cm(shared_data):
    """51,819 cm of 1 GeV muons, and what the cuts of arXiv:2309.04639 leave of them."""
    read = read_segments(shared_data / "g4_muon_1gev_100ev.h5", checks=Checks(), geometry=MODULE0)
    selection = run(read.segments, Select(max_total_length_cm=None))
    assert selection.cut_flow[0].length_cm == pytest.approx(51819, abs=2)  # 152 deposits lie on the border
    assert selection.cut_flow[-1].length_cm == pytest.approx(7028, abs=1)


def test_cuts_that_take_electrons_from_their_particle_are_known():
    """Those that left every track whole, and the one on decays, did not."""
    muon, electron = straight_track(), straight_track(start=(0, 1, 5), traj=1, pdg=11, segments=2)
    late = dataclasses.replace(straight_track(traj=2), t0=np.full(10, 5000.0))
    flow = run(
        Segments.concatenate([muon, electron, late]),
        only(max_delay_us=1000.0, track_anode_margin_cm=0.1, min_track_length_cm=5.0, max_total_length_cm=600.0),
    ).cut_flow
    assert [step.tracks for step in flow] == [3, 2, 2, 1, 1]
    assert torn_by(flow) == ["min_track_length_cm"]
    assert torn_by(flow[:3]) == torn_by(flow[:1]) == []
