"""Uncertainties against closed forms, against the spread of many fits, and where there is none to be given."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.calibrate.objective import MatchedResiduals
from pipeline.calibrate.uncertainty import from_information, from_scores, of_fit, sandwich
from pipeline.config.methods import Uncertainty as Settings
from pipeline.parameters import nominal_values

from .linear import linear, parameters
from .stand_in import ToyChamber, noisy

FOUR = ("birks_ab", "birks_kb", "electric_field", "electron_lifetime")
EPS = float(np.finfo(float).eps)


def random_information(size: int, seed: int) -> np.ndarray:
    """A positive matrix whose rows differ by many orders of magnitude."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(3 * size, size)) * 10.0 ** rng.uniform(-3, 4, size)
    return root.T @ root


@pytest.mark.parametrize("seed", range(3))
def test_covariance_of_a_linear_gaussian_model_is_the_closed_form(seed):
    """(D^T D)^-1 in the coordinates of the fit; d tau / d x = - tau^2 / nominal by the delta rule."""
    model = linear(*FOUR, seed=seed)
    values = {"birks_ab": 0.83, "birks_kb": 0.06, "electric_field": 0.49, "electron_lifetime": 900.0}
    found = of_fit(model, parameters(*FOUR), values, Settings(), rounding=EPS)
    nominal = nominal_values()
    rule = [nominal["birks_ab"], nominal["birks_kb"], nominal["electric_field"], -(900.0**2) / 2200.0]
    expected = np.linalg.inv(model.design.T @ model.design) * np.outer(rule, rule)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-10)
    np.testing.assert_allclose(found.standard, np.sqrt(np.diag(expected)), rtol=1e-10)
    assert (found.kind, found.names, found.caveats) == ("expected information", FOUR, ())
    # Half a chi2 in the very coordinates of the fit has the same second derivatives wherever one looks.
    assert set(found.others) == {"observed information"}
    np.testing.assert_allclose(found.others["observed information"], expected, rtol=1e-8)


def test_uncertainty_of_a_lifetime_is_that_of_the_spread_of_its_estimates():
    """1000 draws: the spread of tau is sigma(1/tau) tau^2 / nominal to 3 standard errors of a spread."""
    model, rng = linear("electron_lifetime", scale=10.0), np.random.default_rng(5)
    found = of_fit(model, parameters("electron_lifetime"), {"electron_lifetime": 2200.0}, Settings(), rounding=EPS)
    drawn = []
    for _ in range(1000):
        model.data = model.design @ np.ones(1) + rng.normal(size=len(model.data))
        drawn.append(model.best()["electron_lifetime"])
    assert np.std(drawn) == pytest.approx(found.standard[0], rel=3 / np.sqrt(2000))


@pytest.mark.parametrize("seed", range(5))
def test_units_do_not_matter(seed):
    """The matrix with unit diagonal, its eigenvalues and the correlation are the same in any units."""
    information, names = random_information(3, seed), parameters(*FOUR[:3])
    values = {p.name: p.nominal for p in names}
    factor = np.array([1e-6, 1.0, 1e9])
    one = from_information(information, names, values)
    other = from_information(information * np.outer(factor, factor), names, values)
    np.testing.assert_allclose(one.correlation, other.correlation, rtol=1e-9)
    np.testing.assert_allclose(one.eigenvalues, other.eigenvalues, rtol=1e-9)
    np.testing.assert_allclose(one.standard, other.standard * factor, rtol=1e-9)
    assert one.eigenvalues.sum() == pytest.approx(3.0)


def test_what_only_enters_as_a_product_has_no_uncertainty_and_the_rest_keeps_its_own():
    model = linear(*FOUR)
    model.design[:, 1] = -0.4 * model.design[:, 0]
    values = {n: nominal_values()[n] for n in FOUR}
    found = of_fit(model, parameters(*FOUR), values, Settings(), rounding=EPS)
    assert np.isnan(found.covariance[:2]).all() and np.isnan(found.covariance[:, :2]).all()
    assert found.caveats == ("birks_ab and birks_kb cannot be determined from these data separately; fix one of them.",)
    held = model.design[:, [0, 2, 3]]
    expected = np.sqrt(np.diag(np.linalg.inv(held.T @ held)))[1:]
    relative = found.standard[2:] / [values["electric_field"], values["electron_lifetime"]]
    np.testing.assert_allclose(relative, expected, rtol=1e-8)
    assert found.directions[0] == (
        "A_B and k_B cannot be told apart: raising A_B by 4 % and k_B by 10 % together changes nothing in the fit."
    )
    assert found.condition_number > 1e13


