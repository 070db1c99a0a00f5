"""Matching by shared hits: counted by hand."""

import numpy as np

from pipeline.study.matching import match


def test_shares_and_purities_are_counted():
    # Particle 0: eight hits, six in track 1; particle 1: four, two of them in track 0, which is of nobody's hits else.
    owner = np.array([0] * 8 + [1] * 4 + [-1])
    hit_track = np.array([1] * 6 + [-1, 0] + [0, 0, 1, -1] + [1])
    m = match(owner, hit_track, 3, 3)
    assert m.hits.tolist() == [8, 4, 0] and m.best.tolist() == [1, 0, -1]
    np.testing.assert_allclose(m.share, [0.75, 0.5, 0])
    assert m.track_hits.tolist() == [3, 8, 0] and m.particle.tolist() == [1, 0, -1]
    np.testing.assert_allclose(m.purity, [2 / 3, 6 / 8, 0])
    assert not m.found.any() and not m.main.any()  # neither track is 80 % pure
    loose = match(owner, hit_track, 3, 3, least_purity=0.6)
    assert loose.found.tolist() == [True, True, False] and loose.main.tolist() == [True, True, False]
    assert match(owner, hit_track, 3, 3, least_purity=0.7).found.tolist() == [True, False, False]


def test_a_broken_particle_is_found_once_and_its_other_part_is_no_match():
    m = match(np.zeros(10, dtype=int), np.array([0] * 6 + [1] * 4), 1, 2)
    assert m.found.tolist() == [True] and m.main.tolist() == [True, False] and m.purity.tolist() == [1, 1]


def test_a_track_matches_the_particle_only_that_owns_most_of_it():
    # All hits of particle 1 are in the track of the longer particle 0.
    m = match(np.array([0] * 9 + [1] * 2), np.zeros(11, dtype=int), 2, 1)
    assert m.found.tolist() == [True, False] and m.share.tolist() == [1, 1]


def test_no_tracks_and_no_hits():
    m = match(np.zeros(3, dtype=int), np.full(3, -1), 1, 0)
    assert m.best.tolist() == [-1] and not m.found.any()
    assert len(match(np.zeros(0, dtype=int), np.zeros(0, dtype=int), 0, 2).main) == 2
