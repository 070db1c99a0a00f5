"""One parameter held wrong: the others move as the normal equations say."""

import json

import numpy as np
import pytest

from pipeline.config.studies import Interdependence
from pipeline.parameters import table
from pipeline.study import interdependence
from pipeline.study.closure import Closure

from .tracks import GEOMETRY, silent, study_config, two_tracks

NAMES = ("birks_ab", "birks_kb", "electric_field", "electron_lifetime")
SETTINGS = Interdependence(length_cm=50, parameters=NAMES, fraction=0.002)


@pytest.fixture(scope="module")
def result():
    return interdependence.run(study_config(interdependence=SETTINGS), two_tracks(), GEOMETRY, silent)


def test_nothing_held_wrong_is_no_bias(result):
    free = result["fits"][0]
    assert free["held"] is None and free["converged"]
    assert max(map(abs, free["errors"].values())) < 1e-9


def test_small_biases_are_those_of_the_normal_equations(result):
    """`d free = - H_ff^-1 H_fh d held` (weights are 1 for small residuals)."""
    closure = Closure.of(study_config(interdependence=SETTINGS), SETTINGS, two_tracks(), GEOMETRY, "interdependence")
    objective = closure.objective(closure.method("gauss_newton", NAMES, {}), closure.data())
    curvature = objective.evaluate(closure.truth, NAMES).curvature
    for fit in result["fits"][1:]:
        assert fit["converged"], fit["status"]
        k = NAMES.index(fit["held"])
        others = [n for n in range(len(NAMES)) if n != k]
        p = table()[fit["held"]]
        wrong = np.sign(fit["error_of_held"]) * 0.002 * (p.high - p.low)
        assert fit["error_of_held"] == pytest.approx(wrong / p.nominal)
        expected = -np.linalg.solve(curvature[np.ix_(others, others)], curvature[others, k]) * wrong
        relative = expected / [closure.truth[NAMES[n]] for n in others]
        found = [fit["errors"][NAMES[n]] for n in others]
        # The lifetime enters as its inverse, so linearity holds to the square of its change.
        np.testing.assert_allclose(found, relative, rtol=0.1, atol=0.02 * np.abs(relative).max())


def test_numbers_are_plain(result):
    assert "electric_field" in interdependence.table(json.loads(json.dumps(result, allow_nan=False)))


def test_a_wrong_value_stays_physical():
    tau = table()["electron_lifetime"]
    assert interdependence._wrong(tau, 600.0, -0.25) == 300.0
    assert interdependence._wrong(tau, 600.0, 0.25) == 600.0 + 0.25 * 4500
