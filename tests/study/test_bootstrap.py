"""The study `bootstrap`: what stands beside each other is comparable, complete, and the same again."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.config.cross_check import Bootstrap
from pipeline.config.methods import STANDARD_METHODS, Method
from pipeline.config.models import Config, Studies
from pipeline.errors import FitError, SelectionError
from pipeline.report.studies import bootstrap as figure
from pipeline.storage.detector import load_geometry
from pipeline.study import bootstrap as study
from pipeline.tables import Segments
from tests.tracks import straight_track

FREE = ("birks_ab", "electric_field")


def tracks() -> Segments:
    parts = [
        straight_track(event=k, traj=k, start=(-10 + k, 3.1 + 2 * k, 20.0), direction=(1, 0.3, 0.2), segments=6)
        for k in range(2)
    ]
    # Five times the loss of a minimum-ionising particle: no charge near the threshold.
    both = Segments.concatenate(parts)
    return both.replace(dE=5 * both.dE, dEdx=5 * both.dEdx)


def run(method="likelihood", **changes):
    methods = {
        "likelihood": Method(objective="likelihood", optimiser="fisher_scoring", free=FREE, **changes),
        "residuals": Method(**{**STANDARD_METHODS["masked_residuals"].model_dump(), "free": FREE, **changes}),
    }
    settings = Bootstrap(method=method, length_cm=15.0, draws=10)
    made = Config(methods=methods, study=Studies(bootstrap=settings))
    return study.run(made, tracks(), load_geometry("module0"), lambda step: None)


@pytest.fixture(scope="module")
def result():
    return run()


def test_every_fit_is_counted(result):
    found = result["bootstrap"]
    assert found["fits"] + found["failed"] == 10
    assert sum(result["failures"].values()) == found["failed"]
    assert np.array(found["values"]).shape == (found["fits"], 2)
    assert result["length_cm"] == pytest.approx(12.0)


def test_minuit_agrees_with_the_expected_information(result):
    minuit, expected = result["minuit"], result["expected"]
    assert expected["kind"] == "expected information"
    assert minuit["valid"], minuit["complaints"]
    # Second derivatives by differences of the cost, and of our gradients.
    observed = result["others"]["observed information"]
    np.testing.assert_allclose(minuit["standard"], observed["standard"], rtol=0.02)
    np.testing.assert_allclose(minuit["correlation"], observed["correlation"], atol=0.02)
    # 60 hits.
    np.testing.assert_allclose(observed["standard"], expected["standard"], rtol=0.2)
    for k, name in enumerate(FREE):
        low, high = minuit["intervals"][name]
        assert low < result["fitted"][k] < high
        assert (high - low) / 2 == pytest.approx(minuit["standard"][k], rel=0.05)


def test_of_residuals_the_sandwich_stands_beside_the_spread():
    found = run("residuals")
    assert found["expected"]["kind"] == "sandwich"
    ratio = np.divide(found["bootstrap"]["standard"], found["expected"]["standard"])
    assert (np.abs(np.log(ratio)) < 4 / np.sqrt(2 * (found["bootstrap"]["fits"] - 1))).all()


def test_fits_of_simulated_data_scatter_around_the_fitted_values(result):
    found = result["bootstrap"]
    assert (np.abs(found["bias"]) < 4 * np.array(found["bias_error"])).all()
    assert (np.abs(np.subtract(result["fitted"], result["true"])) < 5 * np.array(found["standard"])).all()


def test_numbers_are_plain_and_the_same_again(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == json.loads(json.dumps(run()))
    assert "electric_field" in study.table(json.loads(json.dumps(result)))


def test_the_figure_has_a_bar_for_each_way(result):
    plain = json.loads(json.dumps(result))
    drawn, caption = figure.draw(plain)
    assert isinstance(drawn, Figure)
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert len(labels) == 6
    assert "10 fits" in caption or "failed" in caption
    head, lines = figure.rows(plain)
    assert [line[0] for line in lines] == ["A_B", "E"]
    assert all(len(line) == len(head) for line in lines)
    # Without an uncertainty of its own, as a loss, only the fits are left.
    plain |= {"expected": None, "others": {}, "minuit": None}
    drawn, _ = figure.draw(plain)
    assert len(drawn.legends[0].get_texts()) == 2
    assert figure.rows(plain)[1][0][3:6] == ["–", "–", "–"]
    assert "electric_field" in study.table(plain)


def test_measurements_are_repeated_with_the_data():
    tight = {"electric_field": {"value": 0.5, "uncertainty": 1e-7}}
    found = run(priors=tight)
    # The field follows its measurement, which every draw makes anew.
    assert any("electric_field 100%" in text for text in found["caveats"])
    assert 0.3e-7 < found["bootstrap"]["standard"][1] < 2e-7


def test_a_fit_that_fails_is_not_looked_at():
    made = Config(
        methods={"short": Method(free=FREE, max_iterations=1)},
        study=Studies(bootstrap=Bootstrap(method="short", length_cm=15.0, target={"birks_ab": 0.85})),
    )
    with pytest.raises(FitError, match="the fit itself failed"):
        study.run(made, tracks(), load_geometry("module0"), lambda step: None)


def test_settings_that_cannot_be_used_are_refused():
    with pytest.raises(ValueError, match="did you mean 'gauss_newton'"):
        Config(study=Studies(bootstrap=Bootstrap(method="gaus_newton")))
    made = Config(study=Studies(bootstrap=Bootstrap(length_cm=5.0)))
    with pytest.raises(SelectionError, match="length_cm"):
        study.run(made, tracks(), load_geometry("module0"), lambda step: None)
