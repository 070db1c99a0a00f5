"""Objectives along single parameters: lowest at the truth without noise, where a fit goes with it."""

import json

import numpy as np
import pytest

from pipeline.config.models import Noise, Readout
from pipeline.config.studies import Sensitivity
from pipeline.study import sensitivity
from pipeline.study.closure import Closure

from .tracks import GEOMETRY, silent, study_config, two_tracks

NAMES = ("birks_ab", "electric_field")
SETTINGS = Sensitivity(
    length_cm=50, parameters=NAMES, batch_length_cm=15, draws=2, points_beside=1, methods=("gauss_newton",)
)
#: A tenth of the usual noise: hardly a hit appears or vanishes by it, which would make objectives jump.
QUIET = Readout(noise=Noise(reset_electrons=90, sampling_electrons=50))
CONFIG = study_config(sensitivity=SETTINGS).model_copy(update={"readout": QUIET})


@pytest.fixture(scope="module")
def result():
    return sensitivity.run(CONFIG, two_tracks(), GEOMETRY, silent)


def test_without_noise_every_minimum_is_at_the_truth(result):
    assert len(result["batches"]) == 2 and sum(result["batches"]) == pytest.approx(result["length_cm"])
    for curve in result["curves"]:
        assert curve["minima"]["plain"] + curve["minima"]["whole_plain"] == pytest.approx([0.0] * 3, abs=1e-12)
        for line in curve["costs"]["plain"]:
            assert line[1] == 0.0 and min(line[0], line[2]) > 0.0
        assert len(curve["costs"]["noisy"]) == len(curve["minima"]["noisy"]) == 4


def test_with_noise_minima_are_where_fits_of_one_parameter_end(result):
    closure = Closure.of(CONFIG, SETTINGS, two_tracks(), GEOMETRY, "sensitivity")
    for curve in result["curves"]:
        name, truth = curve["parameter"], curve["truth"]
        for draw in range(2):
            data = closure.data(draw)
            method = closure.method("gauss_newton", (name,), {name: truth}).model_copy(update={"tolerance": 1e-7})
            fit = closure.fit("gauss_newton", method, data)
            end = next(p.value for p in fit.parameters if p.name == name) - truth
            assert fit.converged
            assert curve["minima"]["whole_noisy"][draw] == pytest.approx(end, rel=0.02)


def test_numbers_are_plain_and_the_same_again(result):
    assert "electric_field" in sensitivity.table(json.loads(json.dumps(result, allow_nan=False)))
    fewer = study_config(sensitivity=SETTINGS.model_copy(update={"parameters": NAMES[1:]}))
    again = sensitivity.run(fewer.model_copy(update={"readout": QUIET}), two_tracks(), GEOMETRY, silent)
    assert again["curves"] == result["curves"][1:]


@pytest.mark.parametrize("bend", [0.0, 0.3, -0.3])
def test_the_lowest_point_is_where_the_gradient_rises_through_zero(bend):
    offsets = np.array([-2.0, 0.0, 2.0])
    place = 0.7
    slopes = 5 * (offsets - place) + bend * (offsets - place) ** 2
    assert sensitivity.lowest(slopes, offsets) == pytest.approx(place)


@pytest.mark.parametrize("slopes", [[1.0, 0.0, -1.0], [np.nan, 0.0, 1.0], [9.0, 10.0, 11.0], [5.0, 1.0, 5.5]])
def test_there_may_be_no_lowest_point(slopes):
    assert sensitivity.lowest(np.array(slopes), np.array([-1.0, 0.0, 1.0])) is None
