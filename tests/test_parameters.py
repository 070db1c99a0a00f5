"""The table of calibration parameters: coordinates of the fit, bounds, and what is said of wrong input."""

import csv
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import parameters
from pipeline.errors import ConfigError
from pipeline.parameters import Parameter

TABLE = parameters.table()
NAMES = sorted(TABLE)

# Names that the published fits use for the six parameters.
PUBLISHED = {
    "Ab": "birks_ab",
    "kb": "birks_kb",
    "eField": "electric_field",
    "lifetime": "electron_lifetime",
    "long_diff": "longitudinal_diffusion",
    "tran_diff": "transverse_diffusion",
}


def within(parameter: Parameter, fraction: float) -> float:
    return parameter.low + fraction * (parameter.high - parameter.low)


# --- the coordinate of the fit ---


@given(st.sampled_from(NAMES), st.floats(0.0, 1.0))
def test_the_fit_coordinate_can_be_turned_back(name: str, fraction: float) -> None:
    parameter = TABLE[name]
    value = within(parameter, fraction)

    assert parameter.from_internal(parameter.to_internal(value)) == pytest.approx(value, rel=1e-14, abs=1e-300)


@given(st.sampled_from(NAMES), st.floats(0.01, 0.99))
def test_the_derivative_of_the_coordinate_is_that_of_finite_differences(name: str, fraction: float) -> None:
    parameter = TABLE[name]
    internal = parameter.to_internal(within(parameter, fraction))
    step = 1e-5
    slope = (parameter.from_internal(internal + step) - parameter.from_internal(internal - step)) / (2 * step)

    assert parameter.derivative(parameter.from_internal(internal)) == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_the_nominal_point_is_one_or_the_origin(name: str) -> None:
    """Scaled parameters start at 1; those with a nominal value of 0 (shifts) are moved unscaled."""
    parameter = TABLE[name]

    assert parameter.to_internal(parameter.nominal) == (0.0 if parameter.nominal == 0.0 else 1.0)


def test_the_lifetime_is_fitted_in_its_inverse() -> None:
    """Equal steps of the coordinate are equal steps of 1/tau, and no capture at all is the finite point 0."""
    lifetime = TABLE["electron_lifetime"]
    rates = [1.0 / lifetime.from_internal(u) for u in (0.4, 0.9, 1.4)]

    assert rates[1] - rates[0] == pytest.approx(rates[2] - rates[1], rel=1e-12)
    assert lifetime.to_internal(math.inf) == 0.0


# --- the table ---


@pytest.mark.parametrize("name", NAMES)
def test_starting_values_lie_in_the_range_and_the_range_within_physics(name: str) -> None:
    p = TABLE[name]

    assert p.minimum <= p.low < p.nominal < p.high <= p.maximum


def test_the_six_calibrated_parameters_come_in_the_published_order() -> None:
    assert [p.symbol for p in parameters.calibrated()] == ["A_B", "k_B", "E", "tau", "D_L", "D_T"]


