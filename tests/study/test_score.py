"""The score test finds what it should of a likelihood that is right, and of likelihoods that are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.config.methods import Method
from pipeline.parameters import nominal_values
from pipeline.study import score
from pipeline.study.processes import work_through
from tests.study.gaussian import NOISE, GaussianExperiment

FREE = ("birks_ab", "electric_field", "electron_lifetime")
METHOD = Method(free=FREE)
TARGETS = {"one": {**nominal_values(), "birks_ab": 0.83}}
DRAWS = 400


def statistics(experiment: GaussianExperiment, draws: int = DRAWS, seed: int = 1) -> dict[str, Any]:
    jobs = score.jobs_of(TARGETS, draws, informed=2)
    work = score.Scores(experiment, METHOD, TARGETS, seed)
    return score.statistics(work_through(work, jobs, 1, lambda text: None, "draws"))


def test_a_right_likelihood_passes() -> None:
    found = statistics(GaussianExperiment(100))
    assert np.abs(found["mean"]).max() < 3
    assert found["mean_chi2"] < 17  # p > 0.0007 of three
    assert found["of_draws"]["largest_of_diagonal"] < 3 * found["of_draws"]["error"]
    pixels = found["of_pixels"]
    assert pixels["error"] < 0.03 < found["of_draws"]["error"]
    assert pixels["largest_of_diagonal"] < 3 * pixels["error"]
    assert pixels["largest_of_eigenvalues"] < 4 * pixels["error"]


@pytest.mark.parametrize("stated", [1.2, 0.8])
def test_noise_of_another_width_is_found(stated: float) -> None:
    """The score goes as 1 / sigma^2 and the information too: their ratio is that of the variances."""
    found = statistics(GaussianExperiment(100, stated=stated))
    pixels = found["of_pixels"]
    np.testing.assert_allclose(pixels["diagonal"], stated**-2, rtol=4 * pixels["error"])
    np.testing.assert_allclose(pixels["eigenvalues"], stated**-2, rtol=4 * pixels["error"])


def test_a_bias_that_no_single_draw_would_show_is_found() -> None:
    """A tenth of the noise of one hit divided by the root of their number: 0.1 sd of one draw, 2 errors of 400."""
    bias = 0.3 * NOISE[1] / np.sqrt(100)
    found = statistics(GaussianExperiment(100, bias=float(bias)))
    assert abs(found["mean"][FREE.index("electric_field")]) > 3


def test_every_draw_is_counted_once() -> None:
    jobs = score.jobs_of({"one": {}, "other": {}}, 23, informed=2)
    draws = [(j.target, j.first + k) for j in jobs for k in range(j.draws)]
    assert draws == [(t, d) for t in range(2) for d in range(23)]


def test_eigenvalues_find_a_wrong_correlation_that_variances_do_not() -> None:
    rng = np.random.default_rng(1)
    root = np.linalg.cholesky(np.array([[1.0, 0.6], [0.6, 1.0]]))
    totals = rng.normal(size=(2000, 2)) @ root.T
    answers = [{"totals": totals, "squares": totals[:, :, None] * totals[:, None, :], "informations": [np.eye(2)]}]
    found = score.statistics(answers)["of_pixels"]
    assert found["largest_of_diagonal"] < 0.1
    np.testing.assert_allclose(found["eigenvalues"], [0.4, 1.6], atol=0.1)
