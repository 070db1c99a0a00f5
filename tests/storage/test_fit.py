"""Fit results come back as they were; the JSON beside them is the documented one."""

import json
import math
from dataclasses import replace

import h5py
import numpy as np
import pytest

from pipeline.errors import FileFormatError, FitError
from pipeline.storage.fit import read_comparisons, read_fit, read_fit_summary, write_fit
from pipeline.storage.provenance import Provenance
from pipeline.tables import Comparison, FitResult, FittedParameter, Uncertainty

PROVENANCE = Provenance("fit", {"seed": 1}, {}, "1" * 64)
RESULT = FitResult(
    status="Converged after 2 steps.",
    converged=True,
    method="gauss_newton",
    parameters=(
        FittedParameter("birks_ab", "", 0.8, 0.82, True, target=0.82),
        FittedParameter("electron_lifetime", "us", 2200.0, 811.5, True, uncertainty=3.5),
        FittedParameter("density", "g/cm3", 1.38, 1.38, False),
    ),
    iterations=2,
    history={"birks_ab": np.array([0.8, 0.81, 0.82]), "objective": np.array([3.0, 1.0, 1e-9])},
    diagnostics={"matched": 120.0, "condition": math.inf},
    warnings=("The lifetime left the range of the table.", "µ"),
)


def same(one: FitResult, other: FitResult) -> None:
    assert replace(one, history={}) == replace(other, history={})
    assert set(one.history) == set(other.history)
    for name in one.history:
        np.testing.assert_array_equal(one.history[name], other.history[name])


@pytest.mark.parametrize("result", [RESULT, replace(RESULT, warnings=(), history={}, diagnostics={}, converged=False)])
def test_result_comes_back(result, tmp_path):
    write_fit(tmp_path / "fit.h5", result, PROVENANCE)
    same(read_fit(tmp_path / "fit.h5"), result)


def test_json_beside_is_the_documented_one(tmp_path):
    write_fit(tmp_path / "fit.h5", RESULT, PROVENANCE)
    assert json.loads((tmp_path / "fit.json").read_text()) == {
        "schema": 1,
        "status": "Converged after 2 steps.",
        "converged": True,
        "parameters": [
            {"name": "birks_ab", "unit": "", "initial": 0.8, "value": 0.82, "uncertainty": None, "target": 0.82},
            {"name": "electron_lifetime", "unit": "us", "initial": 2200.0, "value": 811.5, "uncertainty": 3.5,
             "target": None},
        ],
        "iterations": 2,
    }  # fmt: skip


def test_same_content_is_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_fit(tmp_path / name / "fit.h5", RESULT, PROVENANCE)
    for suffix in ("h5", "json"):
        assert (tmp_path / "a" / f"fit.{suffix}").read_bytes() == (tmp_path / "b" / f"fit.{suffix}").read_bytes()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_numbers_are_refused_and_nothing_is_written(value, tmp_path):
    broken = replace(RESULT, parameters=(replace(RESULT.parameters[0], value=value),))
    with pytest.raises(FitError, match="birks_ab"):
        write_fit(tmp_path / "fit.h5", broken, PROVENANCE)
    assert not list(tmp_path.iterdir())


def test_name_that_would_be_its_own_summary_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"must end in \.h5"):
        write_fit(tmp_path / "fit.json", RESULT, PROVENANCE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["parameters", "history", "diagnostics", "warnings"])
def test_incomplete_files_are_refused(part, tmp_path):
    path = tmp_path / "fit.h5"
    write_fit(path, RESULT, PROVENANCE)
    with h5py.File(path, "r+") as file:
        del file[part]
    with pytest.raises(FileFormatError, match="truncated or damaged") as caught:
        read_fit(path)
    assert "\n" not in str(caught.value)


def test_truncated_and_damaged_files_never_end_in_a_traceback(tmp_path):
    path = tmp_path / "fit.h5"
    write_fit(path, RESULT, PROVENANCE)
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 30).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(FileFormatError):
            read_fit(path)
    rng = np.random.default_rng(6)
    for _ in range(60):
        damaged = bytearray(whole)
        start = int(rng.integers(len(whole)))
        damaged[start : start + 8] = rng.bytes(len(damaged[start : start + 8]))
        path.write_bytes(damaged)
        try:
            read_fit(path)
        except FileFormatError as error:
            assert str(path) in str(error)


def comparison(rows: int = 4) -> Comparison:
    """Hits of which the first only the model has and the last only the data."""
    number = np.arange(rows)
    model, data = (number[:, None] + np.array([[100.0, 0.1]]) for _ in range(2))
    data[:1], model[-1:] = np.nan, np.nan
    return Comparison(number, 7 * number, number % 2, model, data, 0.5 * number, number % 3, ("adc", "t"))


@pytest.mark.parametrize("rows", [4, 0])
def test_comparisons_of_hits_come_back(rows, tmp_path):
    given = {"fitted": comparison(rows), "initial": comparison(1)}
    write_fit(tmp_path / "fit.h5", RESULT, PROVENANCE, given)
    found = read_comparisons(tmp_path / "fit.h5")
    assert set(found) == set(given)
    for name, expected in given.items():
        assert found[name].value_names == ("adc", "t")
        for column in ("event", "channel", "order", "model", "data", "supply", "reason"):
            np.testing.assert_array_equal(getattr(found[name], column), getattr(expected, column))
    same(read_fit(tmp_path / "fit.h5"), RESULT)
    with h5py.File(tmp_path / "fit.h5") as file:
        units = {name: str(value) for name, value in file["comparison/fitted"].attrs.items() if "unit" in name}
    assert units["unit_data_adc"] == "counts" and units["unit_model_t"] == "us"


