"""External measurements: weighted means, correlations, and what rests on them alone."""

import numpy as np
import pytest

from pipeline.calibrate.priors import (
    InformedWithPriors,
    Measurements,
    WeightedWithPriors,
    WithPriors,
    prior_caveats,
    prior_share,
    remarks_on_priors,
    with_priors,
)
from pipeline.config.methods import Method
from pipeline.config.priors import Prior
from pipeline.errors import ConfigError, FitError
from tests.calibrate.gaussian import NAMES, GaussianData, covariance, nominal
from tests.calibrate.stand_in import ToyChamber, noisy

PAIR = ("birks_kb", "electric_field")


def measured(rho=0.6):
    """k_B to 2 % and E to 0.05 %, correlated, away from the nominal values."""
    standard = np.array([0.02, 0.0005]) * nominal(PAIR)
    spread = np.array([[1, rho], [rho, 1]]) * np.outer(standard, standard)
    return Measurements(PAIR, nominal(PAIR) + [1.5, -0.7] * standard, spread)


def combined():
    """Best linear estimate from data and measurements, by the gain of a Kalman filter: no inverse of the covariance."""
    prior, spread = measured(), covariance()
    place = np.array([[name == n for n in NAMES] for name in PAIR], dtype=float)
    gain = spread @ place.T @ np.linalg.inv(place @ spread @ place.T + prior.covariance)
    return nominal() + gain @ (prior.values - place @ nominal()), spread - gain @ place @ spread


def at(values, names=NAMES):
    return dict(zip(names, map(float, values), strict=True))


def informed():
    return InformedWithPriors(GaussianData(nominal(), covariance()), measured())


def test_data_and_measurements_combine_to_their_weighted_mean():
    mean, spread = combined()
    e = informed().evaluate(at(nominal() * 1.01), NAMES)
    step = np.linalg.solve(e.curvature, -e.gradient)
    np.testing.assert_allclose(nominal() * 1.01 + step, mean, rtol=1e-10)
    np.testing.assert_allclose(np.linalg.inv(e.curvature), spread, rtol=1e-7, atol=1e-12 * spread.max())
    np.testing.assert_allclose(informed().information(at(mean), NAMES), e.curvature, rtol=1e-12)


def test_of_one_parameter_it_is_the_textbook_mean():
    data = GaussianData(np.array([0.51]), np.array([[0.02**2]]), ("electric_field",))
    prior = Measurements(("electric_field",), np.array([0.5]), np.array([[0.01**2]]))
    e = WithPriors(data, prior).evaluate({"electric_field": 0.4}, ("electric_field",))
    assert 0.4 - e.gradient[0] / e.curvature[0, 0] == pytest.approx((0.51 / 4 + 0.5) / (1 / 4 + 1))


def test_the_gradient_is_that_of_the_cost():
    objective, x = informed(), nominal() * [1.02, 0.95, 1.001, 1.1]
    e = objective.evaluate(at(x), NAMES)
    for k in range(len(NAMES)):
        h = 1e-4 * x[k]
        up, down = (objective.evaluate(at(x + s * h * np.eye(4)[k]), NAMES).cost for s in (1, -1))
        assert (up - down) / (2 * h) == pytest.approx(e.gradient[k], rel=1e-6)


def test_a_measured_parameter_that_is_held_still_pulls_its_partner():
    # Given k_B, the correlated measurement of E is the conditional one.
    prior = measured()
    held = float(prior.values[0] + np.sqrt(prior.covariance[0, 0]))
    data = GaussianData(nominal(("electric_field",)), np.array([[1e6]]), ("electric_field",))
    values = {"birks_kb": held, "electric_field": 0.5}
    e = WithPriors(data, prior).evaluate(values, ("electric_field",))
    conditional = prior.values[1] + prior.covariance[0, 1] / prior.covariance[0, 0] * (held - prior.values[0])
    spread = prior.covariance[1, 1] - prior.covariance[0, 1] ** 2 / prior.covariance[0, 0]
    assert 0.5 - e.gradient[0] / e.curvature[0, 0] == pytest.approx(conditional)
    assert 1 / e.curvature[0, 0] == pytest.approx(spread)


def test_costs_seen_from_elsewhere_hold_the_same_prior():
    chamber = ToyChamber(softness=0.002)
    data = noisy(chamber.observe({}), 1)
    priors = {"electric_field": Prior(value=0.49, uncertainty=0.001)}
    method = Method(free=("birks_ab", "electric_field"), priors=priors)
    from pipeline.calibrate.methods import objective_of

    alone = objective_of(method.model_copy(update={"priors": {}}), chamber, data)
    both = objective_of(method, chamber, data)
    points = [{"electric_field": 0.5}, {"electric_field": 0.505}]
    (a, b), (c, d) = ([o.evaluate(p, method.free) for p in points] for o in (alone, both))
    assert d.cost - b.cost == pytest.approx(0.5 * 15**2)
    assert d.cost_seen_from(c) - b.cost_seen_from(a) == pytest.approx(0.5 * 15**2)


