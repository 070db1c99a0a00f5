"""Batches of whole tracks."""

import numpy as np
import pytest

from pipeline.select.batches import assign_batches
from pipeline.tables import Segments

from ..tracks import random_tracks, straight_track


@pytest.mark.parametrize("length", [20.0, 60.0, 1e4])
def test_batches_hold_whole_tracks_up_to_the_length(length):
    segments = random_tracks(7, 90)
    batch = assign_batches(segments, length, 1)
    assert set(batch) == set(range(batch.max() + 1))
    assert np.bincount(batch, segments.length).max() <= length
    for track in range(90):
        assert len(set(batch[segments.traj_id == track])) == 1


def test_no_two_neighbouring_batches_would_fit_in_one():
    segments = random_tracks(8, 90)
    filled = np.bincount(assign_batches(segments, 60.0, 1), segments.length)
    assert np.all(filled[:-1] + filled[1:] > 60.0)


def test_a_track_longer_than_a_batch_is_one_of_its_own():
    long = straight_track(traj=99, direction=(0, 1, 0), segments=50)
    segments = Segments.concatenate([random_tracks(9, 10), long])
    batch = assign_batches(segments, 20.0, 1)
    own = batch[segments.traj_id == 99][0]
    assert set(segments.traj_id[batch == own]) == {99}


def test_the_seed_fixes_the_batches():
    segments = random_tracks(10, 50)
    assert assign_batches(segments, 30.0, 1).tolist() == assign_batches(segments, 30.0, 1).tolist()
    assert assign_batches(segments, 30.0, 1).tolist() != assign_batches(segments, 30.0, 2).tolist()
