"""Second derivatives by differences of gradients, and what the spectrum of an information says."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.calibrate.information import Spectrum, observed_information
from pipeline.calibrate.objective import Evaluation
from pipeline.parameters import nominal_values

from .linear import linear, parameters
from .stand_in import ToyChamber

FOUR = ("birks_ab", "birks_kb", "electric_field", "electron_lifetime")


@pytest.mark.parametrize("seed", range(3))
def test_observed_information_of_a_parabola_is_its_curvature(seed):
    model = linear(*FOUR, seed=seed)
    values = {"birks_ab": 0.83, "birks_kb": 0.06, "electric_field": 0.49, "electron_lifetime": 900.0}
    found = observed_information(model, parameters(*FOUR), values, np.full(4, 0.003))
    np.testing.assert_allclose(found.information, model.design.T @ model.design, rtol=1e-9)
    assert found.asymmetry < 1e-10


class Poisson:
    """One count of mean mu = 100 k_B / 0.0486: the observed information is n / x^2 in x = k_B / nominal."""

    def evaluate(self, values, names):
        mean = 100 * values["birks_kb"] / 0.0486
        return Evaluation(mean - 120 * np.log(mean), np.array([(1 - 120 / mean) * 100 / 0.0486]), None, {})


@pytest.mark.parametrize("step", [0.02, 0.01, 0.005])
def test_differences_are_of_second_order(step):
    """d2 = (g(x + h) - g(x - h)) / 2h = n / (x^2 - h^2) for this gradient."""
    found = observed_information(Poisson(), parameters("birks_kb"), {"birks_kb": 1.2 * 0.0486}, np.array([step]))
    assert found.information[0, 0] == pytest.approx(120 / (1.44 - step**2), rel=1e-10)


def test_observed_information_comes_near_no_bound():
    model = linear("birks_kb", "electron_lifetime")
    at = {"birks_kb": 0.001, "electron_lifetime": 1e6}
    observed_information(model, parameters("birks_kb", "electron_lifetime"), at, np.array([5.0, 5.0]))
    assert all(a["birks_kb"] > 0.00089 and 0 < a["electron_lifetime"] < 1.2e6 for a in model.asked)


def test_gradients_that_belong_to_no_cost_are_told_by_their_asymmetry():
    class Rough(ToyChamber):
        def evaluate(self, values, names):
            a, k = values["birks_ab"] / 0.8, values["birks_kb"] / 0.0486
            return Evaluation(0.0, np.array([(a + 0.3 * k) / 0.8, (0.1 * a + k) / 0.0486]), None, {})

    found = observed_information(Rough(), parameters(*FOUR[:2]), nominal_values(), np.full(2, 0.01))
    assert found.asymmetry == pytest.approx(0.1)
    np.testing.assert_allclose(found.information, [[1.0, 0.2], [0.2, 1.0]], rtol=1e-9)


@pytest.mark.parametrize("condition", [1e2, 1e6, 1e10])
def test_inverse_of_badly_conditioned_information(condition):
    """Two parameters whose correlation is 1 - 2 / condition: the closed inverse of a 2 x 2 matrix."""
    rho = 1 - 2 / condition
    scale = np.array([1e-5, 1e7])
    information = np.array([[1.0, rho], [rho, 1.0]]) * np.outer(scale, scale)
    expected = np.array([[1.0, -rho], [-rho, 1.0]]) / ((1 - rho) * (1 + rho)) / np.outer(scale, scale)
    spectrum = Spectrum(information)
    np.testing.assert_allclose(spectrum.inverse(), expected, rtol=1e-15 * condition)
    assert spectrum.known.all() and not spectrum.indefinite


def test_precision_decides_what_is_held():
    """The same matrix from arithmetic of 32 bits holds nothing in its weakest direction."""
    information = np.array([[1.0, 1 - 1e-7], [1 - 1e-7, 1.0]])
    assert Spectrum(information).known.all()
    assert not Spectrum(information, precision=1e-5).known.any()
