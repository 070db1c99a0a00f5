"""Lines of equal charge cross at the truth; without the link of velocity and field only k_B / E is known."""

import json

import numpy as np
import pytest

from pipeline.config.studies import RecombinationLines
from pipeline.detector import argon
from pipeline.errors import ConfigError
from pipeline.parameters import nominal_values
from pipeline.study import recombination_lines
from pipeline.study.closure import Closure

from .tracks import GEOMETRY, silent, study_config, two_tracks

SETTINGS = RecombinationLines(length_cm=50, method="gauss_newton")
CONFIG = study_config(recombination_lines=SETTINGS)
TRUTH = nominal_values()


@pytest.fixture(scope="module")
def result():
    return recombination_lines.run(CONFIG, two_tracks(), GEOMETRY, silent)


@pytest.mark.parametrize("dedx", [1.7, 5.0, 15.0])
def test_the_charge_along_a_line_is_the_true_one(dedx):
    line = recombination_lines.equal_charge(dedx, TRUTH, 0.5, 1.5)
    charges = [
        argon.birks(dedx, TRUTH | {"birks_ab": ab, "birks_kb": kb})
        for ab, kb in zip(line["birks_ab"], line["birks_kb"], strict=True)
    ]
    np.testing.assert_allclose(charges, argon.birks(dedx, TRUTH), rtol=1e-12)


def test_lines_cross_at_the_truth_only_and_turn_with_the_energy_loss(result):
    slopes = []
    for line in result["lines"]:
        middle = len(line["birks_kb"]) // 2
        assert line["birks_kb"][middle] == pytest.approx(TRUTH["birks_kb"])
        assert line["birks_ab"][middle] == pytest.approx(TRUTH["birks_ab"])
        slopes.append((line["birks_ab"][-1] - line["birks_ab"][0]) / (line["birks_kb"][-1] - line["birks_kb"][0]))
    assert (np.diff(slopes) > 0).all()


def ratio_of_velocity():
    """d ln v / d ln E, by differences."""
    e, h = TRUTH["electric_field"], 1e-6
    v = [argon.drift_velocity(e * (1 + s * h), GEOMETRY.temperature) for s in (-1, 1)]
    return np.log(v[1] / v[0]) / (2 * h)


def test_with_the_velocity_free_the_field_and_k_b_move_together(result):
    """(E, k_B, s_v) -> (a E, a k_B, s_v v(E) / v(a E)) changes nothing at all."""
    whole = result["groups"][-1]["free_velocity"]
    assert whole["share"] < 1e-13
    moves = whole["direction"]
    assert moves["birks_kb"] == pytest.approx(moves["electric_field"], rel=1e-4)
    assert moves["drift_velocity_scale"] == pytest.approx(-ratio_of_velocity() * moves["electric_field"], rel=1e-4)
    for name in ("birks_ab", "electron_lifetime", "longitudinal_diffusion", "transverse_diffusion"):
        assert abs(moves[name]) < 1e-4


def test_that_gauge_is_exact_at_any_distance():
    closure = Closure.of(CONFIG, SETTINGS, two_tracks(), GEOMETRY, "recombination_lines")
    here = closure.model.observe(TRUTH)
    e = TRUTH["electric_field"]
    velocity = [argon.drift_velocity(field, GEOMETRY.temperature) for field in (e, 1.3 * e)]
    there = closure.model.observe(
        TRUTH
        | {
            "electric_field": 1.3 * e,
            "birks_kb": 1.3 * TRUTH["birks_kb"],
            "drift_velocity_scale": velocity[0] / velocity[1],
        }
    )
    np.testing.assert_allclose(there.values, here.values, rtol=1e-9)


def test_a_measured_velocity_gives_the_field_its_uncertainty(result):
    for group in result["groups"]:
        expected = np.hypot(SETTINGS.velocity_uncertainty / ratio_of_velocity(), group["linked"][2])
        assert group["unlinked"][2] == pytest.approx(expected, rel=0.01)


def test_more_tracks_tell_more(result):
    muons, protons, whole = result["groups"]
    assert [g["name"] for g in (muons, protons, whole)] == ["muons", "protons", "all tracks"]
    for part in (muons, protons):
        assert (np.array(whole["linked"]) < part["linked"]).all()
    assert muons["length_cm"] + protons["length_cm"] == pytest.approx(whole["length_cm"])
    assert "protons" in recombination_lines.table(json.loads(json.dumps(result, allow_nan=False)))


def test_what_tracks_do_not_determine_has_no_uncertainty():
    assert recombination_lines.inverted(np.diag([1.0, 0.0])) is None
    assert recombination_lines.inverted(np.array([[4.0, 2.0], [2.0, 1.0]])) is None
    # Scales may differ by any factor.
    information = np.array([[1e20, 5e9], [5e9, 1.0]])
    np.testing.assert_allclose(recombination_lines.inverted(information) @ information, np.eye(2), atol=1e-6)
    proton = two_tracks().take(two_tracks().pdg_id == 2212)
    alike = proton.replace(dEdx=np.full(len(proton), 8.0), dE=8.0 * proton.dx)
    flat = alike.replace(start=alike.start * [1, 1, 0] + [0, 0, 20.0], end=alike.end * [1, 1, 0] + [0, 0, 20.0])
    (group,) = recombination_lines.run(CONFIG, flat, GEOMETRY, silent)["groups"]
    assert group["linked"] is group["unlinked"] is group["correlation"] is None


def test_other_laws_and_losses_are_refused():
    box = CONFIG.model_copy(update={"detector": CONFIG.detector.model_copy(update={"recombination": "box"})})
    with pytest.raises(ConfigError, match="is about Birks' law"):
        recombination_lines.run(box, two_tracks(), GEOMETRY, silent)
    loss = study_config(recombination_lines=SETTINGS.model_copy(update={"method": "adam_energy_distance"}))
    with pytest.raises(ConfigError, match="energy_distance is no measure of information"):
        recombination_lines.run(loss, two_tracks(), GEOMETRY, silent)
