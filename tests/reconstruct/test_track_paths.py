"""Places beside broken lines, and straight lines through them, against what geometry says."""

import numpy as np
import pytest

from pipeline.reconstruct.track_paths import StraightPieces, line_of

CORNER = StraightPieces.through(np.array([[0.0, 0, 0], [4.0, 0, 0], [4.0, 0, 0], [4.0, 3, 0]]))


def test_places_are_the_nearest_ones():
    places = CORNER.places(np.array([[1.0, 0, 2], [6.0, 1, 0], [-2.0, 0, 1], [4.0, 5, 1]]))
    np.testing.assert_allclose(places.along, [1, 5, -2, 9])
    np.testing.assert_allclose(places.offset, [[0, 0, -2], [-2, 0, 0], [0, 0, -1], [0, 0, -1]])
    assert places.piece.tolist() == [0, 1, 0, 1]
    assert len(CORNER.places(np.zeros((0, 3))).along) == 0


def test_parts_of_a_path():
    assert CORNER.length == 7
    np.testing.assert_allclose(CORNER.at(np.array([2.0, 5.0])), [[2, 0, 0], [4, 1, 0]])
    np.testing.assert_allclose(CORNER.between(3.0, 5.0), [[3, 0, 0], [4, 0, 0], [4, 1, 0]])


def test_a_line_through_a_straight_path_is_its_direction_however_it_is_cut():
    rng, unit = np.random.default_rng(1), np.array([2.0, -1, 2]) / 3
    points = np.sort(rng.uniform(0, 20, 12))[:, None] * unit
    np.testing.assert_allclose(line_of(points), unit, atol=1e-9)
    np.testing.assert_allclose(line_of(points[::-1]), -unit, atol=1e-9)


def test_a_line_through_a_kink_is_that_of_many_points_on_it():
    path = StraightPieces.through(np.array([[0.0, 0, 0], [12.0, 0, 0], [20.0, 1, 0.5]]))
    points = path.at((np.arange(20_000) + 0.5) / 20_000 * path.length)
    expected = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][0]
    assert abs(line_of(path.points) @ expected) == pytest.approx(1, abs=1e-9)
