"""A discrete operation has no useful derivative, a relaxed one nearly the right value, ours the right one."""

import numpy as np
import pytest

from pipeline.config.models import Config
from pipeline.storage.detector import load_geometry
from pipeline.study import relaxations


@pytest.fixture(scope="module")
def result():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relaxations, "POINTS", 9)
        return relaxations.run(Config(), None, load_geometry("module0"), lambda step: None)


def test_the_exact_step_is_a_gaussian_integral_whose_slope_is_its_derivative(result):
    time = np.array(result["step"]["time"])
    for curve in (*result["step"]["exact"], *result["step"]["sigmoid"]):
        numeric = np.gradient(curve["value"], time)
        np.testing.assert_allclose(numeric[1:-1], curve["slope"][1:-1], atol=2e-3 * max(curve["slope"]) + 5e-3)
    widths = [curve["width"] for curve in result["step"]["exact"]]
    # sqrt(2 D_L d / v) / v, with v = 0.15965 cm/us, 15 cm from the anode.
    assert widths[1] == pytest.approx((2 * 4e-6 * 15 / 0.15965) ** 0.5 / 0.15965, rel=1e-3)


@pytest.mark.parametrize("name", ["electric_field", "longitudinal_diffusion"])
def test_ticks_are_whole_and_the_relaxed_hit_is_near_the_exact_one(result, name):
    curves = result["hit"][name]
    clock = load_geometry("module0").readout.clock
    ticks, exact, relaxed = (np.array(curves[way]["time"]) for way in ("ticks", "exact", "interpolated"))
    spacing = np.diff(np.unique(ticks)) / clock
    np.testing.assert_allclose(spacing, np.round(spacing), atol=1e-6)
    assert np.abs(ticks - exact).max() < 1.5 * clock
    assert 0 < np.abs(relaxed - exact).max() < 0.1 * clock
    assert len(set(exact)) == len(exact)


@pytest.mark.parametrize("name", ["electric_field", "longitudinal_diffusion"])
def test_the_tangents_are_the_slopes_of_the_exact_curves(result, name):
    curves = result["hit"][name]
    values = np.array(curves["values"])
    for key in ("time", "adc"):
        slopes = np.gradient(curves["exact"][key], values)
        for tangent in curves["tangents"]:
            found = np.interp(tangent["value"], values[1:-1], slopes[1:-1])
            assert tangent[f"{key}_slope"] == pytest.approx(found, rel=0.02)


def test_the_table_says_how_far_each_way_is_off(result):
    text = relaxations.table(result)
    assert "electric_field" in text and "interpolated" in text