def test_a_parameter_without_information_is_named_and_has_none():
    information = np.diag([100.0, 0.0, 400.0])
    found = from_information(
        information, parameters(*FOUR[:3]), {"birks_ab": 0.8, "birks_kb": 0.05, "electric_field": 0.5}
    )
    np.testing.assert_allclose(found.standard, [0.08, np.nan, 0.025])
    assert found.caveats == (
        "birks_kb cannot be determined from these data at all; take it out of the free parameters.",
    )
    assert found.condition_number == np.inf


@pytest.mark.parametrize(
    ("information", "why"),
    [
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "The information is not positive (smallest eigenvalue -1 with"),
        (np.diag([-1.0, 1.0]), "The information is not positive (smallest eigenvalue -1 with"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "The information is not a finite number"),
        (np.array([[np.inf, 0.0], [0.0, 1.0]]), "The information is not a finite number"),
    ],
)
def test_what_is_no_information_gives_no_uncertainty(information, why):
    found = from_information(information, parameters(*FOUR[:2]), {"birks_ab": 0.8, "birks_kb": 0.05})
    assert np.isnan(found.covariance).all() and np.isnan(found.standard).all()
    assert found.caveats[0].startswith(why) and found.directions == ()


def test_an_inverse_that_is_hardly_known_has_an_interval_in_words():
    """sigma = 0.5 in 2200 / tau at 1: 2200 / 1.5 to 2200 / 0.5; at sigma = 2 there is no upper end."""
    lifetime, at = parameters("electron_lifetime"), {"electron_lifetime": 2200.0}
    [said] = from_information(np.array([[4.0]]), lifetime, at).caveats
    assert said.endswith("its 68 % interval is 1467 to 4400 us.")
    [said] = from_information(np.array([[0.25]]), lifetime, at).caveats
    assert said.endswith("its 68 % interval is 733.3 to infinity us.")
    assert from_information(np.array([[200.0]]), lifetime, at).caveats == ()


def test_sandwich_of_weighted_least_squares_is_the_closed_form():
    """Noise correlated within groups of two rows, weights that ignore it: (D^T W D)^-1 D^T W S W D (D^T W D)^-1."""
    rng = np.random.default_rng(3)
    design, weight = rng.normal(size=(40, 3)), np.diag(rng.uniform(0.2, 3, 40))
    blocks = np.zeros((40, 40))
    for i in range(0, 40, 2):
        blocks[i : i + 2, i : i + 2] = np.linalg.cholesky([[4.0, 1.5], [1.5, 1.0]])
    bread = design.T @ weight @ design
    meat = design.T @ weight @ blocks @ blocks.T @ weight @ design
    expected = np.linalg.inv(bread) @ meat @ np.linalg.inv(bread)
    # Rows whose outer products add up to the expectation of those of the scores.
    found = sandwich(bread, blocks.T @ weight @ design)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    whole = from_scores(bread, blocks.T @ weight @ design, parameters(*FOUR[:3]), nominal_values())
    slope = [nominal_values()[n] for n in FOUR[:3]]
    np.testing.assert_allclose(whole.covariance, expected * np.outer(slope, slope), rtol=1e-10)
    godambe = np.linalg.inv(expected)
    unit = godambe / np.sqrt(np.outer(np.diag(godambe), np.diag(godambe)))
    np.testing.assert_allclose(whole.eigenvalues, np.linalg.eigvalsh(unit), rtol=1e-9)


def test_sandwich_with_the_weights_of_the_likelihood_is_the_inverse_information():
    """White, 1982: where the scores have the information as their covariance the two agree; 20,000 groups, 3 sigma."""
    model = linear(*FOUR[:2], rows=20_000, scale=0.1)
    at, names = {n: nominal_values()[n] for n in FOUR[:2]}, FOUR[:2]
    information = model.information(at, names)
    found = sandwich(information, model.scores(at, names))
    np.testing.assert_allclose(np.diag(found), np.diag(np.linalg.inv(information)), rtol=3 * np.sqrt(2 / 20_000))


def test_too_few_groups_give_no_uncertainty():
    scores = np.random.default_rng(1).normal(size=(2, 3))
    found = from_scores(np.eye(3), scores, parameters(*FOUR[:3]), nominal_values())
    assert np.isnan(found.covariance).all()
    assert found.caveats == ("2 independent groups of data are too few for the uncertainty of 3 parameters.",)


def test_sandwich_on_a_bread_that_is_singular():
    bread, scores = np.diag([1.0, 0.0]), np.random.default_rng(1).normal(size=(50, 2))
    found = from_scores(bread, scores, parameters(*FOUR[:2]), nominal_values())
    assert found.standard[0] == pytest.approx(0.8 * np.sqrt((scores[:, 0] ** 2).sum()))
    assert np.isnan(found.standard[1]) and "birks_kb cannot be determined" in found.caveats[0]


