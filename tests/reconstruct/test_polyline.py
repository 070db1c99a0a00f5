"""Geometry of curves, against what is known of straight lines and circles."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.reconstruct.polyline import arc, at, cut_evenly, foot, inside, lengths

CIRCLE = 10 * np.stack([np.cos(a := np.linspace(0, np.pi, 201)), np.sin(a), 0 * a], axis=1)


def test_the_distance_from_a_circle_is_that_of_the_radius():
    angle = np.linspace(0.1, 3.0, 50)
    points = 12.5 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    found = foot(points, CIRCLE)
    assert found.distance == pytest.approx(2.5, abs=1e-3)
    assert (arc(CIRCLE)[found.piece] + found.fraction * lengths(CIRCLE)[found.piece]) == pytest.approx(
        10 * angle, abs=2e-2
    )
    assert found.nearest == pytest.approx(points * 10 / 12.5, abs=2e-2)


def test_points_along_a_curve_are_at_their_length_and_beyond_its_ends_on_its_tangents():
    assert arc(CIRCLE)[-1] == pytest.approx(10 * np.pi, rel=1e-4)
    middle, before = at(CIRCLE, np.array([5 * np.pi, -1.0]))
    assert middle == pytest.approx([0, 10, 0], abs=2e-3)
    assert before == pytest.approx([10, -1, 0], abs=1e-2)


def test_even_cuts_are_even():
    cut = cut_evenly(CIRCLE, 1.0, 2.0, 12.0)
    assert len(cut) == 11
    assert lengths(cut) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_the_part_inside_a_box_is_cut_at_its_faces(shift):
    line = np.array([[-10.0, shift, 0.0], [0.0, shift, 0.0], [10.0, shift, 0.0]])
    span = inside(line, np.array([-4.0, -2.0, -1.0]), np.array([6.0, 2.0, 1.0]))
    assert span == (pytest.approx((6.0, 16.0)) if shift == 0 else None)
