"""Opening our HDF5 files: what is missing, foreign or broken is said in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import FileFormatError, GradcalError

#: Version of the layout of every file we write.
SCHEMA = 1

# What h5py and NumPy raise when bytes inside a file do not make sense.
_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError)


@contextmanager
def open_hdf5(path: Path | str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises `FileFormatError` if it is missing, is not HDF5, or reading it inside the block fails.
    """
    source = Path(path)
    if not source.exists():
        raise FileFormatError(f"{source} does not exist; check the name of the file.")
    if source.is_dir():
        raise FileFormatError(f"{source} is a folder; give the name of an HDF5 file.")
    try:
        with h5py.File(source, "r") as file:
            yield file
    except GradcalError:
        raise
    except PermissionError as error:
        raise FileFormatError(f"{source} cannot be read: permission denied.") from error
    except _BROKEN as error:
        raise FileFormatError(
            f"{source} is not a whole HDF5 file of the kind needed here (foreign, truncated or damaged); make it again."
        ) from error


def mark(file: h5py.File, kind: str) -> None:
    """Write the attributes by which `check_kind` knows a file."""
    file.attrs["kind"] = kind
    file.attrs["schema"] = SCHEMA


def check_kind(file: h5py.File, kind: str) -> None:
    """Refuse a file of another kind or of another version of the layout."""
    found, schema = file.attrs.get("kind"), file.attrs.get("schema")
    if found != kind:
        what = f"is a file of {found}" if found else "was not written by gradcal"
        raise FileFormatError(f"{file.filename} {what}; a file of {kind} is needed here.")
    if schema != SCHEMA:
        raise FileFormatError(
            f"{file.filename} has layout version {schema}, this program reads {SCHEMA}; make it again."
        )


def write_table(
    group: h5py.Group,
    name: str,
    columns: Mapping[str, npt.NDArray[Any]],
    types: Mapping[str, str],
    units: Mapping[str, str],
) -> h5py.Dataset:
    """Write columns as one dataset of records, with the unit of each column as an attribute `unit_<column>`."""
    rows = np.zeros(len(next(iter(columns.values()))), dtype=[(n, types[n]) for n in columns])
    for column, values in columns.items():
        rows[column] = values
    options = {"compression": "gzip", "shuffle": True} if len(rows) else {}  # an empty dataset has no chunks
    dataset = group.create_dataset(name, data=rows, **options)
    dataset.attrs.update({f"unit_{column}": unit for column, unit in units.items()})
    return dataset


def read_table(
    group: h5py.Group, name: str, types: Mapping[str, str], units: Mapping[str, str]
) -> dict[str, npt.NDArray[Any]]:
    """Read what `write_table` wrote: integers as i8, real numbers as f8.

    Raises `FileFormatError` if the table or a column is missing, a unit differs or a number is not finite.
    """
    where = f"{group.file.filename}: {name}"
    dataset = group.get(name)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.names is None or dataset.ndim != 1:
        raise FileFormatError(f"{where} is missing or not a table; the file is incomplete, make it again.")
    missing = [column for column in types if column not in dataset.dtype.names]
    if missing:
        raise FileFormatError(f"{where} lacks {', '.join(missing)}; the file is incomplete, make it again.")
    for column, unit in units.items():
        found = dataset.attrs.get(f"unit_{column}")
        if found != unit:
            raise FileFormatError(f"{where}.{column} is in {found or 'no stated unit'}, not in {unit}; convert it.")
    rows = dataset[()]
    return {column: _numbers(rows[column], kind, f"{where}.{column}") for column, kind in types.items()}


def _numbers(values: npt.NDArray[Any], kind: str, where: str) -> npt.NDArray[Any]:
    wanted = np.dtype(kind).kind
    if values.dtype.kind not in ("iu" if wanted == "i" else "iuf"):
        raise FileFormatError(f"{where} holds {values.dtype}, not {'whole ' if wanted == 'i' else ''}numbers.")
    numbers = values.astype(np.int64 if wanted == "i" else np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise FileFormatError(f"{where} is {numbers[bad[0]]} in row {bad[0]}; every number must be finite.")
    return numbers
