"""Cutting tracks anew: re-segmentation, merging, dropping."""

import numpy as np
import pytest

from pipeline.perturb.drop_segments import DropSegments
from pipeline.perturb.merge_segments import MergeSegments
from pipeline.perturb.resegment import Resegment
from pipeline.tables import Segments

from ..tracks import straight_track
from .samples import apply, bent_tracks, keys, of_track

SAMPLE = bent_tracks(9)


@pytest.mark.parametrize("length", [0.1, 0.37, 1.0, 2.5, 100.0])
def test_a_straight_track_is_cut_into_equal_pieces(length):
    track = straight_track(direction=(1, 2, 0.5), segments=10)
    found = apply(track, Resegment(length_cm=length)).segments
    assert len(found) == int(np.ceil(10 / length))
    np.testing.assert_allclose(found.dx, 10 / len(found), rtol=1e-12)
    np.testing.assert_allclose(found.dEdx, 2.1, rtol=1e-12)
    np.testing.assert_allclose(found.start[1:], found.end[:-1], atol=1e-13)
    np.testing.assert_allclose(found.start[0], track.start[0], atol=1e-15)
    np.testing.assert_allclose(found.end[-1], track.end[-1], atol=1e-15)
    assert found.dE.sum() == pytest.approx(21.0, rel=1e-13)


def test_pieces_share_energy_by_length():
    track = straight_track(segments=2).replace(dE=np.array([1.0, 4.0]), dEdx=np.array([1.0, 4.0]))
    found = apply(track, Resegment(length_cm=2 / 3)).segments
    np.testing.assert_allclose(found.dE, [2 / 3, 1 / 3 + 4 / 3, 8 / 3], rtol=1e-12)


def test_pieces_of_a_bent_track_begin_and_end_on_it_and_are_never_longer():
    for length in (0.2, 3.0):
        found = apply(SAMPLE, Resegment(length_cm=length)).segments
        assert found.dx.max() <= length * (1 + 1e-9)
        for event, traj in keys(SAMPLE):
            before, after = of_track(SAMPLE, event, traj), of_track(found, event, traj)
            np.testing.assert_allclose(after.start[0], before.start[0], atol=1e-12)
            np.testing.assert_allclose(after.end[-1], before.end[-1], atol=1e-12)
            assert after.dx.sum() <= before.dx.sum() * (1 + 1e-12)
            for point in after.start:
                along = np.linalg.norm(point - before.start, axis=1) + np.linalg.norm(point - before.end, axis=1)
                assert np.min(along - before.dx) < 1e-9


def test_pieces_have_the_times_of_their_part_of_the_path():
    track = straight_track(segments=4)
    edges = np.arange(5) / 10.0
    track = track.replace(t0_start=edges[:-1], t0_end=edges[1:], t0=edges[:-1] + 0.05)
    found = apply(track, Resegment(length_cm=0.5)).segments
    np.testing.assert_allclose(found.t0_start, np.arange(8) / 20, atol=1e-14)
    np.testing.assert_allclose(found.t0_end, np.arange(1, 9) / 20, atol=1e-14)
    same = apply(track.replace(t0=np.full(4, 0.1)), Resegment(length_cm=0.7)).segments
    np.testing.assert_array_equal(same.t0, 0.1)


def test_finer_and_coarser_again_is_as_coarse_at_once():
    track = straight_track(segments=12)
    twice = apply(apply(track, Resegment(length_cm=0.25)).segments, Resegment(length_cm=3)).segments
    once = apply(track, Resegment(length_cm=3)).segments
    for name in ("start", "end", "dE"):
        np.testing.assert_allclose(getattr(twice, name), getattr(once, name), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("settings", [Resegment(length_cm=50), MergeSegments(count=50)])
def test_nothing_is_put_into_a_gap(settings):
    whole = straight_track(segments=20)
    gap = whole.take(np.delete(np.arange(20), range(6, 11)))
    found = apply(gap, settings).segments
    np.testing.assert_allclose(found.dx, [6, 9], rtol=1e-12)
    np.testing.assert_allclose(found.dE, [6 * 2.1, 9 * 2.1], rtol=1e-12)


def test_merging_joins_neighbours():
    track = bent_tracks(4, tracks=1, events=1)
    found = apply(track, MergeSegments(count=3)).segments
    n = len(track)
    assert len(found) == -(-n // 3)
    heads, tails = np.arange(0, n, 3), np.append(np.arange(2, n, 3), n - 1)[: len(found)]
    np.testing.assert_allclose(found.start, track.start[heads], atol=1e-12)
    np.testing.assert_allclose(found.end, track.end[tails], atol=1e-12)
    np.testing.assert_allclose(found.dE, np.add.reduceat(track.dE, heads), rtol=1e-12)
    np.testing.assert_array_equal(found.segment_id, track.segment_id[heads])


def test_one_deposit_has_nothing_to_be_merged_with():
    track = straight_track(segments=1)
    found = apply(track, MergeSegments(count=4)).segments
    np.testing.assert_array_equal(found.end, track.end)
    assert len(found) == 1


def test_dropping_leaves_the_others_as_they_are():
    sample = bent_tracks(11, tracks=500, events=10)
    found = apply(sample, DropSegments(fraction=0.3)).segments
    n = len(sample)
    assert abs(len(found) - 0.7 * n) < 4 * (0.21 * n) ** 0.5
    kept = np.isin(sample.segment_id, found.segment_id)
    for name in Segments.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, name), getattr(sample.take(kept), name))
    more = apply(sample, DropSegments(fraction=0.5)).segments
    assert set(more.segment_id) < set(found.segment_id)


def test_short_deposits_are_dropped():
    found = apply(SAMPLE, DropSegments(shorter_than_cm=0.5))
    assert found.segments.length.min() >= 0.5
    assert len(found.segments) == np.count_nonzero(SAMPLE.length >= 0.5)
    lost = SAMPLE.dE[SAMPLE.length < 0.5].sum()
    assert f"{lost:.4g} MeV" in found.notes[0]
