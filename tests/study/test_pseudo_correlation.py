"""The pseudo-correlation: closed forms, the ridge, and how it differs from the correlation of a fit."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.calibrate.objective import Evaluation
from pipeline.config.cross_check import PseudoCorrelation
from pipeline.config.methods import Method
from pipeline.config.models import Config, Studies
from pipeline.errors import ConfigError, FitError
from pipeline.parameters import nominal_values
from pipeline.report.studies import pseudo_correlation as figure
from pipeline.storage.detector import load_geometry
from pipeline.study import pseudo_correlation as study
from pipeline.study.pseudo_correlation import hessian, pseudo_correlation
from pipeline.tables import Segments
from tests.calibrate.gaussian import NAMES, GaussianData, covariance, nominal
from tests.tracks import straight_track


@pytest.mark.parametrize("ridge", [0.0, 1e-6, 0.5])
@pytest.mark.parametrize("r", [-0.999, 0.3])
def test_of_two_parameters_it_is_minus_the_coupling_over_one_plus_the_ridge(r, ridge):
    curvature = np.array([[4.0, 2.0 * r * 3.0], [2.0 * r * 3.0, 9.0]])
    np.testing.assert_allclose(pseudo_correlation(curvature, ridge)[0, 1], -r / (1 + ridge), rtol=1e-12)


def test_the_ridge_hides_a_direction_that_is_known_less_than_it():
    # Three parameters of which only two combinations are known: 1 - 1e-9 of the coupling.
    r = 1 - 1e-9
    curvature = np.array([[1, r, 0], [r, 1, 0], [0, 0, 1.0]])
    assert pseudo_correlation(curvature, 0.0)[0, 1] == pytest.approx(-1, abs=1e-8)
    assert pseudo_correlation(curvature, 1e-6)[0, 1] == pytest.approx(-r / (1 + 1e-6), abs=1e-9)


def test_without_a_ridge_it_is_the_correlation_of_the_inverse_whatever_the_units():
    standard = np.sqrt(np.diag(covariance()))
    expected = covariance() / np.outer(standard, standard)
    found = pseudo_correlation(np.linalg.inv(covariance()), 0.0)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    unit = np.array([1e-3, 7.0, 1e4, 1.0])
    found = pseudo_correlation(np.linalg.inv(covariance()) * np.outer(unit, unit), 0.0)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_what_has_no_minimum_has_no_correlation():
    with pytest.raises(FitError, match="not positive definite"):
        pseudo_correlation(np.array([[1.0, 2.0], [2.0, 1.0]]), 1e-6)
    with pytest.raises(FitError, match="not curved upwards"):
        pseudo_correlation(np.diag([1.0, 0.0]), 1e-6)


class WithoutCurvature:
    def __init__(self):
        self.data = GaussianData(nominal(), covariance())

    def evaluate(self, values, names):
        e = self.data.evaluate(values, names)
        return Evaluation(e.cost, e.gradient, None, {})


def test_differences_of_the_gradient_are_the_second_derivatives_in_units_of_the_nominal_values():
    values = {**nominal_values()}
    expected = np.linalg.inv(covariance()) * np.outer(nominal(), nominal())
    for objective in (GaussianData(nominal(), covariance()), WithoutCurvature()):
        np.testing.assert_allclose(hessian(objective, values, NAMES, 1e-3), expected, rtol=1e-7, atol=1e-6)


def tracks(count=6) -> Segments:
    """Tracks of 8 cm apart from each other, every other one of five times the energy loss."""
    parts = []
    for k in range(count):
        one = straight_track(event=k, traj=k, start=(-10 + k, 3.1 + 2 * k, 20.0), direction=(1, 0.3, 0.2), segments=8)
        scale = 5.0 if k % 2 else 1.0
        parts.append(one.replace(dE=scale * one.dE, dEdx=scale * one.dEdx))
    return Segments.concatenate(parts)


FREE = ("birks_ab", "electric_field", "transverse_diffusion")


def config(**changes):
    methods = {
        "residuals": Method(free=FREE),
        "cloud": Method(free=FREE, objective="energy_distance", optimiser="adam"),
        "other": Method(free=FREE[:2]),
        "measured": Method(free=FREE, priors={"birks_ab": {"value": 0.8, "uncertainty": 1e-6}}),
    }
    given = {"methods": ("residuals",), "method": "residuals", "batch_length_cm": 16.5}
    settings = PseudoCorrelation(**{**given, **changes})
    return Config(methods=methods, study=Studies(pseudo_correlation=settings))


def run(**changes):
    return study.run(config(**changes), tracks(), load_geometry("module0"), lambda step: None)


@pytest.fixture(scope="module")
def result():
    return run(methods=("residuals", "cloud", "measured"))


def test_batches_add_up_to_the_fit_and_scatter_about_it(result):
    assert result["batches"] == 3
    assert result["length_cm"] == pytest.approx(48.0)
    residuals, _, measured = result["methods"]
    assert residuals["left_out"] == 0
    # Sum and mean differ by a factor, so that of residuals only the ridge is between the two.
    np.testing.assert_allclose(residuals["matrix"], result["fit"]["matrix"], atol=1e-4)
    assert 0 < np.max(residuals["spread"]) < 0.5
    # A prior would count once for every batch: it is left out.
    assert measured["matrix"] == residuals["matrix"]


def test_a_batch_that_is_the_whole_sample_has_the_matrix_of_the_sample():
    one = run(batch_length_cm=24.5, batches=2)
    assert one["batches"] == 2
    np.testing.assert_allclose(one["fit"]["matrix"], run()["fit"]["matrix"], atol=1e-9)


def test_numbers_are_plain_and_the_same_again(result):
    text = json.dumps(result, allow_nan=False)
    assert json.loads(text) == json.loads(json.dumps(run(methods=("residuals", "cloud", "measured"))))
    assert "transverse_diffusion" in study.table(json.loads(text))


def test_the_figure_shows_one_panel_per_matrix(result):
    plain = json.loads(json.dumps(result))
    drawn, caption = figure.draw(plain)
    assert isinstance(drawn, Figure)
    assert "3 batches of 16.5 cm" in caption and "ridge of 1e-06" in caption
    head, lines = figure.rows(plain)
    assert len(head) == 1 + 3 + 1
    assert [line[0] for line in lines] == ["A_B, E", "A_B, D_T", "E, D_T"]
    assert all(len(line) == len(head) for line in lines)
    # A matrix that there is not is said, not drawn.
    plain["methods"][0] |= {"matrix": None, "why": "this is no minimum of the loss."}
    drawn, _ = figure.draw(plain)
    assert any("no minimum" in text.get_text() for text in drawn.axes[0].texts)
    assert figure.rows(plain)[1][0][1] == "–"
    assert "no minimum" in study.table(plain)


def test_methods_that_cannot_be_compared_are_refused():
    with pytest.raises(ConfigError, match="do not fit the same parameters"):
        run(methods=("other",))
    with pytest.raises(ValueError, match="did you mean 'residuals'"):
        config(methods=("residual",))
