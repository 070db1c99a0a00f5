"""Pulls are errors over the smallest possible sigma, in the coordinate of the fit; every fit is counted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.config.methods import STANDARD_METHODS
from pipeline.config.models import Config, Studies
from pipeline.config.precision import NoiseInTheModel
from pipeline.report.plots import image
from pipeline.report.studies import noise_in_the_model as figure
from pipeline.storage.detector import load_geometry
from pipeline.study import noise_in_the_model
from pipeline.tables import FittedParameter, Segments
from tests.tracks import straight_track

FREE = ("birks_ab", "electric_field")
TINY = NoiseInTheModel(methods=("masked", "exact"), lengths_cm=(20.0,), draws=3, targets=({"birks_ab": 0.81},))
METHODS = {
    "masked": STANDARD_METHODS["masked_residuals"].model_copy(update={"free": FREE}),
    "exact": STANDARD_METHODS["likelihood"].model_copy(update={"free": FREE}),
}


def run(settings: NoiseInTheModel = TINY):
    tracks = [
        straight_track(event=k, traj=k, start=(-5, 3 + 5 * k, 5 + 8 * k), direction=(1, 0.3, 0.25), segments=8)
        for k in range(2)
    ]
    config = Config(methods=METHODS, study=Studies(noise_in_the_model=settings))
    return noise_in_the_model.run(config, Segments.concatenate(tracks), load_geometry("module0"), lambda step: None)


@pytest.fixture(scope="module")
def result():
    return run()


def test_every_draw_is_fitted_by_every_method_and_stays_near_the_truth(result):
    (sample,) = result["samples"]
    assert [(f["draw"], f["method"]) for f in sample["fits"]] == [(d, m) for d in range(3) for m in ("masked", "exact")]
    for fit in sample["fits"]:
        assert fit["converged"], fit["why"]
        assert set(fit["pulls"]) == set(FREE)
        assert max(map(abs, fit["pulls"].values())) < 8
    # The unit of the likelihood's own errors is nearly the smallest possible one.
    for fit in sample["fits"][1::2]:
        for name in FREE:
            assert fit["stated_pulls"][name] == pytest.approx(fit["pulls"][name], rel=0.1)


def test_the_summary_holds_means_and_widths_of_all_fits(result):
    (sample,) = result["samples"]
    row = next(r for r in sample["summary"] if r["method"] == "exact")
    pulls = np.array([f["pulls"]["electric_field"] for f in sample["fits"] if f["method"] == "exact"])
    assert row["tried"] == row["converged"] == 3
    assert row["pulls"]["electric_field"] == {
        "mean": pytest.approx(pulls.mean()),
        "width": pytest.approx(pulls.std(ddof=1)),
    }


def test_equal_seeds_give_equal_results_and_the_figure_shows_them(result):
    again = run(TINY.model_copy(update={"draws": 2}))
    assert again["samples"][0]["fits"] == result["samples"][0]["fits"][:4]
    assert json.loads(json.dumps(result, allow_nan=False))["samples"][0]["tracks"] == 2
    drawn, caption = figure.draw(result)
    assert len(image(drawn, "svg")) > 5_000 and "3 fits per method" in caption
    head, lines = figure.rows(result)
    assert {len(line) for line in lines} == {len(head)} and len(lines) == 2
    assert "exact" in noise_in_the_model.table(result)


def test_errors_of_the_lifetime_are_those_of_its_inverse_with_the_sign_of_the_value():
    for value in (1900.0, 2300.0, 1e9):
        fitted = FittedParameter("electron_lifetime", "us", 2200.0, value, True)
        expected = 2200 * (1 / 2000 - 1 / value)
        assert noise_in_the_model._error(fitted, 2000.0) == pytest.approx(expected, rel=1e-12)
        assert (expected > 0) == (value > 2000)
