"""Curves through points: lines stay lines, scattering is followed, errors are those of repetition."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config.reconstruction import Curves
from pipeline.reconstruct.curve import fit_curve, kinks, scattering_angle
from pipeline.reconstruct.polyline import foot

SPREAD = np.array([0.1, 0.1, 0.1])


def wiggled(rng: np.random.Generator, theta: float, length: int = 60) -> np.ndarray:
    """A track along (1, 1, 1) with projected angles of `theta` per sqrt(cm), every millimetre."""
    step = 0.1
    kicks = theta * np.sqrt(step) * rng.standard_normal((10 * length, 2))
    slope = np.cumsum(kicks, axis=0)
    across = np.cumsum(slope * step, axis=0)
    d = np.array([1.0, 1.0, 1.0]) / np.sqrt(3)
    one, two = np.array([1.0, -1.0, 0.0]) / np.sqrt(2), np.array([1.0, 1.0, -2.0]) / np.sqrt(6)
    s = step * np.arange(10 * length)
    return s[:, None] * d + across[:, :1] * one + across[:, 1:] * two


def test_points_of_a_line_give_the_line_with_the_covariance_of_least_squares():
    rng = np.random.default_rng(3)
    ends = []
    for _ in range(25):
        true = wiggled(rng, 0.0)[::5]
        points = true + SPREAD * rng.standard_normal(true.shape)
        curve = fit_curve(points, np.ones(len(points)), SPREAD, Curves())
        assert curve.straight
        middle = len(curve.vertices) // 2
        away = curve.vertices[middle] - foot(curve.vertices[[middle]], true[[0, -1]]).nearest[0]
        ends.append(
            away / np.sqrt(np.trace(curve.covariance[2 * middle : 2 * middle + 2, 2 * middle : 2 * middle + 2]))
        )
    assert np.mean(np.square(ends).sum(axis=1)) == pytest.approx(1.0, abs=0.5)
    # Of n points a line is known to spread / sqrt(n) in its middle, per plane.
    known = np.sqrt(curve.covariance[2 * middle, 2 * middle])
    assert known == pytest.approx(0.1 / np.sqrt(len(points)), rel=0.1)


def test_scattering_is_followed_where_a_line_does_not_do():
    theta = scattering_angle(600.0)
    true = wiggled(np.random.default_rng(4), theta)
    points = true[::3] + SPREAD * np.random.default_rng(5).standard_normal(true[::3].shape)
    curve = fit_curve(points, np.ones(len(points)), SPREAD, Curves())
    line = np.stack([true[0], true[-1]])
    assert not curve.straight
    assert np.sqrt(np.mean(foot(true, curve.vertices).distance ** 2)) < 0.05
    assert np.sqrt(np.mean(foot(true, line).distance ** 2)) > 0.2
    assert curve.rms == pytest.approx(0.1, rel=0.15)


def test_turning_the_points_turns_the_curve():
    true = wiggled(np.random.default_rng(6), scattering_angle(300.0), 30)[::4]
    points = true + SPREAD * np.random.default_rng(7).standard_normal(true.shape)
    turn = np.linalg.qr(np.random.default_rng(8).standard_normal((3, 3)))[0]
    plain, turned = (fit_curve(p, np.ones(len(p)), SPREAD, Curves()) for p in (points, points @ turn.T))
    assert foot(turned.vertices, plain.vertices @ turn.T).distance == pytest.approx(0.0, abs=1e-3)


def test_kinks_are_the_angles_of_a_polygon():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0.01, 0], [4, 0.03, 0.02]])
    matrix, path = kinks(vertices)
    found = (matrix @ vertices.ravel()).reshape(-1, 3)
    assert found[:, 1:] == pytest.approx(np.array([[0.01, 0.0], [0.0, 0.01]]), abs=1e-4)
    assert path == pytest.approx([1.0, 1.5], rel=1e-3)


def test_highland_at_one_gev():
    # 13.6 MeV / 1 GeV sqrt(0.0714) (1 + 0.038 ln(0.0714)), of muons of p beta = 1 GeV after 1 cm.
    assert scattering_angle(1000.0) == pytest.approx(3.27e-3, rel=1e-3)
