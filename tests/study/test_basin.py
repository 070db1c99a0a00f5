"""From how far fits arrive: starts are where they should be, outcomes mean what they say, twice the same numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.config.methods import Basin
from pipeline.config.models import Config, Studies
from pipeline.errors import ConfigError
from pipeline.parameters import CALIBRATED, calibrated
from pipeline.storage.detector import load_geometry
from pipeline.study import basin, basin_work
from pipeline.tables import Segments
from tests.tracks import straight_track

TINY = Basin(
    length_cm=20,
    methods=("gauss_newton", "adam_energy_distance"),
    distances=(0.0, 0.3),
    starts=1,
    reach=1.0,
    adam_iterations=3,
    line_points=3,
    plane_points=3,
)


def config(settings=TINY):
    return Config(study=Studies(basin=settings)).model_copy(
        update={"simulate": Config().simulate.model_copy(update={"threads": 1})}
    )


@pytest.fixture(scope="module")
def sample() -> Segments:
    """A track that leaves the 15 cm next to the anode, and one of five times the energy loss that does not."""
    leaves = straight_track(event=0, start=(-15, 3.1, 19.0), direction=(1, 0.3, -0.9), segments=6)
    stays = straight_track(event=1, start=(5, 13.2, 18.0), direction=(1, 0.2, 0.3), segments=4)
    # Unequal losses: else A_B and k_B do the same.
    return Segments.concatenate([leaves, replace(stays, dE=5 * stays.dE, dEdx=5 * stays.dEdx)])


def run(sample, settings=TINY):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(basin_work, "PLACES", 3)
        return basin.run(config(settings), sample, load_geometry("module0"), lambda step: None)


@pytest.fixture(scope="module")
def result(sample):
    return run(sample)


def starts(result, method, distance):
    found = [
        s for part in result["samples"] for s in part["starts"] if (s["method"], s["distance"]) == (method, distance)
    ]
    assert len(found) == 2  # with the cut and without
    return found


def test_a_fit_from_the_target_has_arrived_and_gauss_newton_arrives_from_near(result):
    for method in TINY.methods:
        assert [s["outcome"] for s in starts(result, method, 0.0)] == ["arrived"] * 2
    for start in starts(result, "gauss_newton", 0.3):
        assert np.abs(start["start_u"]).max() == pytest.approx(0.3)
        assert start["outcome"] == "arrived"
        assert start["error"] < 1e-6


def test_a_fit_that_was_given_three_steps_is_under_way(result):
    for start in starts(result, "adam_energy_distance", 0.3):
        assert start["iterations"] == 3
        assert start["error"] > TINY.adam_tolerance
        assert start["outcome"] == "under_way"


def test_the_cut_is_applied_and_left_out(result):
    near, whole = result["samples"]
    assert (near["max_anode_distance_cm"], whole["max_anode_distance_cm"]) == (15.0, None)
    assert 4 < near["length_cm"] < whole["length_cm"] == pytest.approx(10.0)


def test_every_objective_is_smallest_at_the_target(result):
    for part in result["samples"]:
        for method in TINY.methods:
            costs = np.array(part["plane"]["costs"][method], dtype=float)
            assert np.unravel_index(np.argmin(costs), costs.shape) == (1, 1)
            # The line of a parameter and the plane that holds it are the same hits.
            line = next(line for line in part["lines"] if line["parameter"] == part["plane"]["parameters"][0])
            np.testing.assert_allclose(costs[1], line["costs"][method])


def test_numbers_are_plain_and_the_same_again_whatever_else_is_compared(result, sample):
    text = json.dumps(result, allow_nan=False)
    assert "gauss_newton" in basin.table(json.loads(text))
    fewer = TINY.model_copy(update={"methods": ("gauss_newton",), "distances": (0.3,), "plane_points": 2})
    for part, again in zip(result["samples"], run(sample, fewer)["samples"], strict=True):
        mine = [s for s in part["starts"] if (s["method"], s["distance"]) == ("gauss_newton", 0.3)]
        assert again["starts"] == mine
        for line, other in zip(part["lines"], again["lines"], strict=True):
            assert line["costs"]["gauss_newton"] == other["costs"]["gauss_newton"]


def test_distance_one_is_the_end_of_the_range_and_distances_go_both_ways():
    scale = basin.Scale.of(TINY)
    np.testing.assert_allclose(scale.values(np.ones(6)), [p.high for p in calibrated()])
    np.testing.assert_allclose(scale.values(-np.ones(6)), [p.low for p in calibrated()])
    u = np.linspace(-2, 2, 6)
    np.testing.assert_allclose(scale.coordinates(scale.values(u)), u)


def test_directions_of_starts_are_the_same_at_every_distance():
    points = basin.start_points(TINY.model_copy(update={"distances": (0.5, 1.0), "starts": 3}), seed=1)
    assert [d for d, _ in points] == [0.5] * 3 + [1.0] * 3
    near, far = np.array([u for _, u in points]).reshape(2, 3, 6)
    np.testing.assert_allclose(2 * near, far)
    np.testing.assert_allclose(np.abs(far).max(axis=1), 1)
    assert len({tuple(u) for u in near.tolist()}) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": {"electric_field": 0.6}}, "does not lie within its range 0.45 to 0.55"),
        ({"target": {"shift_x": 0.1}}, "shift_x is not one of the six"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(sample, change, words):
    settings = config(TINY.model_copy(update=change))
    with pytest.raises(ConfigError, match=words):
        basin.run(settings, sample, load_geometry("module0"), lambda step: None)


def test_a_method_that_there_is_not_is_refused_by_the_configuration():
    with pytest.raises(ValueError, match=r"study\.basin: there is no method .*did you mean 'gauss_newton'"):
        config(TINY.model_copy(update={"methods": ("gaus_newton",)}))


def test_a_plane_is_of_two_of_the_six():
    with pytest.raises(ValueError, match="shift_x is not one of birks_ab"):
        Basin(plane=("shift_x", CALIBRATED[0]))


def test_a_climb_is_measured_from_the_lowest_place_passed():
    assert basin_work.rise(np.array([5.0, 3.0, 4.5, 1.0, 1.2])) == pytest.approx(1.5)
    assert basin_work.rise(np.array([5.0, 3.0, 2.0, 1.0])) == 0


def test_outcomes_are_judged_by_what_separates_the_end_from_the_target():
    near, far = [0.5] * 6, [0.5] * 5 + [-292.0]
    assert basin_work.outcome_of(0.01, 0.05, near, [1.0, 3.0, 0.0]) == "arrived"
    assert basin_work.outcome_of(0.2, 0.05, near, [1.0, 0.6, 0.0]) == "under_way"
    assert basin_work.outcome_of(0.2, 0.05, near, [1.0, 1.05, 0.0]) == "under_way"
    assert basin_work.outcome_of(0.2, 0.05, near, [1e-3, 2e-3, 0.0]) == "stuck"
    assert basin_work.outcome_of(0.2, 0.05, near, [1.0, None, 0.0]) == "stuck"
    assert basin_work.outcome_of(0.2, 0.05, far, [1.0, 0.6, 0.0]) == "failed"
    assert basin_work.outcome_of(0.2, 0.05, near, [None, 0.6, 0.0]) == "failed"


def test_false_minima_are_those_away_from_the_target():
    u = np.linspace(-1.5, 1.5, 61)
    wavy = u**2 + 0.8 * (1 - np.cos(2 * np.pi * u))
    np.testing.assert_allclose(basin.false_minima(u, wavy.tolist()), [-0.95, 0.95], atol=0.03)
    assert basin.false_minima(u, (u**2).tolist()) == []
    # A ripple of less than a hundredth of the height is none.
    assert basin.false_minima(u, (u**2 + 0.01 * np.cos(20 * u)).tolist()) == []