def test_a_fit_takes_the_priors_of_its_method():
    from pipeline.calibrate.fit import fit
    from pipeline.calibrate.methods import objective_of

    chamber = ToyChamber()
    data = noisy(chamber.observe({}), 2)
    free = ("birks_ab", "birks_kb")
    tight = {"birks_kb": Prior(value=0.05, uncertainty=1e-6)}
    method = Method(free=free, priors=tight)
    result = fit(objective_of(method, chamber, data), method, "with", target={}, seed=1, extra={})
    assert {p.name: p.value for p in result.parameters}["birks_kb"] == pytest.approx(0.05, abs=1e-6)


def test_outer_products_of_scores_hold_the_information_of_the_priors():
    mean, _ = combined()
    weighted = Weighted(GaussianData(nominal(), covariance()))
    scores, from_data = (o.scores(at(mean), NAMES) for o in (WeightedWithPriors(weighted, measured()), weighted))
    information = measured().information(NAMES)
    np.testing.assert_allclose(
        scores.T @ scores - from_data.T @ from_data, information, rtol=1e-7, atol=1e-9 * information.max()
    )


def test_what_an_objective_knows_stays_known():
    priors = {"electric_field": Prior(value=0.5, uncertainty=0.001)}
    data = GaussianData(nominal(), covariance())
    assert with_priors(data, {}) is data
    assert hasattr(with_priors(data, priors), "information")

    class Loss:
        def evaluate(self, values, names):
            return data.evaluate(values, names)

    assert not hasattr(with_priors(Loss(), priors), "information")
    assert not hasattr(with_priors(Loss(), priors), "scores")


def test_the_share_of_a_prior_is_its_weight_in_the_mean():
    share = prior_share(np.array([[4.0]]), np.array([[12.0]]))
    np.testing.assert_allclose(share, [0.75])


def test_shares_are_those_of_the_variance_of_simulated_estimates():
    data, prior = np.linalg.inv(covariance()), measured().information(NAMES)
    spread = np.linalg.inv(data + prior)
    rng = np.random.default_rng(3)
    # Only the measurements fluctuate: estimates move by C P_prior (measured - true).
    place = np.array([[name == n for n in NAMES] for name in PAIR], dtype=float)
    thrown = rng.multivariate_normal(np.zeros(2), measured().covariance, 40_000)
    moved = thrown @ measured().precision @ place @ spread
    np.testing.assert_allclose(prior_share(data, prior), moved.var(axis=0) / np.diag(spread), rtol=0.03, atol=1e-4)
    # Units are a matter of taste.
    unit = np.array([1e3, 1e-4, 1.0, 7.0])
    rescaled = prior_share(data * np.outer(unit, unit), prior * np.outer(unit, unit))
    np.testing.assert_allclose(rescaled, prior_share(data, prior), rtol=1e-8)


def test_data_that_say_nothing_leave_all_to_the_prior():
    nothing = np.diag([0.0, 1.0])
    prior = np.diag([2.0, 0.0])
    np.testing.assert_allclose(prior_share(nothing, prior), [1, 0], atol=1e-12)
    with pytest.raises(FitError, match="neither data nor priors"):
        prior_share(np.diag([0.0, 1.0]), np.zeros((2, 2)))
    with pytest.raises(FitError, match="do not determine"):
        prior_share(np.ones((2, 2)), np.zeros((2, 2)))


def test_directions_that_rest_on_priors_alone_are_named():
    names = ("birks_ab", "birks_kb", "electric_field")
    # Muons: A_B and k_B do the same; k_B is measured elsewhere.
    rho = 0.9999
    data = np.array([[1, rho, 0], [rho, 1, 0], [0, 0, 1.0]])
    weak = prior_caveats(names, data, np.diag([0, 1e-7, 0]))
    assert weak == ()
    strong = prior_caveats(names, data, np.diag([0, 0.02, 0]))
    assert len(strong) == 2
    assert "birks_ab and birks_kb moved together" in strong[0] or "birks_kb and birks_ab moved together" in strong[0]
    assert strong[1].startswith("The weakest direction of the fit") and "electric_field" not in strong[1]
    # A prior on what the data know well is no matter, nor is one on a strong direction alone the weakest.
    assert prior_caveats(names, data, np.diag([0, 0, 0.1])) == ()
    alone = prior_caveats(("electric_field", "density"), np.diag([1.0, 1e-3]), np.diag([0, 1.0]))
    assert len(alone) >= 1 and alone[0].startswith("99.9% of what is known of density")