def test_a_file_without_comparisons_has_none(tmp_path):
    write_fit(tmp_path / "fit.h5", RESULT, PROVENANCE)
    assert read_comparisons(tmp_path / "fit.h5") == {}


@pytest.mark.parametrize("spoil", ["column", "names", "reason"])
def test_incomplete_comparisons_are_refused(spoil, tmp_path):
    path = tmp_path / "fit.h5"
    write_fit(path, RESULT, PROVENANCE, {"fitted": comparison()})
    with h5py.File(path, "r+") as file:
        table = file["comparison/fitted"]
        if spoil == "names":
            table.attrs["value_names"] = '["adc", "depth"]'
        elif spoil == "column":
            del file["comparison/fitted"]
            file["comparison/fitted"] = np.zeros(3)
        else:
            rows = table[()]
            del file["comparison/fitted"]
            file["comparison"].create_dataset("fitted", data=rows)
    with pytest.raises(FileFormatError, match="truncated or damaged"):
        read_comparisons(path)


UNCERTAINTY = Uncertainty(
    kind="sandwich",
    names=("birks_ab", "electron_lifetime"),
    covariance=np.array([[4e-4, -0.07], [-0.07, 49.0]]),
    eigenvalues=np.array([0.5, 1.5]),
    eigenvectors=np.array([[0.6, 0.8], [-0.8, 0.6]]),
    directions=("A_B and tau are not told apart well: 5 µs.",),
    others={"observed information": np.array([[1.0, 0.1], [0.1, 2.0]]), "Minuit": np.eye(2)},
    intervals={"birks_ab": (0.8, 0.84)},
    caveats=("The fit did not converge.",),
)


def assert_same_uncertainty(one: Uncertainty, other: Uncertainty) -> None:
    for name in ("kind", "names", "directions", "intervals", "caveats"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("covariance", "eigenvalues", "eigenvectors"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert set(one.others) == set(other.others)
    for name in one.others:
        np.testing.assert_array_equal(one.others[name], other.others[name])


@pytest.mark.parametrize(
    "uncertainty",
    [
        UNCERTAINTY,
        replace(UNCERTAINTY, others={}, intervals={}, directions=(), caveats=()),
        replace(UNCERTAINTY, covariance=np.full((2, 2), np.nan), eigenvalues=np.array([0.0, 2.0])),
    ],
)
def test_uncertainty_comes_back_whole(uncertainty, tmp_path):
    for name in ("a", "b"):
        write_fit(tmp_path / name / "fit.h5", replace(RESULT, uncertainty=uncertainty), PROVENANCE)
    found = read_fit(tmp_path / "a" / "fit.h5")
    assert_same_uncertainty(found.uncertainty, uncertainty)
    same(replace(found, uncertainty=None), RESULT)
    for suffix in ("h5", "json"):
        assert (tmp_path / "a" / f"fit.{suffix}").read_bytes() == (tmp_path / "b" / f"fit.{suffix}").read_bytes()


def test_json_tells_correlation_condition_and_weakest_directions(tmp_path):
    write_fit(tmp_path / "fit.h5", replace(RESULT, uncertainty=UNCERTAINTY), PROVENANCE)
    found = json.loads((tmp_path / "fit.json").read_text())
    assert found["uncertainty_kind"] == "sandwich"
    assert found["correlation"] == {"names": ["birks_ab", "electron_lifetime"], "matrix": [[1.0, -0.5], [-0.5, 1.0]]}
    assert found["condition_number"] == 3.0
    assert found["weakest"] == ["A_B and tau are not told apart well: 5 µs."]
    assert found["caveats"] == ["The fit did not converge."]
    assert read_fit_summary(tmp_path / "fit.json").parameters[1].uncertainty == 3.5


def test_what_is_not_known_is_null_in_the_json(tmp_path):
    nothing = replace(UNCERTAINTY, covariance=np.full((2, 2), np.nan), eigenvalues=np.array([-0.1, 2.1]))
    write_fit(tmp_path / "fit.h5", replace(RESULT, uncertainty=nothing), PROVENANCE)
    found = json.loads((tmp_path / "fit.json").read_text())
    assert found["correlation"]["matrix"] == [[None, None], [None, None]] and found["condition_number"] is None


@pytest.mark.parametrize("part", ["names", "covariance", "others", "intervals"])
def test_incomplete_uncertainties_are_refused(part, tmp_path):
    path = tmp_path / "fit.h5"
    write_fit(path, replace(RESULT, uncertainty=UNCERTAINTY), PROVENANCE)
    with h5py.File(path, "r+") as file:
        del file["uncertainty"][part]
    with pytest.raises(FileFormatError, match="truncated or damaged"):
        read_fit(path)


def test_matrices_of_another_number_of_parameters_are_refused(tmp_path):
    path = tmp_path / "fit.h5"
    write_fit(path, replace(RESULT, uncertainty=replace(UNCERTAINTY, names=("birks_ab",))), PROVENANCE)
    with pytest.raises(FileFormatError, match="truncated or damaged"):
        read_fit(path)
