"""Files of fit results: HDF5 with everything, and a short JSON beside it for people and scripts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import FileFormatError, FitError
from ..tables import Comparison, FitResult, FittedParameter
from .atomic import atomic_output
from .hdf5 import SCHEMA, check_kind, mark, open_hdf5, write_table
from .provenance import Provenance, write_provenance
from .uncertainty import read_uncertainty, uncertainty_summary, write_uncertainty

_KIND = "fit"
_TEXT = h5py.string_dtype()
_PARAMETER = np.dtype(
    [
        ("name", _TEXT),
        ("unit", _TEXT),
        ("initial", "f8"),
        ("value", "f8"),
        ("free", "?"),
        ("uncertainty", "f8"),
        ("target", "f8"),
    ]
)

#: Columns of a comparison, the fields they hold, and the units of the values that a readout gives.
_COMPARED = {"event_id": "event", "channel": "channel", "hit": "order", "supply": "supply", "reason": "reason"}
_COMPARISON = {"event_id": "i8", "channel": "i8", "hit": "i4", "supply": "f8", "reason": "i4"}
_UNITS = {"adc": "counts", "t": "us"}


def write_fit(
    path: Path | str,
    result: FitResult,
    provenance: Provenance,
    comparison: Mapping[str, Comparison] | None = None,
) -> None:
    """Write `OUT.h5` and `OUT.json` beside it.

    The JSON lists the parameters that were free; the HDF5 file all, the history and the diagnostics, with NaN where an
    uncertainty or a target is unknown, and each `comparison` of model and data by its name. Raises `FitError` for
    values that are not finite, `FileFormatError` for an output that cannot be written.
    """
    if Path(path).suffix == ".json":
        raise FileFormatError(f"{path} must end in .h5; the JSON is written beside it.")
    text = json.dumps(_summary(path, result), indent=2, allow_nan=False) + "\n"
    rows = [
        (p.name, p.unit, p.initial, p.value, p.free, _or_nan(p.uncertainty), _or_nan(p.target))
        for p in result.parameters
    ]
    with atomic_output(path) as temporary, atomic_output(Path(path).with_suffix(".json")) as beside:
        with h5py.File(temporary, "w") as file:
            mark(file, _KIND)
            file.attrs["status"] = result.status
            file.attrs["converged"] = result.converged
            file.attrs["method"] = result.method
            file.attrs["iterations"] = result.iterations
            file.create_dataset("parameters", data=np.array(rows, dtype=_PARAMETER))
            file.create_dataset("warnings", data=np.array(result.warnings, dtype=object), dtype=_TEXT)
            history = file.create_group("history")
            for name in sorted(result.history):
                history.create_dataset(name, data=np.asarray(result.history[name], dtype=np.float64))
            file.create_group("diagnostics").attrs.update(
                {name: float(result.diagnostics[name]) for name in sorted(result.diagnostics)}
            )
            if result.uncertainty is not None:
                write_uncertainty(file.create_group("uncertainty"), result.uncertainty)
            if comparison:
                tables = file.create_group("comparison")
                for name in sorted(comparison):
                    _write_comparison(tables, name, comparison[name])
            write_provenance(file, provenance)
        beside.write_text(text, encoding="utf-8")


def read_fit(path: Path | str) -> FitResult:
    """Read what `write_fit` wrote; raises `FileFormatError` for other files."""
    with open_hdf5(path) as file:
        check_kind(file, _KIND)
        return FitResult(
            status=str(file.attrs["status"]),
            converged=bool(file.attrs["converged"]),
            method=str(file.attrs["method"]),
            parameters=tuple(_parameter(row) for row in file["parameters"][()]),
            iterations=int(file.attrs["iterations"]),
            history={name: dataset[()] for name, dataset in file["history"].items()},
            diagnostics={name: float(value) for name, value in file["diagnostics"].attrs.items()},
            warnings=tuple(text.decode() for text in file["warnings"][()]),
            uncertainty=read_uncertainty(file["uncertainty"]) if "uncertainty" in file else None,
        )


def read_fit_summary(path: Path | str) -> FitResult:
    """Read the JSON that `write_fit` writes beside a fit: free parameters only, no history and no diagnostics.

    Raises `FileFormatError` for other files.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return FitResult(
            status=str(content["status"]),
            converged=bool(content["converged"]),
            method=str(content.get("method", "")),
            parameters=tuple(FittedParameter(free=True, **_of_summary(row)) for row in content["parameters"]),
            iterations=int(content["iterations"]),
            history={},
            diagnostics={},
        )
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({(error.strerror or str(error)).lower()}).") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise FileFormatError(f"{path} is not the JSON of a fit as `gradcal fit` writes it; fit again.") from error


