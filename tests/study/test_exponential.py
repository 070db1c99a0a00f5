"""Centres of skewed distributions and the exponential through them are what they are and as uncertain as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pipeline.study.exponential import centres, fit_exponential, landau_gauss, landau_gauss_density

TIME = np.linspace(10, 180, 8)


def losses(rng: np.random.Generator, size: int, width: float = 0.07, smearing: float = 0.06) -> np.ndarray:
    """Landau's distribution with its peak at 1, smeared; SciPy's peak is at -0.4293, its width 2/pi of Landau's."""
    scale = width * np.pi / 2
    landau = stats.landau.rvs(loc=1 + 0.429314538 * scale, scale=scale, size=size, random_state=rng)
    return np.maximum(landau + smearing * rng.normal(size=size), 0.2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_exponential_through_gaussian_points_has_pulls_of_width_one(seed):
    rng = np.random.default_rng(seed)
    rate, pulls, squares = 1 / 2200, [], []
    for _ in range(200):
        true = 5e4 * np.exp(-rate * TIME)
        uncertainty = rng.uniform(0.005, 0.03, len(TIME)) * true
        found = fit_exponential(TIME, true + uncertainty * rng.normal(size=len(TIME)), uncertainty)
        pulls.append((found.rate - rate) / found.rate_uncertainty)
        squares.append(found.chi2)
    assert abs(np.mean(pulls)) < 3 / np.sqrt(200)
    assert abs(np.std(pulls) - 1) < 3 / np.sqrt(400)
    assert np.mean(squares) == pytest.approx(6, abs=3 * np.sqrt(12 / 200))


@pytest.mark.parametrize("tau", [300.0, 2200.0, -5000.0, np.inf])
def test_an_exact_exponential_comes_back_whatever_its_sign(tau):
    found = fit_exponential(TIME, 4e4 * np.exp(-TIME / tau), np.full(len(TIME), 100.0))
    assert found.rate == pytest.approx(1 / tau, abs=1e-15)
    assert found.log_amplitude == pytest.approx(np.log(4e4), rel=1e-13)
    assert found.degrees_of_freedom == 6


def test_the_density_is_landaus_where_nothing_smears_and_its_convolution_where_something_does():
    x = np.linspace(0.2, 4, 4001)
    landau = landau_gauss_density(x, 1.0, 0.1, 1e-5)
    scale = 0.1 * np.pi / 2
    np.testing.assert_allclose(landau, stats.landau.pdf(x, 1 + 0.429314538 * scale, scale), rtol=2e-3, atol=1e-4)
    assert x[landau.argmax()] == pytest.approx(1.0, abs=2e-3)
    # Landau (1944): the full width at half maximum is 4.018 xi.
    above = x[landau > landau.max() / 2]
    assert np.ptp(above) == pytest.approx(0.4018, abs=0.003)
    # The convolution by sums on a fine grid, at the largest ratio of widths that a fit may take.
    shift = np.linspace(-1.2, 1.2, 1201)
    scale = 0.2 / 6 * np.pi / 2
    parts = stats.landau.pdf(x[::200, None] - shift, 1 + 0.429314538 * scale, scale) * stats.norm.pdf(shift, 0, 0.2)
    expected = np.trapezoid(parts, shift)
    np.testing.assert_allclose(landau_gauss_density(x[::200], 1.0, 0.2 / 6, 0.2), expected, atol=3e-3 * expected.max())
    wide = np.linspace(-1, 200, 200_001)
    assert np.trapezoid(landau_gauss_density(wide, 1.0, 0.08, 0.1), wide) == pytest.approx(1, abs=2e-3)


def test_most_probable_values_are_unbiased_and_their_uncertainties_honest():
    rng = np.random.default_rng(5)
    factors = np.exp(-TIME / 2200)
    pulls, rates = [], []
    for _ in range(8):
        value, uncertainty = landau_gauss([5e4 * f * losses(rng, 60) for f in factors])
        pulls += list((value / factors - 5e4) / (uncertainty / factors))
        found = fit_exponential(TIME, value, uncertainty)
        rates.append((found.rate - 1 / 2200) / found.rate_uncertainty)
    # Groups of one set share their widths, so that their pulls are not independent: 8 sets of 8.
    assert abs(np.mean(pulls)) < 3 / np.sqrt(8)
    assert abs(np.std(pulls) - 1) < 3 / np.sqrt(2 * 64)
    assert abs(np.mean(rates)) < 3 / np.sqrt(8)


@pytest.mark.parametrize("estimator", ["truncated_mean", "median"])
def test_other_centres_scatter_as_they_say_and_scale_with_the_charge(estimator):
    rng = np.random.default_rng(8)
    groups = [losses(rng, 150) for _ in range(150)]
    value, uncertainty = centres(groups, estimator, (0.1, 0.7), np.random.default_rng(1))
    spread = value.std(ddof=1)
    assert np.sqrt((uncertainty**2).mean()) == pytest.approx(spread, rel=3 / np.sqrt(2 * 150))
    scaled, _ = centres([3 * g for g in groups], estimator, (0.1, 0.7), np.random.default_rng(1))
    np.testing.assert_allclose(scaled, 3 * value, rtol=1e-12)


def test_a_truncated_mean_keeps_the_shares_that_it_is_told():
    value, _ = centres([np.arange(1.0, 11.0)], "truncated_mean", (0.1, 0.7), np.random.default_rng(1))
    assert value[0] == pytest.approx(np.mean([2, 3, 4, 5, 6, 7]))
