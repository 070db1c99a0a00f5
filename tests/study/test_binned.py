"""Errors of shares, ratios and quantiles against the scatter of repeated draws."""

import numpy as np
import pytest

from pipeline.study.binned import in_bins, jackknife, peak, quantile, ratio, root_mean_square, wilson


def test_shares_keep_their_interval_within_0_and_1():
    assert wilson(0, 5)[:2] == (0, 0) and wilson(0, 5)[2] == pytest.approx(1 / 6)
    assert wilson(5, 5)[0] == wilson(5, 5)[2] == 1 and wilson(5, 5)[1] == pytest.approx(5 / 6)
    share, low, high = wilson(300, 1000)
    assert share == 0.3 and (high - low) / 2 == pytest.approx(np.sqrt(0.3 * 0.7 / 1000), rel=0.01)


def test_errors_are_the_scatter_of_repeated_draws():
    """Rows of a group share a shift, as those of a track do, so that 400 rows are little more than 40."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(40), 10)
    drawn = [rng.normal(0, 1, 40)[group] + rng.normal(0, 0.3, 400) for _ in range(400)]
    means = [ratio(d + 10, np.ones(400), group) for d in drawn]
    squares = [root_mean_square(d, group) for d in drawn]
    medians = [quantile(d[::10]) for d in drawn]
    for found in (means, squares, medians):
        value, low, high = np.array(found).T
        assert (high - low).mean() / 2 == pytest.approx(value.std(), rel=0.15)


def test_exact_values():
    group = np.arange(4)
    assert ratio(np.array([1.0, 2, 3, 4]), np.array([2.0, 4, 6, 8]), group) == pytest.approx((0.5, 0.5, 0.5))
    assert root_mean_square(np.array([3.0, -3, 3, -3]), group) == pytest.approx((3, 3, 3))
    assert root_mean_square(np.zeros(4), group) == (0, 0, 0)


def test_bins_hold_their_lower_edge_and_the_last_its_upper():
    x = np.array([0.0, 0.5, 1.0, 1.0, 2.0, 2.1])
    bins = in_bins(x, np.array([0.0, 1.0, 2.0]), lambda r: (float(r.sum()), 0.0, 1.0), least=3)
    assert bins["count"] == [2, 3] and bins["value"] == [None, 3.0] and bins["edges"] == [0, 1, 2]


def test_the_peak_is_the_mode_of_a_skewed_distribution():
    """Of a gamma distribution of shape 5: mode 4, median 4.67, mean 5; to the half-width over which it is flat."""
    drawn = np.random.default_rng(3).gamma(5, 1, 200_000)
    assert peak(drawn) == pytest.approx(4, abs=0.15)
    assert peak(np.array([2.0, 2.0, 2.0, 7.0])) == 2
    assert peak(3 * drawn) == pytest.approx(3 * peak(drawn))


def test_the_jackknife_knows_the_scatter_of_groups():
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(60), 10)
    drawn = [rng.normal(0, 1, 60)[group] + rng.normal(0, 0.3, 600) for _ in range(200)]
    found = np.array([jackknife(lambda rows, x=x: float(x[rows].mean()), group) for x in drawn])
    assert np.mean(found[:, 2] - found[:, 0]) == pytest.approx(found[:, 0].std(), rel=0.15)
