"""How many muons are needed: limits, orderings and what a reader sees, on a few short tracks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.config.models import Config, Studies
from pipeline.config.precision import ExpectedUncertainty
from pipeline.errors import SelectionError
from pipeline.parameters import CALIBRATED
from pipeline.report.plots import image
from pipeline.report.studies import expected_uncertainty as figure
from pipeline.storage.detector import load_geometry
from pipeline.study import expected_uncertainty
from pipeline.tables import Segments
from tests.tracks import straight_track

TINY = ExpectedUncertainty(
    sample_cm=60,
    batch_cm=5,
    lengths_cm=(30.0, 120.0),
    subsets=6,
    priors_percent={"birks_kb": 1.0},
    wanted_percent={"birks_ab": 0.5, "birks_kb": 2.0},
    mix_points=3,
    segment_lengths_cm=(4.0,),
)


def sample() -> Segments:
    """Muons with little and protons with much variety in dE/dx, far and near."""
    rng = np.random.default_rng(2)
    tracks = []
    for k, (pdg, low, high) in enumerate([(13, 0.9, 1.6), (2212, 1.5, 8.0)] * 3):
        one = straight_track(
            event=k, traj=k, start=(-5, 3 + 5 * k, 3 + 4 * k), direction=(1, 0.3, 0.25), segments=8, step=0.5, pdg=pdg
        )
        factor = rng.uniform(low, high, len(one))
        tracks.append(one.replace(dE=factor * one.dE, dEdx=factor * one.dEdx))
    return Segments.concatenate(tracks)


def run(settings: ExpectedUncertainty, segments: Segments):
    config = Config(study=Studies(expected_uncertainty=settings))
    return expected_uncertainty.run(config, segments, load_geometry("module0"), lambda step: None)


@pytest.fixture(scope="module")
def result():
    return run(TINY, sample())


def test_uncertainties_fall_with_the_root_of_the_length_unless_a_prior_holds_them(result):
    for one in result["species"]:
        for name in CALIBRATED:
            short, long = one["curves"]["all free"][name]["value"]
            assert long == pytest.approx(short / 2, rel=1e-9)
        # One percent is known from elsewhere, however short the sample.
        assert max(one["curves"]["with priors"]["birks_kb"]["value"]) <= 0.01


def test_what_is_fixed_or_known_makes_the_others_better_known(result):
    for one in result["species"]:
        free, fixed, prior = (one["curves"][c["name"]] for c in result["cases"])
        assert "birks_kb" not in fixed
        for name in fixed:
            assert np.all(np.array(fixed[name]["value"]) <= np.array(prior[name]["value"]))
            assert np.all(np.array(prior[name]["value"]) <= np.array(free[name]["value"]))


def test_mixes_begin_and_end_at_the_pure_species(result):
    (mix,) = result["mixes"]
    length = result["settings"]["mix_cm"]
    for share, one in zip((0, -1), result["species"], strict=True):
        information = np.array(one["information_per_cm"]) * length
        expected = np.sqrt(np.diag(np.linalg.inv(information)))
        found = [mix["curves"]["all free"][name]["value"][share] for name in CALIBRATED]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_needed_lengths_are_those_at_which_the_curves_reach_what_is_wanted(result):
    for row in result["needed"]:
        if row["case"] == "all free" and row["composition"] == "protons":
            curve = result["species"][1]["curves"]["all free"][row["parameter"]]["value"]
            wanted = result["settings"]["wanted_percent"][row["parameter"]] / 100
            assert row["length_cm"] == pytest.approx(30 * (curve[0] / wanted) ** 2, rel=1e-6)
            assert row["low_cm"] <= row["high_cm"]
        if row["case"] == "with priors" and row["parameter"] == "birks_kb":
            assert row["length_cm"] == 0.0


def test_longer_deposits_tell_recombination_less_well(result):
    for one in result["species"]:
        whole, cut = (row["uncertainty"]["all free"]["birks_kb"] for row in one["segment_lengths"])
        assert cut > 1.5 * whole


def test_table_and_figure_show_every_case_and_species(result):
    assert json.loads(json.dumps(result, allow_nan=False))["species"][0]["name"] == "muons"
    text = expected_uncertainty.table(result)
    assert "equal parts" in text and "with priors" in text
    drawn, caption = figure.draw(result)
    assert len(image(drawn, "svg")) > 10_000
    assert "12 cm of muons, 12 cm of protons" in caption and "Priors: k_B 1 %" in caption
    head, lines = figure.rows(result)
    assert {len(line) for line in lines} == {len(head)} and len(lines) == 5


def test_one_species_alone_has_no_mix_and_none_is_refused():
    muons = sample().take(sample().pdg_id == 13)
    alone = run(TINY.model_copy(update={"segment_lengths_cm": ()}), muons)
    assert alone["mixes"] == [] and {r["composition"] for r in alone["needed"]} == {"muons"}
    drawn, _ = figure.draw(alone)
    assert len(image(drawn, "svg")) > 10_000
    with pytest.raises(SelectionError, match="PDG codes 13, none of study"):
        run(TINY.model_copy(update={"species": {"kaons": (321,)}}), muons)