def test_published_fits_started_and_aimed_within_the_table(shared_data) -> None:  # type: ignore[no-untyped-def]
    """Start values are our nominal ones, and all published targets lie in the ranges that ours are drawn from."""
    with open(shared_data / "published_fits.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    assert {row["param"] for row in rows} == set(PUBLISHED)
    for row in rows:
        parameter = TABLE[PUBLISHED[row["param"]]]
        assert float(row["nominal"]) == pytest.approx(parameter.nominal, rel=1e-6)
        assert parameter.low <= float(row["target"]) <= parameter.high


def test_nominal_values_belong_to_the_table() -> None:
    values = parameters.nominal_values()

    assert parameters.check_values({n: v for n, v in values.items() if v != 0.0}, "test") == {
        n: v for n, v in values.items() if v != 0.0
    }
    assert set(values) == set(TABLE)


def test_a_name_can_be_declared_once_only() -> None:
    known = TABLE["birks_ab"]

    assert parameters.register(known) is known
    with pytest.raises(ValueError, match="birks_ab is declared twice"):
        parameters.register(Parameter("birks_ab", "A_B", "", 0.7, 0.6, 0.8, "another"))
    assert parameters.table()["birks_ab"] == known


# --- values given by a user ---


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("birk_ab", "birks_ab"),
        ("birks_kB", "birks_kb"),
        ("electric_feild", "electric_field"),
        ("lifetime", "electron_lifetime"),
        ("transversal_diffusion", "transverse_diffusion"),
    ],
)
def test_a_mistyped_name_is_met_with_the_nearest_one(wrong: str, meant: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parameters.check_values({wrong: 0.5}, "--set")

    assert str(refusal.value) == f"--set: there is no parameter {wrong!r}; did you mean {meant!r}?"


@pytest.mark.parametrize("value", [0.0, -0.5, math.nan, math.inf, -math.inf])
def test_unphysical_values_are_refused_with_place_name_and_bounds(value: float) -> None:
    with pytest.raises(ConfigError) as refusal:
        parameters.check_values({"birks_ab": 0.8, "electric_field": value}, "--initial")

    sentence = str(refusal.value)
    assert sentence.startswith(f"--initial: electric_field = {value:g} kV/cm is not physical")
    assert "above 0" in sentence


def test_values_far_from_the_range_but_physical_are_accepted() -> None:
    """The range is where targets are drawn from; only physics bounds a value."""
    given_values = {"birks_ab": 2.5, "electron_lifetime": 9e5, "electric_field": 0.02, "shift_z": -1.5}

    assert parameters.check_values(given_values, "--set") == given_values


def test_a_shift_may_have_either_sign_or_vanish_but_not_leave_the_detector() -> None:
    assert parameters.check_values({"shift_x": 0.0, "shift_y": -0.05}, "--set") == {"shift_x": 0.0, "shift_y": -0.05}
    with pytest.raises(ConfigError, match=r"shift_x = 11 cm is not physical.*above -10 and at most 10"):
        parameters.check_values({"shift_x": 11.0}, "--set")


@pytest.mark.parametrize(
    ("name", "absurd", "limit"),
    [
        ("birks_ab", 1e300, "10"),
        ("birks_kb", 48.6, "10"),
        ("box_alpha", 93.0, "10"),
        ("box_beta", 212.0, "10"),
        ("electric_field", 500.0, "100"),  # V/cm taken for kV/cm
        ("longitudinal_diffusion", 4.0, "1"),  # cm2/s taken for cm2/us
        ("transverse_diffusion", 8.8, "1"),
        ("density", 1380.0, "10"),  # kg/m3 taken for g/cm3
    ],
)
def test_values_in_another_unit_are_refused(name: str, absurd: float, limit: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} = .* is not physical; it must be above 0 and at most {limit}\.$"):
        parameters.check_values({name: absurd}, "--set")


def test_only_the_lifetime_may_be_infinite() -> None:
    assert [name for name in NAMES if math.isinf(TABLE[name].maximum)] == ["electron_lifetime"]
    assert parameters.check_values({"electron_lifetime": math.inf}, "--set") == {"electron_lifetime": math.inf}


# --- pulls ---


@pytest.mark.parametrize("name", NAMES)
def test_a_pull_far_below_the_curvature_of_the_coordinate_is_the_plain_one(name: str) -> None:
    parameter = TABLE[name]
    value, uncertainty = within(parameter, 0.5), 1e-6 * (parameter.high - parameter.low)

    assert parameter.pull(value, uncertainty, value - 2 * uncertainty) == pytest.approx(2.0, rel=1e-4)


def test_a_pull_of_the_lifetime_is_taken_in_its_inverse() -> None:
    """1/1000 and 1/2000 with sigma(1/tau) = 100 / 1000^2: 5 standard deviations low, however far tau itself is off."""
    assert TABLE["electron_lifetime"].pull(1000.0, 100.0, 2000.0) == pytest.approx(-5.0)
    assert TABLE["electron_lifetime"].pull(1000.0, 100.0, math.inf) == pytest.approx(-10.0)
