"""Minuit as a witness: closed forms of covariances and intervals, and words where it fails."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from pipeline.calibrate.fit import fit
from pipeline.calibrate.methods import objective_of
from pipeline.calibrate.objective import Evaluation
from pipeline.calibrate.profile import cross_checked, profile
from pipeline.config.methods import Method
from pipeline.config.priors import Prior
from pipeline.errors import FitError, ModelRangeError
from pipeline.parameters import table
from tests.calibrate.gaussian import CORRELATION, NAMES, GaussianData, covariance, expected, nominal
from tests.calibrate.stand_in import ToyChamber, noisy


def at(values, names=NAMES):
    return dict(zip(names, map(float, values), strict=True))


def test_of_a_quadratic_hesse_is_the_covariance_and_minos_one_standard_deviation():
    objective = GaussianData(nominal(), covariance())
    found = profile(objective, at(nominal()), NAMES, expected(NAMES, covariance()))
    assert found.valid and found.complaints == ()
    np.testing.assert_allclose(found.moved, 0, atol=1e-6)
    standard = np.sqrt(np.diag(covariance()))
    # HESSE takes differences of the cost.
    np.testing.assert_allclose(found.covariance / np.outer(standard, standard), CORRELATION, rtol=2e-3, atol=2e-3)
    for k, name in enumerate(NAMES):
        np.testing.assert_allclose(found.intervals[name], nominal()[k] + standard[k] * np.array([-1, 1]), rtol=1e-5)
    assert found.evaluations == len(objective.asked)


def test_steps_have_the_size_of_the_expected_uncertainty():
    objective = GaussianData(nominal(), covariance())
    profile(objective, at(nominal()), NAMES, expected(NAMES, covariance()))
    reach = np.array([[values[n] for n in NAMES] for values in objective.asked]) - nominal()
    assert (np.abs(reach) / np.sqrt(np.diag(covariance()))).max() < 10


class Counted:
    """Minus log-likelihood of `n` counts with the mean `n value / nominal` (a skewed likelihood)."""

    def __init__(self, name, n):
        self.name, self.n, self.nominal = name, n, table()[name].nominal

    def cost(self, ratio):
        return self.n * (ratio - math.log(ratio))

    def evaluate(self, values, names):
        ratio = values[self.name] / self.nominal
        gradient = self.n * (1 - 1 / ratio) / self.nominal
        return Evaluation(self.cost(ratio), np.array([gradient]), None, {})


@pytest.mark.parametrize("name", ["birks_ab", "electron_lifetime"])
def test_the_interval_of_a_poisson_mean_is_where_the_likelihood_falls_by_a_half(name):
    # The lifetime is fitted as its inverse; an interval does not depend on that.
    objective = Counted(name, 9)
    value = table()[name].nominal
    found = profile(objective, {name: value}, (name,), expected((name,), np.array([[(value / 3) ** 2]])))
    assert found.valid
    rise = [brentq(lambda r: objective.cost(r) - objective.cost(1) - 0.5, *side) for side in ((0.1, 1), (1, 5))]
    # The published interval of 9 counts: -2.68, +3.34 (PDG, likelihood).
    np.testing.assert_allclose(9 * np.array(rise), [9 - 2.68, 9 + 3.34], atol=0.01)
    np.testing.assert_allclose(np.array(found.intervals[name]) / value, rise, rtol=1e-3)
    np.testing.assert_allclose(found.covariance, [[value**2 / 9]], rtol=2e-3)


def test_a_fit_that_was_not_at_its_minimum_is_told_so_and_corrected():
    standard = np.sqrt(np.diag(covariance()))
    objective = GaussianData(nominal() + [0, 0, 0.5, 0] * standard, covariance())
    found = profile(objective, at(nominal()), NAMES, expected(NAMES, covariance()))
    np.testing.assert_allclose(found.moved, [0, 0, 0.5, 0], atol=1e-3)
    np.testing.assert_allclose((found.values - objective.centre) / standard, 0, atol=1e-3)
    assert any("electric_field by +0.5" in text for text in found.complaints)
    assert found.valid  # the minimum that Minuit found is sound


class Saddle(GaussianData):
    """A cost that falls for ever in the field."""

    def evaluate(self, values, names):
        e = super().evaluate(values, names)
        k, away = NAMES.index("electric_field"), self.away(values)
        unit = 1 / self.covariance[k, k]
        gradient = e.gradient - 2 * unit * away * (np.arange(len(NAMES)) == k)
        return Evaluation(e.cost - unit * away[k] ** 2, gradient, None, {})


def test_a_saddle_has_no_covariance_and_no_intervals_but_words():
    found = profile(Saddle(nominal(), covariance()), at(nominal()), NAMES, expected(NAMES, covariance()))
    assert not found.valid
    assert found.intervals == {} and found.covariance is None
    assert "no valid minimum" in found.complaints[0] and "not positive definite" in found.complaints[0]
    assert "electric_field by" in found.complaints[1]


class Walled(GaussianData):
    """The model cannot go 0.6 standard deviations above the centre of k_B."""

    def evaluate(self, values, names):
        k = NAMES.index("birks_kb")
        if self.away(values)[k] > 0.6 * math.sqrt(self.covariance[k, k]):
            raise ModelRangeError(f"birks_kb = {values['birks_kb']:g} is out of range.")
        return super().evaluate(values, names)


def test_where_the_model_cannot_go_there_is_no_interval_but_a_sentence():
    found = profile(Walled(nominal(), covariance()), at(nominal()), NAMES, expected(NAMES, covariance()))
    assert not found.valid
    assert "birks_kb" not in found.intervals and "electric_field" in found.intervals
    assert any("birks_kb" in text and "out of range" in text for text in found.complaints)


def test_an_interval_that_a_physical_bound_cuts_is_left_out_with_words():
    name = "longitudinal_diffusion"
    value = table()[name].nominal
    spread = np.array([[(2 * value) ** 2]])  # half a standard deviation above zero
    found = profile(GaussianData(np.array([value]), spread, (name,)), {name: value}, (name,), expected((name,), spread))
    assert found.intervals == {} and not found.valid
    assert any("physical bound" in text for text in found.complaints)
    np.testing.assert_allclose(found.covariance, spread, rtol=0.01)


def test_without_an_expected_uncertainty_there_is_no_profile():
    objective = GaussianData(nominal(), covariance())
    for broken in (np.nan, 0.0):
        matrix = covariance()
        matrix[1, 1] = broken
        with pytest.raises(FitError, match="no uncertainty of birks_kb"):
            profile(objective, at(nominal()), NAMES, expected(NAMES, matrix))
    with pytest.raises(FitError, match="same names in the same order"):
        profile(objective, at(nominal()), NAMES, expected(NAMES[::-1], covariance()))


def test_the_cross_check_goes_beside_the_uncertainty():
    uncertainty = expected(NAMES, covariance())
    found = profile(GaussianData(nominal(), covariance()), at(nominal()), NAMES, uncertainty)
    checked = cross_checked(uncertainty, found)
    assert checked.covariance is uncertainty.covariance
    assert checked.others["Minuit HESSE"] is found.covariance
    assert checked.intervals == found.intervals


def test_a_fit_asks_minuit_where_its_method_says_so():
    chamber, free = ToyChamber(), ("birks_ab", "electric_field")
    data = noisy(chamber.observe({}), 3)
    prior = {"electric_field": Prior(value=0.5, uncertainty=1e-4)}
    method = Method(free=free, fair_scale=1e6, priors=prior, uncertainty={"minuit": True})
    result = fit(objective_of(method, chamber, data), method, "asked", target={}, seed=1, extra={}, noisy=True)
    found = result.uncertainty
    assert set(found.intervals) == set(free)
    # Least squares in units of the noise: HESSE is the inverse of the curvature, whatever the sandwich is.
    curvature = objective_of(method, chamber, data).evaluate({p.name: p.value for p in result.parameters}, free)
    expected = np.linalg.inv(curvature.curvature)
    np.testing.assert_allclose(found.others["Minuit HESSE"], expected, rtol=0.02, atol=1e-3 * np.abs(expected).min())
    for name, row in zip(free, expected, strict=True):
        low, high = found.intervals[name]
        assert (high - low) / 2 == pytest.approx(math.sqrt(row[free.index(name)]), rel=0.02)
    assert any("comes this share of the variance" in text for text in found.caveats)
