"""Maps of objectives: lowest at the target, of the shape that curvatures say, with paths that end there."""

import json

import numpy as np
import pytest
from scipy.stats import chi2

from pipeline.calibrate.likelihood import Likelihood
from pipeline.config.studies import Landscape
from pipeline.report.studies import contours
from pipeline.study import landscape
from pipeline.study.closure import Closure, is_likelihood

from .tracks import GEOMETRY, silent, study_config, two_tracks

SETTINGS = Landscape(
    length_cm=50,
    methods=("gauss_newton", "adam_energy_distance"),
    pairs=(("birks_ab", "birks_kb"), ("electric_field", "electron_lifetime")),
    points=5,
    reach=0.02,
    starts=1,
    adam_iterations=2,
)


def run(settings=SETTINGS):
    return landscape.run(study_config(landscape=settings), two_tracks(), GEOMETRY, silent)


@pytest.fixture(scope="module")
def result():
    return run()


def test_every_map_is_lowest_at_the_target(result):
    assert [(m["method"], tuple(m["pair"])) for m in result["maps"]] == [
        (method, pair) for method in SETTINGS.methods for pair in SETTINGS.pairs
    ]
    for m in result["maps"]:
        assert m["minimum"]["values"] == pytest.approx(m["truth"])
        assert m["cost_at_truth"] == m["minimum"]["cost"] == m["costs"][2][2]
        assert not m["likelihood"] and not m["noise"]


def test_near_the_target_the_map_of_residuals_is_the_paraboloid_of_its_curvature(result):
    closure = Closure.of(study_config(landscape=SETTINGS), SETTINGS, two_tracks(), GEOMETRY, "landscape")
    for m in result["maps"][:2]:
        pair = tuple(m["pair"])
        objective = closure.objective(closure.method("gauss_newton", pair, {}), closure.data())
        curvature = objective.evaluate(closure.truth, pair).curvature
        x, y = np.meshgrid(np.array(m["x"]) - m["truth"][0], np.array(m["y"]) - m["truth"][1])
        away = np.stack([x, y], axis=-1)
        expected = 0.5 * np.einsum("yxi,ij,yxj->yx", away, curvature, away)
        # Steps of at most 1 % of the ranges; the Fair weight bends the cost by |r| / 20.
        np.testing.assert_allclose(np.array(m["costs"]), expected, rtol=0.15, atol=1e-9 * expected.max())
        rising = np.einsum("yxi,yxi->yx", np.array(m["gradients"]), away)
        np.testing.assert_allclose(rising, 2 * expected, rtol=0.15, atol=1e-9 * expected.max())


def test_paths_begin_inside_the_map_and_those_of_gauss_newton_end_at_the_target(result):
    for m in result["maps"]:
        (path,) = m["paths"]
        start = np.array(path["values"][0])
        assert (start > [m["x"][0], m["y"][0]]).all() and (start < [m["x"][-1], m["y"][-1]]).all()
        if m["method"] == "gauss_newton":
            assert path["converged"]
            assert path["values"][-1] == pytest.approx(m["truth"], rel=1e-7)
        else:
            assert path["iterations"] == 2


def test_numbers_are_plain_and_the_same_again(result):
    text = json.dumps(result, allow_nan=False)
    assert "gauss_newton" in landscape.table(json.loads(text))
    fewer = SETTINGS.model_copy(update={"methods": ("gauss_newton",), "pairs": SETTINGS.pairs[1:]})
    assert run(fewer)["maps"] == result["maps"][1:2]


def test_a_map_keeps_within_physical_bounds():
    wide = Landscape(length_cm=50, methods=("gauss_newton",), pairs=(("electron_lifetime", "birks_ab"),), points=3,
                     reach=1.0, starts=0, target={"electron_lifetime": 900.0})  # fmt: skip
    (m,) = run(wide)["maps"]
    assert m["x"] == pytest.approx([450.0, 1800.0, 3150.0])


def test_contours_of_likelihoods_are_quantiles_of_chi_squared():
    quantiles = [0.5 * chi2(2).ppf(coverage) for coverage in contours.COVERAGE]
    assert contours.levels() == pytest.approx(quantiles)
    assert contours.levels() == pytest.approx([1.15, 3.09, 5.91], abs=0.005)


def test_an_ellipse_covers_what_it_says():
    covariance = np.array([[4.0, -1.5], [-1.5, 1.0]])
    border = contours.ellipse((1.0, -2.0), covariance)
    away = border - np.array([[1.0], [-2.0]])
    np.testing.assert_allclose(np.einsum("in,ij,jn->n", away, np.linalg.inv(covariance), away), 1.0)
    np.testing.assert_allclose(border.max(axis=1), [1.0 + 2.0, -2.0 + 1.0], rtol=1e-3)
    draws = np.random.default_rng(3).multivariate_normal([0, 0], covariance, 20_000)
    inside = np.einsum("ni,ij,nj->n", draws, np.linalg.inv(covariance), draws) < 1
    assert inside.mean() == pytest.approx(0.3935, abs=3 * np.sqrt(0.24 / 20_000))


def test_the_likelihood_is_mapped_and_fitted_on_noisy_data():
    settings = SETTINGS.model_copy(update={"methods": ("likelihood",), "pairs": SETTINGS.pairs[1:], "points": 3})
    (m,) = run(settings)["maps"]
    assert m["likelihood"] and m["noise"]
    (path,) = m["paths"]
    assert path["converged"], path["status"]
    # Its maximum lies within the map of four standard deviations, and nothing on the map is more likely.
    (x, y), lowest = path["values"][-1], m["minimum"]["cost"]
    assert m["x"][0] < x < m["x"][-1] and m["y"][0] < y < m["y"][-1]
    closure = Closure.of(study_config(landscape=settings), settings, two_tracks(), GEOMETRY, "landscape")
    objective = closure.objective(closure.method("likelihood", m["pair"], {}), closure.data(0))
    values = {**closure.truth, **dict(zip(m["pair"], (x, y), strict=True))}
    assert objective.evaluate(values, tuple(m["pair"])).cost <= lowest


class GaussianModel:
    """Two Gaussian measurements: of the sum of the changes of two parameters, and of their difference."""

    sigma = np.array([0.01, 0.002])

    def _directions(self, names):
        return np.array([[1.0, 1.0], [1.0, -1.0]])[:, : len(names)]

    def information(self, data, values, names):
        scaled = self._directions(names) / self.sigma[:, None]
        return scaled.T @ scaled


def test_the_map_of_a_likelihood_spans_its_uncertainty():
    closure = Closure.of(study_config(landscape=SETTINGS), SETTINGS, two_tracks(), GEOMETRY, "landscape")
    objective = Likelihood(GaussianModel(), closure.data())
    assert is_likelihood(objective)
    axis = landscape._axis(closure, objective, ("birks_ab", "electric_field"), 0, SETTINGS)
    # The mean of both measurements of the first parameter.
    sigma = 0.5 * np.hypot(0.01, 0.002)
    assert axis[-1] - axis[0] == pytest.approx(2 * SETTINGS.sigmas * sigma)
    assert axis.mean() == pytest.approx(0.8)
