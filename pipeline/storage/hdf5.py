"""Opening our HDF5 files: what is missing, foreign or broken is said in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import FileFormatError, GradcalError

#: Version of the layout of every file we write.
SCHEMA = 1

# What h5py and NumPy raise when bytes inside a file do not make sense.
_BROKEN = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, OverflowError)


#: What to do with a fault: `refuse` it, or keep the sentence and go on (as `gradcal check` does).
Fault = Callable[[str], None]


def refuse(sentence: str) -> NoReturn:
    """End the reading of a file at its first fault."""
    raise FileFormatError(sentence)


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


def attribute(item: h5py.Group | h5py.Dataset, name: str) -> Any:
    """An attribute as a plain value, which can be compared; arrays as text, None where there is none."""
    value = item.attrs.get(name)
    return str(value) if isinstance(value, np.ndarray) else value


def check_kind(file: h5py.File, kind: str, fault: Fault = refuse) -> None:
    """Refuse a file of another kind or of another version of the layout."""
    found, schema = attribute(file, "kind"), attribute(file, "schema")
    if found != kind:
        what = f"is a file of {found}" if found else "was not written by gradcal"
        fault(f"{file.filename} {what}; a file of {kind} is needed here.")
    elif schema != SCHEMA:
        fault(f"{file.filename} has layout version {schema}, this program reads {SCHEMA}; make it again.")


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


class GrowingTable:
    """A dataset of records, as `write_table` makes it, whose rows come in parts."""

    #: Rows in one compressed piece of the file.
    _PIECE = 4096

    def __init__(self, group: h5py.Group, name: str, types: Mapping[str, str], units: Mapping[str, str]) -> None:
        self._types = np.dtype([(column, kind) for column, kind in types.items()])
        self.dataset: h5py.Dataset = group.create_dataset(
            name, (0,), self._types, maxshape=(None,), chunks=(self._PIECE,), compression="gzip", shuffle=True
        )
        self.dataset.attrs.update({f"unit_{column}": unit for column, unit in units.items()})

    def append(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add rows; `columns` has one array for every type."""
        rows = np.zeros(len(next(iter(columns.values()))), dtype=self._types)
        for column, values in columns.items():
            rows[column] = values
        before = len(self.dataset)
        self.dataset.resize((before + len(rows),))
        self.dataset[before:] = rows


def read_table(
    group: h5py.Group, name: str, types: Mapping[str, str], units: Mapping[str, str], fault: Fault = refuse
) -> dict[str, npt.NDArray[Any]]:
    """Read what `write_table` wrote: integers as i8, real numbers as f8.

    Raises `FileFormatError` if the table is missing. A column that is missing or holds no numbers, a unit that differs
    and a number that is not finite go to `fault`; where that returns, such columns are left out and such numbers kept.
    """
    where = f"{group.file.filename}: {name}"
    dataset = group.get(name)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.names is None or dataset.ndim != 1:
        raise FileFormatError(f"{where} is missing or not a table; the file is incomplete, make it again.")
    missing = [column for column in types if column not in dataset.dtype.names]
    if missing:
        fault(f"{where} lacks {', '.join(missing)}; the file is incomplete, make it again.")
    for column, unit in units.items():
        found = attribute(dataset, f"unit_{column}")
        if found != unit:
            fault(f"{where}.{column} is in {found or 'no stated unit'}, not in {unit}; convert it.")
    rows = dataset[()]
    found = {c: _numbers(rows[c], kind, f"{where}.{c}", fault) for c, kind in types.items() if c not in missing}
    return {column: numbers for column, numbers in found.items() if numbers is not None}


def _numbers(values: npt.NDArray[Any], kind: str, where: str, fault: Fault) -> npt.NDArray[Any] | None:
    wanted = np.dtype(kind).kind
    if values.ndim != 1 or values.dtype.kind not in ("iu" if wanted == "i" else "iuf"):
        fault(f"{where} holds {values.dtype}, not {'whole ' if wanted == 'i' else ''}numbers.")
        return None
    with np.errstate(invalid="ignore"):  # signalling NaNs
        numbers = values.astype(np.int64 if wanted == "i" else np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        fault(f"{where} is {numbers[bad[0]]} in row {bad[0]} ({len(bad)} such rows); every number must be finite.")
    return numbers