def _of_summary(row: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: None if row[name] is None else float(row[name]) for name in ("uncertainty", "target")}
    return (
        {"name": str(row["name"]), "unit": str(row["unit"])}
        | numbers
        | {n: float(row[n]) for n in ("initial", "value")}
    )


def read_comparisons(path: Path | str) -> dict[str, Comparison]:
    """The comparisons of model and data in a fit file, by name; empty for a file that has none.

    Raises `FileFormatError` for other files and for comparisons that are incomplete.
    """
    with open_hdf5(path) as file:
        check_kind(file, _KIND)
        if "comparison" not in file:
            return {}
        return {name: _comparison(dataset) for name, dataset in file["comparison"].items()}


def _write_comparison(group: h5py.Group, name: str, comparison: Comparison) -> None:
    values = {
        f"{side}_{value}": getattr(comparison, side)[:, i]
        for side in ("model", "data")
        for i, value in enumerate(comparison.value_names)
    }
    columns = {c: getattr(comparison, field) for c, field in _COMPARED.items()} | values
    types = _COMPARISON | dict.fromkeys(values, "f8")
    units = {column: unit for column in values if (unit := _UNITS.get(column.partition("_")[2]))}
    dataset = write_table(group, name, columns, types, {"supply": "thresholds", **units})
    dataset.attrs["value_names"] = json.dumps(comparison.value_names)


def _comparison(dataset: h5py.Dataset) -> Comparison:
    rows, names = dataset[()], tuple(json.loads(dataset.attrs["value_names"]))
    # Not by `read_table`: a side that lacks a hit has NaN.
    columns = {
        field: rows[column].astype(np.dtype(_COMPARISON[column]).kind + "8") for column, field in _COMPARED.items()
    }
    sides = {
        side: np.stack([rows[f"{side}_{name}"].astype(np.float64) for name in names], axis=1)
        for side in ("model", "data")
    }
    return Comparison(**columns, **sides, value_names=names)


def _summary(path: Path | str, result: FitResult) -> dict[str, Any]:
    for parameter in result.parameters:
        if not (math.isfinite(parameter.initial) and math.isfinite(parameter.value)):
            raise FitError(f"{path}: the fit gave {parameter.name} = {parameter.value}; try other start values.")
    return {
        "schema": SCHEMA,
        "status": result.status,
        "converged": result.converged,
        "parameters": [
            {
                "name": p.name,
                "unit": p.unit,
                "initial": p.initial,
                "value": p.value,
                "uncertainty": p.uncertainty,
                "target": p.target,
            }
            for p in result.parameters
            if p.free
        ],
        "iterations": result.iterations,
        **({} if result.uncertainty is None else uncertainty_summary(result.uncertainty)),
    }


def _parameter(row: Any) -> FittedParameter:
    return FittedParameter(
        name=row["name"].decode(),
        unit=row["unit"].decode(),
        initial=float(row["initial"]),
        value=float(row["value"]),
        free=bool(row["free"]),
        uncertainty=_or_none(row["uncertainty"]),
        target=_or_none(row["target"]),
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
