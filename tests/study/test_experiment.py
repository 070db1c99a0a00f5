"""Repeated experiments with the pixel detector: noise by number, the same in every process; studies of them run."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from pipeline.config.load import config_from_json
from pipeline.config.models import Config
from pipeline.errors import ConfigError
from pipeline.parameters import CALIBRATED, nominal_values
from pipeline.storage.detector import load_geometry
from pipeline.study import pulls, score
from pipeline.study.experiment import experiment_of, noise_seed
from pipeline.tables import Segments
from tests.tracks import stopping_track, straight_track


def config(study: dict[str, Any] | None = None, **readout: Any) -> Config:
    changes = {
        "select": {"max_anode_distance_cm": None, "track_anode_margin_cm": None, "max_abs_cos_drift": None},
        "simulate": {"threads": 1},
        "readout": readout,
        "study": study or {},
    }
    return config_from_json(json.dumps(changes))


@pytest.fixture(scope="module")
def sample() -> Segments:
    """A muon along the whole drift, one across it, and a proton that stops."""
    return Segments.concatenate(
        [
            straight_track(event=0, start=(-15, 3.1, 29.0), direction=(1, 0.3, -1), segments=28),
            straight_track(event=1, start=(5, 13.2, 18.0), direction=(1, 0.2, 0.1), segments=12),
            stopping_track(2212, 12.0, traj=2),
        ]
    )


def test_noise_is_fixed_by_numbers_and_the_same_in_every_process(sample: Segments) -> None:
    experiment = experiment_of(config(), sample, load_geometry("module0"), 100.0)
    first, other = (experiment.data({}, noise_seed(1, 0, draw)) for draw in (0, 1))
    other_process = copy.copy(experiment)  # as sent to one: without its model
    again = other_process.data({}, noise_seed(1, 0, 0))
    np.testing.assert_array_equal(again.values, first.values)
    assert len(first) != len(other) or np.abs(first.values - other.values).min() > 0
    assert len({noise_seed(s, t, d) for s in range(3) for t in range(5) for d in range(50)}) == 3 * 5 * 50


def test_data_are_whole_numbers_where_the_readout_gives_such(sample: Segments) -> None:
    experiment = experiment_of(config(integer_adc=True), sample, load_geometry("module0"), 100.0)
    data = experiment.data({}, 1)
    adc, time = data.values.T
    np.testing.assert_array_equal(adc, np.round(adc))
    np.testing.assert_allclose(time / 0.1, np.round(time / 0.1), atol=1e-6)


def test_the_cuts_and_the_length_are_those_of_the_study(sample: Segments) -> None:
    experiment = experiment_of(config(), sample, load_geometry("module0"), 25.0)
    assert 11.9 < float(experiment.segments.length.sum()) <= 25.0


def test_pulls_of_the_detector_are_those_of_honest_fits(sample: Segments) -> None:
    """Two parameters that any track holds: no pull of four fits is beyond four standard deviations."""
    held = dict.fromkeys(set(CALIBRATED) - {"birks_ab", "electric_field"}, 1.0)
    settings = config({"pulls": {"length_cm": 100, "targets": 2, "draws": 2, "hold": held}})
    result = pulls.run(settings, sample, load_geometry("module0"), lambda text: None)
    assert result["converged"] == 4 and result["without_uncertainty"] == 0
    for fit in result["fits"]:
        assert set(fit["pulls"]) == {"birks_ab", "electric_field"}
        assert max(map(abs, fit["pulls"].values())) < 4
        assert 0 < fit["uncertainties"]["electric_field"] < 1e-3
    json.dumps(result, allow_nan=False)
    assert "4 fits at 2 targets" in pulls.table(result)


def test_the_score_of_the_detector_has_the_expected_covariance(sample: Segments) -> None:
    settings = config({"score": {"length_cm": 100, "draws": 12, "draws_of_information": 1}})
    result = score.run(settings, sample, load_geometry("module0"), lambda text: None)
    found = result["by_target"]["target_1"]
    assert np.abs(found["mean"]).max() < 5
    assert found["of_pixels"]["largest_of_diagonal"] < max(5 * found["of_pixels"]["error"], 0.3)
    json.dumps(result, allow_nan=False)
    assert "12 draws" in score.table(result)


@pytest.mark.parametrize(
    ("study", "words"),
    [
        ({"pulls": {"method": "likelyhood"}}, "did you mean 'likelihood'"),
        ({"pulls": {"hold": dict.fromkeys(CALIBRATED, 1.0)}}, "hold fewer"),
        ({"pulls": {"named_targets": ["low"]}}, "study.pulls.named_targets: there is no target 'low'"),
        ({"score": {"method": "gauss_newton"}}, "no likelihood"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(sample: Segments, study: dict[str, Any], words: str) -> None:
    (name,) = study
    run = {"pulls": pulls.run, "score": score.run}[name]
    with pytest.raises(ConfigError, match=words):
        run(config(study), sample, load_geometry("module0"), lambda text: None)


def test_a_held_parameter_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="birks_kb"):
        config({"pulls": {"hold": {"birks_k": 1.0}}})


def test_other_parameters_than_the_six_have_nominal_targets(sample: Segments) -> None:
    assert nominal_values()["shift_x"] == 0.0
    shifted = config({"pulls": {"length_cm": 60, "targets": 1, "draws": 1, "hold": dict.fromkeys(CALIBRATED, 1.0)}})
    free = shifted.known_methods["likelihood"].model_copy(update={"free": (*CALIBRATED, "shift_x")})
    settings = shifted.model_copy(update={"methods": {"likelihood": free}})
    result = pulls.run(settings, sample, load_geometry("module0"), lambda text: None)
    assert abs(result["fits"][0]["pulls"]["shift_x"]) < 4
    assert result["targets"]["target_1"]["shift_x"] == 0.0
    assert result["parameters"]["shift_x"]["errors_percent"] == {}
