"""Batches of whole tracks: each recorded hit belongs to one of them, and to the tracks that made it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.simulate.batches import divide, observable_batches
from pipeline.simulate.observe import PixelObservables
from pipeline.tables import Observables, Segments

from ..tracks import random_tracks, straight_track
from .deposits import model


def keys(table: Observables) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.stack([table.event, table.channel, table.order], axis=1).tolist()]


@pytest.mark.parametrize("length", [15.0, 60.0])
def test_batches_simulated_alone_give_the_hits_of_the_whole(length):
    segments = random_tracks(3, 24, events=3)
    whole = model(segments)
    data = PixelObservables(whole).observe({"electron_lifetime": 900.0})
    seen: dict[tuple[int, ...], list[float]] = {}
    count = 0
    for batch, its_data in observable_batches(whole, data, length, 1):
        hits = batch.observe({"electron_lifetime": 900.0})
        assert keys(hits) == keys(its_data)
        np.testing.assert_allclose(hits.values, its_data.values, rtol=1e-9)
        seen |= dict(zip(keys(hits), hits.values.tolist(), strict=True))
        count += 1
    assert count > 2
    assert sorted(seen) == keys(data)


def test_batches_hold_whole_tracks_up_to_the_length_unless_they_share_pixels():
    segments = random_tracks(7, 60, events=12)
    plan = model(segments).plan({})
    division = divide(segments, plan, 30.0, 1)
    for track in range(60):
        assert len(set(division.segments[segments.traj_id == track])) == 1
    assert set(division.segments) == set(range(division.count))
    filled = np.bincount(division.segments, segments.length)
    single = {b for b in range(division.count) if len(set(segments.traj_id[division.segments == b])) == 1}
    for batch in np.flatnonzero(filled > 30.0):
        # Longer only by tracks that cannot be separated: leaving one out would leave pixels to share.
        assert batch in single or len(set(segments.event_id[division.segments == batch])) == 1
    assert divide(segments, plan, None, 1).count == 1


def test_crossing_tracks_stay_together_and_distant_ones_do_not():
    here = straight_track(traj=0, start=(0, 0, 20), direction=(1, 0, 0))
    crossing = straight_track(traj=1, start=(5, -5, 25), direction=(0, 1, 0))
    distant = straight_track(traj=2, start=(0, 20, 20), direction=(1, 0, 0))
    other_volume = straight_track(traj=3, start=(0, 0, -20), direction=(1, 0, 0))
    segments = Segments.concatenate([here, crossing, distant, other_volume])
    for seed in range(5):
        division = divide(segments, model(segments).plan({}), 1.0, seed)
        here, crossing, *others = (division.segments[segments.traj_id == t][0] for t in range(4))
        assert division.count == 3 and here == crossing and len({here, *others}) == 3


def test_a_seed_fixes_the_batches():
    segments = random_tracks(7, 60, events=12)
    plan = model(segments).plan({})
    one, same, other = (divide(segments, plan, 30.0, seed).segments.tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_hits_that_no_track_can_make_are_lost_to_no_batch():
    segments = Segments.concatenate(
        [straight_track(event=4, traj=0), straight_track(event=4, traj=1, start=(0, 30, 20)), straight_track(event=9)]
    )
    whole = model(segments)
    data = PixelObservables(whole).observe({})
    lost = data.take(np.array([0, 0, 0]))
    lost = replace(lost, event=np.array([4, 9, 77]), channel=np.array([3, 3, 3]), order=np.array([0, 0, 0]))
    division = divide(segments, whole.plan({}), 5.0, 1)
    assert division.count == 3
    first_of_event_4, first_of_event_9 = (division.pixels[division.event == event][0] for event in (4, 9))
    assert division.of_observables(lost).tolist() == [first_of_event_4, first_of_event_9, 0]


def test_an_empty_sample_has_one_batch():
    segments = straight_track().take(np.zeros(10, dtype=bool))
    assert divide(segments, model(segments).plan({}), 100.0, 1).count == 1
