"""Pulls of fits whose covariance is known: their distribution, and what they do not depend on."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pipeline.inspect.pulls import Joint, distance, joint, pull, together
from pipeline.tables import FittedParameter

from ..report.samples import covariance_of, fit_result, measured_result, uncertainty_of

AB = FittedParameter("birks_ab", "", 0.8, 0.83, True, 0.01, 0.80)
LIFETIME = FittedParameter("electron_lifetime", "us", 2200.0, 2000.0, True, 100.0, 2500.0)


def test_a_pull_is_the_distance_in_standard_uncertainties() -> None:
    assert pull(AB) == pytest.approx(3.0)
    assert pull(replace(AB, value=0.77)) == pytest.approx(-3.0)


def test_a_lifetime_is_pulled_by_its_inverse() -> None:
    """The standard uncertainty of 1/tau is sigma / tau^2; the sign is that of the lifetime."""
    expected = -(1 / 2000.0 - 1 / 2500.0) / (100.0 / 2000.0**2)
    assert pull(LIFETIME) == pytest.approx(expected)
    assert distance(replace(LIFETIME, value=2500.0 + 1e-3)) == pytest.approx(1e-3, rel=1e-5)


@pytest.mark.parametrize(
    "fields", [{"target": None}, {"uncertainty": None}, {"uncertainty": 0.0}, {"uncertainty": math.nan}]
)
def test_without_target_or_uncertainty_there_is_no_pull(fields: dict[str, float | None]) -> None:
    assert pull(replace(AB, **fields)) is None  # type: ignore[arg-type]


def test_joint_pulls_of_gaussian_draws_follow_chi2() -> None:
    """Correlation 0.99 included: mean P, variance 2 P, probabilities uniform."""
    found = [joint(measured_result(seed)) for seed in range(400)]
    chi2 = np.array([j.chi2 for j in found if j is not None])
    assert len(chi2) == 400 and {j.freedom for j in found if j is not None} == {6}
    # The inverse of the lifetime is not exactly Gaussian in these draws of the lifetime: 4 % of it is one sigma.
    assert chi2.mean() == pytest.approx(6.0, abs=4 * math.sqrt(12 / 400))
    uniform = np.sort([j.probability for j in found if j is not None])
    assert np.abs(uniform - np.arange(400) / 400).max() < 1.63 / math.sqrt(400)


def test_uncorrelated_pulls_add_in_quadrature() -> None:
    result = measured_result(3)
    assert result.uncertainty is not None
    diagonal = np.diag(np.diag(result.uncertainty.covariance))
    found = joint(replace(result, uncertainty=uncertainty_of(result.uncertainty.names, diagonal)))
    assert found is not None
    assert found.chi2 == pytest.approx(sum((pull(p) or 0.0) ** 2 for p in result.parameters), rel=1e-12)


def test_only_known_targets_count_and_their_covariance_is_the_marginal_one() -> None:
    result = measured_result(3)
    some = tuple(replace(p, target=p.target if p.name == "birks_kb" else None) for p in result.parameters)
    found = joint(replace(result, parameters=some))
    assert found is not None and found.freedom == 1
    assert found.chi2 == pytest.approx((pull(some[1]) or 0.0) ** 2)


def test_the_combination_that_is_farthest_off_is_named() -> None:
    """A_B up and k_B down by half a standard uncertainty each: seven where the correlation is 0.99, hidden in each."""
    result = measured_result(3)
    assert result.uncertainty is not None
    moved = [
        replace(p, value=(p.target or 0.0) + sign * 0.5 * s)
        for p, s, sign in zip(result.parameters, result.uncertainty.standard, (1, -1, 0, 0, 0, 0), strict=True)
    ]
    found = joint(replace(result, parameters=tuple(moved)))
    assert found is not None and found.direction == ("birks_ab", "birks_kb")
    assert found.chi2 == pytest.approx(2 * 0.25 / (1 - 0.99), rel=1e-6)


def test_without_a_covariance_there_is_no_joint_pull() -> None:
    assert joint(fit_result()) is None
    result = measured_result()
    assert result.uncertainty is not None
    names = result.uncertainty.names
    broken = covariance_of(np.array([p.value for p in result.parameters]))
    broken[0, 1] = broken[1, 0] = 1.2 * math.sqrt(broken[0, 0] * broken[1, 1])
    for covariance in (broken, np.full((6, 6), np.nan)):
        known = replace(result.uncertainty, covariance=covariance)
        assert known.names == names and joint(replace(result, uncertainty=known)) is None


def test_probabilities_are_those_of_chi2() -> None:
    assert Joint(1.0, 1).probability == pytest.approx(0.3173, abs=1e-4)
    assert Joint(5.348, 6).probability == pytest.approx(0.5, abs=1e-3)
    assert Joint(2.0, 2).probability_of_less == pytest.approx(1 - math.exp(-1))
    assert together([None]) is None
    assert together([Joint(1.0, 2), None, Joint(3.0, 4)]) == Joint(4.0, 6)
