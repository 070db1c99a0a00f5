"""Measurements of the studies of unknown deposits: who gets which tracks, noise and mistakes."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config.models import Config
from pipeline.perturb.chord import Chord
from pipeline.perturb.shift_tracks import ShiftTracks
from pipeline.storage.detector import load_geometry
from pipeline.study.estimators import KnownDeposits
from pipeline.study.trials import Job, PixelTrials, Told, parts_of, taken
from pipeline.tables import Segments


def straight(events: int = 30, tracks: int = 3) -> Segments:
    """Tracks of four pieces of 2 cm with a kink in the middle, `tracks` to an event."""
    rng = np.random.default_rng(1)
    pieces = 4
    count = events * tracks * pieces
    number = np.arange(count)
    begin = np.repeat(rng.uniform((-20, -20, -20), (20, 20, -10), (events * tracks, 3)), pieces, axis=0)
    step = np.tile([[0, 0, 0], [2, 0, 0], [4, 0, 0], [4, 2, 0]], (events * tracks, 1))
    move = np.tile([[2, 0, 0], [2, 0, 0], [0, 2, 0], [0, 2, 0]], (events * tracks, 1))
    zero = np.zeros(count)
    return Segments(
        event_id=number // (tracks * pieces), vertex_id=0 * number, segment_id=number,
        traj_id=number // pieces % tracks, pdg_id=np.full(count, 13), start=begin + step, end=begin + step + move,
        t0=zero, t0_start=zero, t0_end=zero, dE=np.full(count, 4.0), dx=np.full(count, 2.0), dEdx=np.full(count, 2.0),
    )  # fmt: skip


def trials(*perturbations, draws: int = 2) -> PixelTrials:
    sample = straight()
    config = Config()
    told = Told(taken(sample, parts_of(sample, 48.0, 1, 15)), draws, config, perturbations)
    return PixelTrials((told, Told(told.parts, draws, config)), load_geometry("module0"), config, "study.robustness")


def test_parts_are_whole_events_that_are_used_once() -> None:
    sample = straight()
    parts = parts_of(sample, 48.0, 1, 100)
    assert len(parts) == 15 and all(len(events) == 2 for events in parts)
    assert len(np.unique(np.concatenate(parts))) == 30
    for events, segments in zip(parts, taken(sample, parts), strict=True):
        assert set(np.unique(segments.event_id)) == set(events)
        assert segments.length.sum() == pytest.approx(48.0)
    assert len(parts_of(sample, 48.0, 1, 4)) == 4
    assert [p.tolist() for p in parts_of(sample, 48.0, 1, 4)] == [p.tolist() for p in parts[:4]]


def test_a_sample_that_is_too_short_is_one_part() -> None:
    (events,) = parts_of(straight(), 1e6, 1, 5)
    assert len(events) == 30


def test_draws_and_targets_have_tracks_of_their_own_and_series_the_same() -> None:
    source = trials(Chord())
    seen = [
        tuple(np.unique(source.trial(Job(0, target, draw)).truth.segments.event_id))
        for target in range(3)
        for draw in range(2)
    ]
    assert len(set(seen)) == 6
    one, other = (source.trial(Job(series, 2, 1)).truth.segments for series in (0, 1))
    np.testing.assert_array_equal(one.start, other.start)


def test_fits_are_told_the_truth_unless_something_is_put_wrong() -> None:
    same = trials().trial(Job(0, 0, 0))
    assert same.truth is same.believed
    wrong = trials(Chord()).trial(Job(0, 0, 0))
    # Two legs of 4 cm at a right angle.
    assert wrong.believed.segments.length.sum() / wrong.truth.segments.length.sum() == pytest.approx(np.sqrt(0.5))
    np.testing.assert_allclose(wrong.believed.segments.dE, wrong.truth.segments.dE)


def test_random_mistakes_are_drawn_anew_for_every_fit_and_again_the_same() -> None:
    """15 parts go round: draw 0 of targets 0 and 15 have the same tracks, but not the same shifts."""
    shift = ShiftTracks(along="drift", low_cm=0.0, high_cm=0.3)
    source = trials(shift, draws=1)
    shifts = []
    for target in (0, 15, 0):
        trial = source.trial(Job(0, target, 0))
        moved = trial.believed.segments.start[:, 2] - trial.truth.segments.start[:, 2]
        # Anode of the first drift volume at negative z: away from it is up.
        assert (moved > 0).all() and (moved < 0.3).all()
        by_track = moved.reshape(-1, 4)
        np.testing.assert_allclose(by_track, by_track[:, :1].repeat(4, axis=1), atol=1e-12)
        shifts.append(by_track[:, 0])
    assert not np.allclose(shifts[0], shifts[1])
    np.testing.assert_array_equal(shifts[0], shifts[2])


def test_mean_shift_of_many_fits_is_that_of_the_distribution() -> None:
    source = trials(ShiftTracks(along="drift", low_cm=0.0, high_cm=0.3), draws=1)
    moved = []
    for target in range(60):
        trial = source.trial(Job(0, target, 0))
        moved.append((trial.believed.segments.start - trial.truth.segments.start)[::4, 2])
    found = np.concatenate(moved)
    assert found.mean() == pytest.approx(0.15, abs=3 * 0.3 / np.sqrt(12 * len(found)))


def test_a_fit_that_knows_the_deposits_gets_data_of_the_truth_and_the_model_it_believes() -> None:
    calls = []

    class Stub:
        def __init__(self, name):
            self.name = name

        def data(self, values, seed):
            calls.append(("data", self.name, seed))
            return "hits"

        def fit(self, method, name, data, target, seed):
            calls.append(("fit", self.name, data, seed))
            return "result"

    from pipeline.study.estimators import Draw, Trial

    found = KnownDeposits().fit(Trial(Stub("truth"), Stub("belief")), Draw({}, 7, 1), None, "m")
    assert found == "result" and calls == [("data", "truth", 7), ("fit", "belief", "hits", 1)]