def correlated(model: ToyChamber, truth: dict[str, float], rng: np.random.Generator):
    """Data whose noise is twice the units, and the same in charge and time for all hits of a pixel but for a third."""
    data = model.observe(truth)
    pixel = np.unique(np.stack([data.event, data.channel], 1), axis=0, return_inverse=True)[1].reshape(-1)
    common = rng.normal(size=pixel.max() + 1)[pixel, None]
    noise = np.sqrt(2 / 3) * common + np.sqrt(1 / 3) * rng.normal(size=data.values.shape)
    data.values[:] += 2 * noise * [1.0, 0.1]
    return data


def test_sandwich_is_the_spread_of_many_fits_where_the_weights_are_wrong():
    """400 draws of correlated noise: the spread within 3 standard errors; the inverse curvature is far from it."""
    model, names, rng = ToyChamber(hits=200), ("birks_ab", "electron_lifetime"), np.random.default_rng(8)
    model.event = np.arange(200) // 20
    truth, free = {"birks_ab": 0.82, "electron_lifetime": 700.0}, parameters(*names)
    found, told, naive = [], [], []
    for draw in range(400):
        objective = MatchedResiduals(model, correlated(model, truth, rng), np.array([1.0, 0.1]), 20.0, 0.0)
        x = np.array([p.to_internal(truth[p.name]) for p in free])
        for _ in range(3):
            values = {p.name: p.from_internal(v) for p, v in zip(free, x, strict=True)}
            slope = np.array([p.derivative(values[p.name]) for p in free])
            e = objective.evaluate(values, names)
            x = x - np.linalg.solve(e.curvature * np.outer(slope, slope), e.gradient * slope)
        found.append(x)
        if draw % 20 == 0:
            u = of_fit(objective, free, values, Settings(observed=False), rounding=EPS)
            told.append(u.standard / np.abs(slope))
            naive.append(np.sqrt(np.diag(np.linalg.inv(e.curvature))) / np.abs(slope))
    spread, error = np.std(found, axis=0, ddof=1), 1 / np.sqrt(2 * 400)
    assert u.kind == "sandwich"
    np.testing.assert_allclose(np.mean(told, axis=0), spread, rtol=3 * error + 0.02)
    assert (spread / np.mean(naive, axis=0) > 1.7).all()


def test_observed_and_expected_sandwich_stand_side_by_side():
    model = ToyChamber(hits=400)
    model.event = np.arange(400) // 20
    objective = MatchedResiduals(model, noisy(model.observe({}), 3), np.array([1.0, 0.1]), 20.0, 0.0)
    at = {n: nominal_values()[n] for n in FOUR}
    found = of_fit(objective, parameters(*FOUR), at, Settings(), rounding=EPS)
    [(name, other)] = found.others.items()
    assert name == "sandwich of observed information"
    np.testing.assert_allclose(np.sqrt(np.diag(other)), found.standard, rtol=0.1)


def test_a_point_that_the_model_cannot_compute_costs_only_the_observed_information():
    model = linear(*FOUR[:2])
    model.highest = {"birks_kb": 0.0486}
    found = of_fit(model, parameters(*FOUR[:2]), nominal_values(), Settings(), rounding=EPS)
    assert np.isfinite(found.covariance).all() and found.others == {}
    assert found.caveats == ("The observed information could not be computed: birks_kb is above 0.0486.",)


def test_observed_information_that_disagrees_is_said():
    """Data of four times the assumed information: half the uncertainty."""
    model = linear(*FOUR[:2])
    assumed = model.information
    model.information = lambda values, names: assumed(values, names) / 4
    found = of_fit(model, parameters(*FOUR[:2]), nominal_values(), Settings(), rounding=EPS)
    assert found.caveats[0].startswith("The observed information gives 0.5 times the uncertainty of birks_")
    assert of_fit(model, parameters(*FOUR[:2]), nominal_values(), Settings(observed=False), rounding=EPS).others == {}


def test_an_uncertainty_that_rests_on_few_groups_says_how_well_it_is_known():
    """The sigma from 400 Gaussian moves is known to 1 / sqrt(800); from one that outweighs 999, to sqrt(1/6)."""
    rng = np.random.default_rng(1)
    told = []
    for _ in range(400):
        scores = rng.normal(size=(400, 1))
        told.append(from_scores(np.eye(1), scores, parameters("birks_ab"), nominal_values()).standard[0])
    assert np.std(told) / np.mean(told) == pytest.approx(1 / np.sqrt(800), rel=3 / np.sqrt(800))
    assert from_scores(np.eye(1), scores, parameters("birks_ab"), nominal_values()).caveats == ()

    scores = rng.choice([-1.0, 1.0], size=(1000, 2))
    scores[0, 1] = 1e4
    found = from_scores(np.eye(2), scores, parameters(*FOUR[:2]), nominal_values())
    assert found.caveats == (
        "Few independent groups of data decide these uncertainties, which are only known to so much: birks_kb 41%.",
    )
