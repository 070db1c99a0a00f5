"""Predictions by first derivatives: their errors grow as the square of the step."""

import json
from itertools import pairwise

import numpy as np
import pytest

from pipeline.config.studies import Taylor
from pipeline.study import taylor

from .tracks import GEOMETRY, silent, study_config, two_tracks

NAMES = ("birks_kb", "electric_field")
SETTINGS = Taylor(length_cm=50, parameters=NAMES, steps=3, largest=0.02)


@pytest.fixture(scope="module")
def result():
    return taylor.run(study_config(taylor=SETTINGS), two_tracks(), GEOMETRY, silent)


def test_errors_fall_as_the_square_of_the_step(result):
    for entry in result["parameters"]:
        for sign in (-1, 1):
            steps = [s for s in entry["steps"] if s["step"] * sign > 0]
            assert [abs(s["step"]) for s in steps] == sorted(abs(s["step"]) for s in steps)
            for small, large in pairwise(steps):
                assert large["step"] == pytest.approx(2 * small["step"])
                assert large["charge"] / small["charge"] == pytest.approx(4, rel=0.1)


def test_the_cost_is_predicted_to_first_order_in_the_step(result):
    for entry in result["parameters"]:
        up = [s for s in entry["steps"] if s["step"] > 0]
        off = [s["predicted_cost"] / s["cost"] - 1 for s in up]
        assert off[1] / off[0] == pytest.approx(2, rel=0.1)
        assert abs(off[0]) < 0.02


def test_numbers_are_plain(result):
    assert "birks_kb" in taylor.table(json.loads(json.dumps(result, allow_nan=False)))


def curve(power, factor, sign=1):
    return [{"step": sign * x, "charge": factor * x**power} for x in (0.1, 0.2, 0.4, 0.8)]


def test_the_reach_is_where_a_power_law_meets_the_mark():
    up, down = curve(2, 1.0), curve(2, 4.0, sign=-1)
    assert taylor.reach(up, "charge", 0.1) == pytest.approx(np.sqrt(0.1))
    # The worse direction counts.
    assert taylor.reach(up + down, "charge", 0.1) == pytest.approx(np.sqrt(0.1 / 4))
    assert taylor.reach(up, "charge", 1.0) is None
    assert taylor.reach(up, "charge", 0.001) == 0.1
