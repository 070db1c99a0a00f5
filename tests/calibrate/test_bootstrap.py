"""Spread of fits to simulated data, where the answer is known."""

import numpy as np
import pytest

from pipeline.calibrate.bootstrap import bootstrap, draw_seed
from pipeline.calibrate.priors import Measurements, measured_again
from pipeline.config.priors import Prior
from pipeline.errors import FitError

DESIGN = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 4.0], [1.0, 7.0]])
NOISE = np.array([0.3, 0.5, 0.2, 0.4, 0.6])
AROUND = np.array([2.0, -1.0])


def straight_line(seed):
    """Least squares with weights of data around a line."""
    data = DESIGN @ AROUND + NOISE * np.random.default_rng(seed).standard_normal(len(NOISE))
    return np.linalg.lstsq(DESIGN / NOISE[:, None], data / NOISE, rcond=None)[0]


def covariance():
    return np.linalg.inv(DESIGN.T / NOISE**2 @ DESIGN)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_spread_of_a_linear_gaussian_fit_is_its_covariance(seed):
    draws = 800
    found = bootstrap(straight_line, AROUND, draws, seed)
    truth, n = covariance(), draws - 1
    # Variance of an element of a Wishart matrix.
    error = np.sqrt((truth**2 + np.outer(np.diag(truth), np.diag(truth))) / n)
    assert (np.abs(found.covariance - truth) < 3.5 * error).all()
    assert (np.abs(found.standard - np.sqrt(np.diag(truth))) < 3.5 * found.standard_error).all()
    assert (np.abs(found.bias) < 3.5 * found.bias_error).all()
    half = np.diff(found.interval, axis=1)[:, 0] / 2
    np.testing.assert_allclose(half, np.sqrt(np.diag(truth)), rtol=0.15)


def test_a_bias_is_found_and_failures_are_counted():
    def wrong(seed):
        return None if seed % 4 == 0 else straight_line(seed) + np.array([0.5, 0.0])

    found = bootstrap(wrong, AROUND, 200, 5)
    expected = sum(draw_seed(5, i) % 4 == 0 for i in range(200))
    assert 0 < expected == found.failed == 200 - len(found.values)
    assert found.bias[0] == pytest.approx(0.5, abs=4 * found.bias_error[0])
    assert abs(found.bias[1]) < 4 * found.bias_error[1]


def test_the_same_seed_gives_the_same_numbers_and_more_draws_keep_the_first():
    few, again, many = (bootstrap(straight_line, AROUND, n, 3) for n in (10, 10, 20))
    np.testing.assert_array_equal(few.values, again.values)
    np.testing.assert_array_equal(few.values, many.values[:10])
    assert not np.array_equal(few.values, bootstrap(straight_line, AROUND, 10, 4).values)
    assert len({draw_seed(s, i) for s in range(20) for i in range(50)}) == 1000


def test_hardly_any_fit_is_no_spread():
    with pytest.raises(FitError, match="only 0 of 20 fits converged"):
        bootstrap(lambda seed: None, AROUND, 20, 1)


def test_measurements_are_repeated_with_their_covariance():
    priors = {
        "electric_field": Prior(value=0.51, uncertainty=0.001, correlation={"birks_kb": -0.7}),
        "birks_kb": Prior(value=0.05, uncertainty=0.002),
    }
    truth = {"electric_field": 0.5, "birks_kb": 0.0486, "birks_ab": 0.8}
    thrown = [measured_again(priors, truth, seed) for seed in range(2000)]
    values = np.array([[again[name].value for name in priors] for again in thrown])
    expected = Measurements.of(priors).covariance
    error = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / 1999)
    assert (np.abs(np.cov(values, rowvar=False) - expected) < 3.5 * error).all()
    standard = np.sqrt(np.diag(expected))
    np.testing.assert_allclose((values.mean(axis=0) - [0.5, 0.0486]) / standard, 0, atol=3.5 / np.sqrt(2000))
    assert thrown[0]["birks_kb"].uncertainty == 0.002
    assert measured_again({}, truth, 1) == {}
