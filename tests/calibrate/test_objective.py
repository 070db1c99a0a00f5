"""The objective against its definition and against differences of itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.calibrate.objective import MatchedResiduals
from pipeline.parameters import nominal_values

from .stand_in import ToyChamber, noisy

NAMES = ("birks_ab", "birks_kb", "electric_field", "electron_lifetime")
POINT = {"birks_ab": 0.83, "birks_kb": 0.05, "electric_field": 0.51, "electron_lifetime": 1500.0}
SCALES = np.array([2.0, 0.1])


def objective(model=None, *, fair_scale=3.0, noise=0.0, seed=1, charge=4.0):
    model = model or ToyChamber()
    return MatchedResiduals(model, noisy(model.observe({}), seed, charge), SCALES, fair_scale, noise)


@pytest.mark.parametrize("fair_scale", [0.5, 3.0, 100.0])
def test_gradient_is_the_derivative_of_the_cost(fair_scale):
    o = objective(fair_scale=fair_scale)
    gradient = o.evaluate(POINT, NAMES).gradient
    for name, found in zip(NAMES, gradient):
        step = 1e-5 * POINT[name]
        up, down = (o.evaluate({**POINT, name: POINT[name] + s}, NAMES).cost for s in (step, -step))
        assert (up - down) / (2 * step) == pytest.approx(found, rel=1e-6)


def test_curvature_is_that_of_the_cost_where_the_model_is_linear_and_the_residuals_small():
    """Charge is linear in A_B; far below the Fair scale the cost is half the sum of squares."""
    o = objective(fair_scale=1e7)
    found = o.evaluate(POINT, ("birks_ab",))
    step = 1e-3
    low, middle, high = (o.evaluate({**POINT, "birks_ab": POINT["birks_ab"] + s}, ()).cost for s in (-step, 0, step))
    assert (high - 2 * middle + low) / step**2 == pytest.approx(found.curvature[0, 0], rel=1e-6)


def test_curvature_is_the_sum_over_residuals_of_weighted_outer_products():
    o = objective()
    at = o.model.linearise(POINT, NAMES)
    expected = np.zeros((4, 4))
    for row in range(len(at.observables)):
        for value in range(2):
            r = (at.observables.values[row, value] - o.data.values[row, value]) / SCALES[value]
            j = at.jacobian[row, value] / SCALES[value]
            expected += np.outer(j, j) / (1 + abs(r) / o.fair_scale)
    found = o.evaluate(POINT, NAMES).curvature
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.linalg.eigvalsh(found / np.sqrt(np.outer(np.diag(found), np.diag(found)))).min() > 0


def test_cost_is_half_the_sum_of_squares_for_small_residuals_and_linear_for_large():
    """Fair, 1974: c^2 (|r|/c - ln(1 + |r|/c)) is r^2/2 far below c and c |r| far above."""
    model = ToyChamber(hits=1)
    data = model.observe({})

    def cost(residual, c):
        moved = replace(data, values=data.values - SCALES * [residual, 0.0])
        return MatchedResiduals(model, moved, SCALES, c, 0.0).evaluate({}, ()).cost

    assert cost(1.0, 1e5) == pytest.approx(0.5, rel=1e-4)
    assert cost(1e6, 1.0) == pytest.approx(1e6, rel=1e-4)
    assert cost(-3.0, 2.0) == pytest.approx(cost(3.0, 2.0), rel=1e-12)


def test_units_are_the_configured_scales():
    """Charges in counts and times in us: at twice the unit, a quarter of the cost."""
    model = ToyChamber()
    data = noisy(model.observe({}), 1)
    costs = [MatchedResiduals(model, data, s * SCALES, 1e9, 0.0).evaluate({}, ()).cost for s in (1, 2)]
    assert costs[0] == pytest.approx(4 * costs[1], rel=1e-6)


def test_noise_on_the_threshold_widens_the_units_in_quadrature():
    """3 counts of unit and 4 counts of softness times noise are 5 counts."""
    model = ToyChamber(softness=0.004)
    data = noisy(model.observe({}), 1)
    soft = MatchedResiduals(model, data, np.array([3.0, 3.0]), 20.0, 1000.0).evaluate(POINT, NAMES)
    plain = MatchedResiduals(model, data, np.array([5.0, 5.0]), 20.0, 0.0).evaluate(POINT, NAMES)
    assert soft.cost == pytest.approx(plain.cost, rel=1e-12)
    np.testing.assert_allclose(soft.gradient, plain.gradient, rtol=1e-12)
    np.testing.assert_allclose(soft.curvature, plain.curvature, rtol=1e-12)


def test_a_lost_partner_costs_as_much_as_residuals_of_the_fair_scale():
    model = ToyChamber()
    data = model.observe({})
    without = replace(data, valid=np.arange(len(data)) != 3)
    alone = MatchedResiduals(model, without, SCALES, 3.0, 0.0).evaluate({}, ())
    off = data.values.copy()
    off[3] += 3.0 * SCALES
    astray = MatchedResiduals(model, replace(data, values=off), SCALES, 3.0, 0.0).evaluate({}, ())
    assert alone.cost == pytest.approx(astray.cost, rel=1e-12)
    assert alone.counts == {"matched": 59, "unmatched_model": 1, "unmatched_data": 0}


def test_hits_that_vanish_from_the_model_are_counted_on_the_data_side():
    counts = MatchedResiduals(
        ToyChamber(threshold=60.0), ToyChamber().observe({}), SCALES, 3.0, 0.0
    ).evaluate({}, ("birks_ab",)).counts  # fmt: skip
    seen = int((ToyChamber().formula(nominal_values())[:, 0] >= 60).sum())
    assert 0 < seen < 60
    assert counts == {"matched": seen, "unmatched_model": 0, "unmatched_data": 60 - seen}


def test_everything_is_zero_at_the_truth():
    model = ToyChamber()
    at_truth = MatchedResiduals(model, model.observe(POINT), SCALES, 3.0, 0.0).evaluate(POINT, NAMES)
    assert at_truth.cost == 0
    assert not at_truth.gradient.any()


def test_without_any_pair_the_cost_is_that_of_the_lost_and_nothing_pulls():
    model = ToyChamber()
    data = replace(model.observe({}), event=model.event + 100)
    found = MatchedResiduals(model, data, SCALES, 1.0, 0.0).evaluate({}, NAMES)
    assert found.cost == pytest.approx(120 * 2 * (1 - np.log(2)))
    assert not found.gradient.any() and not found.curvature.any()


def test_noise_at_resets_widens_the_units_in_quadrature():
    """3 counts of unit, 4 of softness and 12 of what resets do are 13 counts."""
    model = ToyChamber(softness=0.004, reset=0.012)
    data = noisy(model.observe({}), 1)
    soft = MatchedResiduals(model, data, np.array([3.0, 3.0]), 20.0, 1000.0, reset_noise=1000.0).evaluate(POINT, NAMES)
    plain = MatchedResiduals(model, data, np.array([13.0, 13.0]), 20.0, 0.0).evaluate(POINT, NAMES)
    assert soft.cost == pytest.approx(plain.cost, rel=1e-12)
    assert soft.chi2 == pytest.approx(plain.chi2, rel=1e-12)


def test_scores_are_those_of_pixels_and_add_up_to_minus_the_gradient():
    """Taking a pixel out of the data takes its score out of the sum."""
    o = objective()
    scores, gradient = o.scores(POINT, NAMES), o.evaluate(POINT, NAMES).gradient
    assert scores.shape == (30, 4)  # 60 hits, two in each pixel of each event
    np.testing.assert_allclose(scores.sum(axis=0), -gradient, rtol=1e-10)
    first = (o.data.event == o.data.event[0]) & (o.data.channel == o.data.channel[0])
    assert first.sum() == 2
    without = replace(o, data=replace(o.data, valid=~first)).evaluate(POINT, NAMES).gradient
    np.testing.assert_allclose(scores[0], without - gradient, rtol=1e-8)


def test_sensitivity_is_the_mean_derivative_of_the_gradient():
    """Residuals are as often positive as negative, so that the curvature of the model averages to nothing."""
    model, name = ToyChamber(hits=400), "electric_field"
    model.event = np.arange(400) // 20
    differences, expected = [], []
    for seed in range(200):
        o = MatchedResiduals(model, noisy(model.observe({}), seed), np.array([1.0, 0.1]), 2.0, 0.0)
        step = 1e-6
        up, down = (o.evaluate({name: 0.5 + s}, (name,)).gradient[0] for s in (step, -step))
        differences.append((up - down) / (2 * step))
        expected.append(o.sensitivity({}, (name,))[0, 0])
    apart = np.array(differences) / np.array(expected) - 1
    assert abs(apart.mean()) < 3 * apart.std() / np.sqrt(200)
    assert np.mean(expected) < 0.85 * o.evaluate({}, (name,)).curvature[0, 0]


def test_chi2_is_the_plain_sum_of_squares():
    o = objective(fair_scale=0.5)
    found = o.evaluate(POINT, NAMES)
    r = (o.model.observe(POINT).values - o.data.values) / SCALES
    assert found.chi2 == pytest.approx((r**2).sum(), rel=1e-12) and found.residuals == 120
