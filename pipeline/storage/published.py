"""Published fits of arXiv:2309.04639 at a few iterations, from a CSV table with a row per fit and parameter."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import FileFormatError
from ..parameters import CALIBRATED
from ..tables import Floats

#: Names of the calibrated parameters in the table.
_NAMES = dict(zip(("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff"), CALIBRATED, strict=True))
#: Iterations at which the table has values; the last stands for the end of the fit.
_ITERATIONS = (500, 1000, 2000, 3000, 5000)
_KEY = ("family", "target_seed", "data_seed")
_COLUMNS = (*_KEY, "param", "target", "init", "n_steps", *(f"val_{n}" for n in _ITERATIONS))


@dataclass(frozen=True)
class PublishedFit:
    """One published fit: `iterations` `(n,)`, the first 0, and `values` `(n,)` of every parameter (NaN: not known),
    with its `target`."""

    family: str
    target_seed: str
    data_seed: str
    iterations: Floats
    values: Mapping[str, Floats]
    target: Mapping[str, float]

    @property
    def distance(self) -> Floats:
        """`(n,)` largest relative distance of a parameter to its target."""
        apart = [np.abs(values / self.target[name] - 1.0) for name, values in self.values.items()]
        return np.asarray(np.max(apart, axis=0))


def read_published(path: Path) -> list[PublishedFit]:
    """Every fit of the table that has all six parameters; raises `FileFormatError` for other files."""
    rows: dict[tuple[str, ...], dict[str, dict[str, float]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise FileFormatError(
                    f"{path}: this is no table of published fits, the column {missing[0]} is missing."
                )
            for number, row in enumerate(reader, start=2):
                fit = rows.setdefault(tuple(row[name] for name in _KEY), {})
                fit[_name(row["param"], path, number)] = _numbers(row, path, number)
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path}: this is no table of published fits ({error}).") from error
    return [_fit(key, parameters) for key, parameters in rows.items() if len(parameters) == len(_NAMES)]


def _name(text: str, path: Path, number: int) -> str:
    if text not in _NAMES:
        raise FileFormatError(f"{path}: the parameter {text!r} in line {number} is none of {', '.join(_NAMES)}.")
    return _NAMES[text]


def _numbers(row: Mapping[str, str], path: Path, number: int) -> dict[str, float]:
    found = {}
    for name in _COLUMNS[4:]:
        try:
            found[name] = float(row[name]) if row[name] else math.nan
        except (TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: {name} in line {number} is {row[name]!r}, not a number.") from error
    return found


def _fit(key: tuple[str, ...], parameters: Mapping[str, Mapping[str, float]]) -> PublishedFit:
    steps = min(p["n_steps"] for p in parameters.values())
    iterations = np.array([0.0, *(min(float(n), steps) for n in _ITERATIONS)])
    values = {
        name: np.array([parameters[name]["init"], *(parameters[name][f"val_{n}"] for n in _ITERATIONS)])
        for name in CALIBRATED
    }
    family, target_seed, data_seed = key
    target = {name: parameters[name]["target"] for name in CALIBRATED}
    return PublishedFit(family, target_seed, data_seed, iterations, values, target)
