import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.report.outcome import (
    distance_history,
    largest_error,
    names_from_path,
    remarks,
    titled,
)
from pipeline.tables import FitResult, FittedParameter

from .samples import fit_result, some_fits


def result_of(*parameters: FittedParameter, converged: bool = True) -> FitResult:
    history = {p.name: np.array([p.initial, p.value]) for p in parameters if p.free}
    return FitResult("Done.", converged, "levenberg_marquardt", parameters, 1, history, {})


AB = FittedParameter("birks_ab", "", 0.8, 0.82, True, None, 0.8)
LIFETIME = FittedParameter("electron_lifetime", "us", 2200.0, 900.0, True, None, 1000.0)


def test_largest_error_is_the_largest_relative_difference_of_a_free_parameter() -> None:
    fixed = FittedParameter("electric_field", "kV/cm", 0.5, 0.5, False, None, 1.0)
    found = largest_error(result_of(AB, LIFETIME, fixed))
    assert found is not None
    assert found[0].name == "electron_lifetime"
    assert found[1] == pytest.approx(-0.1)


def test_a_value_that_is_not_a_number_is_the_largest_error() -> None:
    found = largest_error(result_of(AB, replace(LIFETIME, value=math.nan)))
    assert found is not None
    assert found[0].name == "electron_lifetime"


def test_distance_at_start_and_end_follows_from_start_value_and_target() -> None:
    distance = distance_history(result_of(AB, LIFETIME))
    assert distance == pytest.approx([1.2, 0.1])


def test_without_targets_there_is_no_distance() -> None:
    result = fit_result(known=False)
    assert largest_error(result) is None
    assert distance_history(result) is None


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("results/closure/muons/target_1/adam/fit.h5", ("target_1", "adam")),
        ("somewhere/mine.h5", ("mine", "")),
    ],
)
def test_names_come_from_the_path(path: str, names: tuple[str, str]) -> None:
    assert names_from_path(Path(path)) == names


def test_titles_name_the_method_only_where_there_are_several() -> None:
    one = some_fits(2, "adam")
    assert [f.title for f in titled(one)] == ["target_1", "target_2"]
    two = titled([*one, *some_fits(1, "gauss_newton")])
    assert [f.title for f in two] == ["target_1 (adam)", "target_2 (adam)", "target_1 (gauss_newton)"]


def test_equal_titles_are_numbered() -> None:
    assert [f.title for f in titled(some_fits(1) + some_fits(1))] == ["target_1 #1", "target_1 #2"]


def test_a_value_outside_the_table_range_is_remarked() -> None:
    assert remarks(replace(LIFETIME, value=6000.0)) == ("outside the usual range 500 to 5000 μs",)
    assert remarks(replace(LIFETIME, value=5000.0)) == ()


def test_a_parameter_held_off_its_target_is_remarked() -> None:
    assert "biases the others" in remarks(replace(AB, free=False))[0]
    assert remarks(replace(AB, free=False, target=0.82)) == ("held fixed, not fitted",)


def test_distance_of_a_mean_over_iterations():
    """A walk that swings about its target by 2 % is at its target in the mean over whole swings."""
    swing = 1 + 0.02 * np.array([0.0, 1.0, 0.0, -1.0] * 25)
    parameter = FittedParameter("birks_ab", "", 0.8, 0.8, True, None, 0.8)
    result = FitResult("Settled.", True, "adam", (parameter,), 99, {"birks_ab": 0.8 * swing}, {})
    assert distance_history(result).max() == pytest.approx(0.02)
    assert distance_history(result, 4)[3:].max() < 1e-12
    assert distance_history(result, 4)[1] == pytest.approx(0.01)
