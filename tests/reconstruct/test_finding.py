"""Tracks found in hits of known paths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config.finding import Finding
from pipeline.reconstruct.finding import back_to_back, find_tracks
from pipeline.reconstruct.joining import End, mismatch
from pipeline.reconstruct.lines import Line
from pipeline.storage.detector import load_geometry
from pipeline.tables import Hits, Ints
from tests.reconstruct.pixelised import VELOCITY, pixelised, random_lines, through

GEOMETRY = load_geometry("module0")
SETTINGS = Finding()


def labels_of(hits: Hits) -> Ints:
    return find_tracks(hits, hits.z, GEOMETRY, SETTINGS)


def agreement(labels: Ints, owner: Ints) -> float:
    """Share of the hits in the track that has most hits of their path, each track being one path's at most."""
    right = 0
    for number in np.unique(labels[labels >= 0]):
        right += int(np.bincount(owner[labels == number]).max())
    pairs = {int(np.bincount(owner[labels == n]).argmax()) for n in np.unique(labels[labels >= 0])}
    assert len(pairs) == len(np.unique(labels[labels >= 0])), "a path is in two tracks"
    return right / len(labels)


def chosen(hits: Hits, rows: np.ndarray) -> Hits:
    return hits.take(rows)


@pytest.mark.parametrize(
    "direction", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0.02, 0.01, 1), (1, 2, 3), (-1, 0.3, 0.2), (1, 0, 0.02)]
)
def test_a_path_in_any_direction_is_one_track(direction) -> None:
    hits, _ = pixelised([[through((3.0, -20.0, 9.0), direction)]], GEOMETRY)
    labels = labels_of(hits)
    assert len(hits) > 50
    assert set(labels) <= {-1, 0} and np.mean(labels == 0) > 0.97


@pytest.mark.parametrize("angle", [0.1, 0.3, 1.0, 1.5])
def test_paths_that_cross_are_apart(angle) -> None:
    one, other = (1.0, 0.0, 0.3), (np.cos(angle), np.sin(angle), 0.3)
    hits, owner = pixelised([[through((0.0, -20.0, 12.0), one), through((0.0, -20.0, 12.0), other)]], GEOMETRY)
    labels = labels_of(hits)
    assert len(np.unique(labels[labels >= 0])) == 2
    assert agreement(labels, owner) > 1 - 0.1 / angle / 4


@pytest.mark.parametrize("wrong", [0.94, 1.06])
@pytest.mark.parametrize("number", [1, 6])
def test_a_path_across_the_cathode_is_one_track_at_a_wrong_velocity(wrong, number) -> None:
    hits, owner = pixelised([random_lines(number, GEOMETRY, 3)], GEOMETRY, velocity=wrong * VELOCITY)
    labels = labels_of(hits)
    for path in range(number):
        sides = [labels[(owner == path) & (hits.tpc == tpc)] for tpc in (0, 1)]
        if min(len(side) for side in sides) >= 15:
            first, second = (np.bincount(side[side >= 0]).argmax() for side in sides)
            assert first == second
    assert agreement(labels, owner) > 0.97


def test_paths_that_end_at_the_cathode_in_different_places_are_not_joined() -> None:
    above = np.array([[0.0, -20.0, 0.0], [10.0, 10.0, 30.0]])
    below = np.array([[3.0, -20.0, 0.0], [-7.0, -50.0, -30.0]])
    labels = labels_of(pixelised([[above, below]], GEOMETRY)[0])
    assert set(labels[labels >= 0]) == {0, 1}


def test_a_track_that_turns_is_cut_but_scattering_is_not() -> None:
    corner = np.array([0.0, -20.0, 15.0])
    for angle, tracks in ((0.05, 1), (0.6, 2)):
        path = np.array([corner - [25, 0, 0], corner, corner + 25 * np.array([np.cos(angle), np.sin(angle), 0])])
        labels = labels_of(pixelised([[path]], GEOMETRY)[0])
        assert len(np.unique(labels[labels >= 0])) == tracks


def test_a_track_goes_on_behind_pixels_that_are_dead() -> None:
    hits, _ = pixelised([[through((0.0, -20.0, 15.0), (1, 0.2, 0.2))]], GEOMETRY)
    alive = chosen(hits, np.abs(hits.x) > 4)
    labels = labels_of(alive)
    assert np.mean(labels == 0) > 0.97 and not (labels > 0).any()


def test_lonely_hits_are_in_no_track() -> None:
    hits, _ = pixelised([[through((0.0, -20.0, 15.0), (1, 0.2, 0.2))]], GEOMETRY)
    rng = np.random.default_rng([1, 17])
    noise = chosen(hits, rng.choice(len(hits), 12, replace=False))
    y = np.linspace(0, 38, 12)
    noise = replace(noise, y=y, pixel_y=np.floor((y - GEOMETRY.y_range[0]) / GEOMETRY.pixel_pitch).astype(np.int64))
    both = replace(hits, **{n: np.concatenate([getattr(hits, n), getattr(noise, n)]) for n in Hits.COLUMNS})
    labels = labels_of(both)
    assert (labels[len(hits) :] == -1).all() and np.mean(labels[: len(hits)] == 0) > 0.97


def test_nothing_is_found_in_nothing_and_in_one_hit() -> None:
    hits, _ = pixelised([[through((0.0, -20.0, 15.0), (1, 0.2, 0.2))]], GEOMETRY)
    assert len(labels_of(chosen(hits, np.arange(0)))) == 0
    assert labels_of(chosen(hits, np.arange(1))).tolist() == [-1]
    assert labels_of(chosen(hits, np.zeros(5, dtype=np.int64))).tolist() == [-1] * 5  # one pixel, five times the same


def test_events_do_not_see_each_other() -> None:
    lines = random_lines(3, GEOMETRY, 5)
    one, _ = pixelised([lines], GEOMETRY)
    two = replace(one, **{n: np.concatenate([getattr(one, n)] * 2) for n in Hits.COLUMNS})
    two = replace(two, event_id=np.repeat([4, 9], len(one)), event_t0={4: 0.0, 9: 0.0})
    np.testing.assert_array_equal(labels_of(two), np.tile(labels_of(one), 2))


def test_volumes_share_a_cathode_only_if_it_is_between_them() -> None:
    assert back_to_back(GEOMETRY) == [(0, 1)]
    turned = [t.model_copy(update={"z_anode": t.z_cathode, "z_cathode": t.z_anode}) for t in GEOMETRY.tpcs]
    assert back_to_back(GEOMETRY.model_copy(update={"tpcs": tuple(turned)})) == []


def test_ends_that_point_the_same_way_have_no_gap_between_them() -> None:
    """As those of two pieces along a row of pixels may: no line leads from inside one of them to inside the other."""
    along_x = np.array([1.0, 0.0, 0.0])
    one, other = (End(i, Line(np.array([0.0, 1.5 * i, 0.0]), along_x), 5.0) for i in range(2))
    across, along = mismatch(one, other, np.zeros((1, 3)))
    assert along[0] == 0 and across[0] == pytest.approx(1.5)
