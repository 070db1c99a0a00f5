"""Tracks as they are cut for a fit, and those that are left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.calibrate.joint.cutting import cut_at_pixels, joined, located
from pipeline.calibrate.joint.parts import parts_of
from pipeline.config.unknown import Unknown
from pipeline.errors import FitError
from pipeline.simulate.model import ForwardModel
from pipeline.tables import Floats, Segments

from ...simulate.deposits import MODULE0
from .toys import SETTINGS, data_of, tracks


def test_tracks_are_cut_where_they_pass_from_pixel_to_pixel() -> None:
    segments = tracks(2)
    found = cut_at_pixels(segments, MODULE0, 0.1, 0.4)
    assert found.dE.sum() == pytest.approx(segments.dE.sum(), rel=1e-12)
    assert found.length.sum() == pytest.approx(segments.length.sum(), rel=1e-3)
    assert found.length.max() < 0.41 and found.length.min() > 0.09
    same = found.event_id[1:] == found.event_id[:-1]
    assert found.start[1:][same] == pytest.approx(found.end[:-1][same], abs=1e-12)
    # No segment lies on both sides of a border by more than the shortest.
    low = np.array([MODULE0.x_range[0], MODULE0.y_range[0]])
    place = [(p[:, :2] - low) / MODULE0.pixel_pitch for p in (found.start, found.end)]
    crossing = (np.floor(place[0] + 1e-9) != np.floor(place[1] - 1e-9)).any(axis=1)
    assert crossing.mean() < 0.4
    long = cut_at_pixels(segments, MODULE0, 0.1, 10.0)
    assert len(long) < len(found)


def placed_in_x(segments: Segments, event: int, place: Callable[[Floats], Floats]) -> Segments:
    """The track of an event with its x at `place` of how far along its own x each point was (0 to 1)."""
    mine = segments.event_id == event
    ends = [segments.start.copy(), segments.end.copy()]
    x = np.concatenate([points[mine, 0] for points in ends])
    for points in ends:
        points[mine, 0] = place((points[mine, 0] - x.min()) / (x.max() - x.min()))
    return segments.replace(start=ends[0], end=ends[1])


def test_tracks_that_hits_do_not_tell_the_place_of_are_left_out() -> None:
    (low, _, _), (high, _, _) = MODULE0.bounds
    pitch = MODULE0.pixel_pitch
    segments = tracks(5)
    # Most of the second runs within a pixel of a side, though it crosses rows; the third ends at a side.
    segments = placed_in_x(segments, 1, lambda u: low + np.where(u < 0.6, 0.5 * u, 0.3 + 6 * (u - 0.6)))
    segments = placed_in_x(segments, 2, lambda u: high - 3 * (1 - u))
    # The fourth stays within two rows of pixels; the fifth has been on both sides of one.
    segments = placed_in_x(segments, 3, lambda u: low + (20.1 + 1.8 * u) * pitch)
    segments = placed_in_x(segments, 4, lambda u: low + (20.6 + 2.1 * u) * pitch)
    second = segments.event_id == 1
    assert (MODULE0.side_distance(segments.centre[second]) < pitch).mean() > 0.5
    for fast, left in ((True, [0, 2, 4]), (False, [0, 2, 3, 4])):
        assert np.unique(located(segments, MODULE0, 1.0, fast=fast).event_id).tolist() == left
    model = ForwardModel(segments, MODULE0, SETTINGS)
    for loose, left in ((True, [0, 2, 4]), (False, [0, 1, 2, 3, 4])):
        parts = parts_of(model, data_of(segments, 1), Unknown(part_length_cm=1e3, geometry=loose, min_track_cm=1.0))
        assert np.unique(parts[0].found.segments.event_id).tolist() == left


def test_tracks_that_end_at_a_cathode_are_left_out_and_those_across_it_are_not() -> None:
    """Velocities are known to 5 %: at the true one an end within 1.5 cm of the cathode may be on its other side."""
    lengths = np.linspace(0.0, 1.0, 13)[:, None]
    ends = {0: (5.0, 2.0), 1: (5.0, 1.0), 2: (5.0, -1.0), 3: (5.0, -5.0), 4: (-2.0, -28.0), 5: (-0.5, -28.0)}
    found = []
    for event, (first, last) in ends.items():
        straight = tracks(1).replace(event_id=np.full(12, event))
        points = np.array([-10.0, -20.0, first]) + lengths * np.array([12.0, 8.0, last - first])
        found.append(straight.replace(start=points[:-1], end=points[1:]))
    left = located(Segments.concatenate(found), MODULE0, 1.0, fast=True)
    assert np.unique(left.event_id).tolist() == [0, 3, 4]
    with pytest.raises(FitError, match=r"none of 1 tracks \(1 with an end at a cathode\)"):
        located(found[1], MODULE0, 1.0, fast=True)


def test_short_tracks_are_left_out_and_what_none_is_left_of_is_said() -> None:
    segments = Segments.concatenate([tracks(1), tracks(2, pieces=5).take(np.arange(5, 10))])
    assert located(segments, MODULE0, 10.0, fast=True).length.sum() == pytest.approx(12.0, rel=1e-3)
    beside = placed_in_x(tracks(1), 0, lambda u: MODULE0.bounds[0][0] + 0.1 * u)
    found = r"none of 1 tracks \(1 shorter than 20 cm \(unknown.min_track_cm\), 1 along a side of the detector"
    with pytest.raises(FitError, match=found):
        located(beside, MODULE0, 20.0, fast=True)


def test_short_pieces_are_joined_to_their_neighbours() -> None:
    segments = tracks(1, bend=0.0)
    middle = segments.start + 0.01 * (segments.end - segments.start)
    short = segments.replace(end=middle, dx=0.01 * segments.dx, dE=0.01 * segments.dE)
    rest = segments.replace(start=middle, dx=0.99 * segments.dx, dE=0.99 * segments.dE)
    order = np.argsort(np.tile(np.arange(12), 2), kind="stable")
    found = joined(Segments.concatenate([short, rest]).take(order), 0.05)
    assert found.length.min() > 0.9
    assert found.dE.sum() == pytest.approx(segments.dE.sum())
    assert found.start[0] == pytest.approx(segments.start[0])
    assert found.end[-1] == pytest.approx(segments.end[-1])