def test_a_fit_tells_what_of_it_comes_from_its_priors():
    data = GaussianData(np.array([0.5]), np.array([[0.02**2]]), ("electric_field",))
    at_nominal, names = {"electric_field": 0.5}, ("electric_field",)

    def told(uncertainty):
        prior = {"electric_field": Prior(value=0.5, uncertainty=uncertainty)}
        return remarks_on_priors(with_priors(data, prior), at_nominal, names)

    assert told(0.02) == ("From the priors, not from the data, comes this share of the variance: electric_field 50%.",)
    assert told(0.5) == ("The priors add nothing to what the data know (less than 0.5 % of every variance).",)
    assert "electric_field 99%" in told(0.002)[0] and "rests on the priors alone" in told(0.002)[-1]
    assert remarks_on_priors(data, at_nominal, names) == ()


class Weighted:
    """Least squares with weights that are twice those of the noise."""

    def __init__(self, data):
        self.data, self.evaluate = data, data.evaluate

    def scores(self, values, names):
        return self.data.scores(values, names) * 2

    def sensitivity(self, values, names):
        return self.data.information(values, names) * 2


def test_a_sandwich_that_rests_on_a_prior_is_as_wide_as_the_prior():
    # At the value of the prior its own score is zero; its variance is not.
    data = Weighted(GaussianData(np.array([0.5]), np.array([[1e6]]), ("electric_field",)))
    objective = with_priors(data, {"electric_field": Prior(value=0.5, uncertainty=0.01)})
    at_nominal, names = {"electric_field": 0.5}, ("electric_field",)
    scores, bread = objective.scores(at_nominal, names), objective.sensitivity(at_nominal, names)
    assert (scores.T @ scores / bread**2).item() == pytest.approx(0.01**2)


def test_a_covariance_that_is_none_is_refused():
    broken = Measurements(PAIR, np.ones(2), np.ones((2, 2)))
    with pytest.raises(FitError, match="not positive definite"):
        broken.evaluate({}, NAMES)


def prior(value=0.5, uncertainty=0.001, **correlation):
    return {"value": value, "uncertainty": uncertainty, "correlation": correlation}


def test_correlations_may_stand_at_either_or_both():
    kb = {"value": 0.05, "uncertainty": 0.001}
    once = Method(priors={"electric_field": prior(birks_kb=0.5), "birks_kb": kb})
    twice = Method(
        priors={
            "electric_field": prior(birks_kb=0.5),
            "birks_kb": {**kb, "correlation": once.priors["electric_field"].correlation and {"electric_field": 0.5}},
        }
    )
    for method in (once, twice):
        made = Measurements.of(method.priors)
        assert made.names == ("electric_field", "birks_kb")
        np.testing.assert_allclose(made.covariance, [[1e-6, 5e-7], [5e-7, 1e-6]])


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        ({"electric_feld": prior()}, "did you mean 'electric_field'"),
        ({"electric_field": prior(-0.5)}, "not physical"),
        ({"electron_lifetime": prior(float("inf"), 1.0)}, "was not measured"),
        ({"density": prior(1.4)}, "density is not fitted"),
        ({"electric_field": prior(birks_kb=0.5)}, "birks_kb is not another measured parameter"),
        ({"electric_field": prior(electric_field=0.5)}, "not another measured parameter"),
        ({"electric_field": prior(birks_kb=0.5), "birks_kb": prior(electric_field=0.4)}, "as 0.5 and as 0.4"),
        ({"electric_field": prior(uncertainty=0.0)}, "greater than 0"),
        (
            {
                "electric_field": prior(birks_kb=0.9, birks_ab=0.9),
                "birks_kb": prior(0.05, birks_ab=-0.9),
                "birks_ab": prior(0.8),
            },
            "no measurements can have these correlations",
        ),
    ],
)
def test_measurements_that_cannot_be_are_refused(priors, words):
    with pytest.raises((ValueError, ConfigError), match=words):
        Method(priors=priors)


@pytest.mark.parametrize("changes", [{"objective": "soft_dtw", "optimiser": "adam"}, {"optimiser": "adam"}])
def test_priors_need_an_objective_they_can_be_added_to(changes):
    with pytest.raises(ValueError, match="priors need an objective in units of the noise"):
        Method(priors={"electric_field": prior()}, **changes)
