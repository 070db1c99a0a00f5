"""Files of produced samples: energy deposits, and the trajectories of the particles that left them.

They are written in parts, so that a sample of any size needs the memory of one part.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import FileFormatError
from ..tables import Segments, Trajectories
from .atomic import atomic_output
from .hdf5 import GrowingTable, mark, open_hdf5, read_table
from .provenance import Provenance, write_provenance
from .segments import FRAME, KIND, TYPES, UNITS, segment_columns

_TABLE = "trajectories"
_POINTS = {f"{axis}_{end}": (end, i) for end in ("start", "end") for i, axis in enumerate("xyz")}
_COLUMNS = tuple(f.name for f in fields(Trajectories) if f.name not in ("start", "end"))
_WHOLE = tuple(name for name in _COLUMNS if name.endswith("_id") or name.endswith("_process"))
_TRAJECTORY_TYPES = {name: "i8" if name in _WHOLE else "f8" for name in (*_COLUMNS, *_POINTS)}
_TRAJECTORY_UNITS = (
    {name: "cm" for name in (*_POINTS, "path")}
    | {name: "us" for name in ("t_start", "t_end")}
    | {name: "MeV" for name in ("kinetic_start", "kinetic_end", "supply", "deposited", "escaped", "untracked")}
)


class SampleWriter:
    """Takes a sample part by part; segments are numbered through."""

    def __init__(self, file: h5py.File, drift_axis: Literal["x", "z"]) -> None:
        self._segments = GrowingTable(file, "segments", TYPES, UNITS)
        self._trajectories = GrowingTable(file, _TABLE, _TRAJECTORY_TYPES, _TRAJECTORY_UNITS)
        for table in (self._segments, self._trajectories):
            table.dataset.attrs["frame"] = FRAME
        self._trajectories.dataset.attrs["processes"] = ", ".join(Trajectories.PROCESSES)
        self._drift_axis: Literal["x", "z"] = drift_axis
        self._count = 0

    def add(self, segments: Segments, trajectories: Trajectories) -> None:
        """Append a part, whose events follow those before."""
        numbered = segments.replace(segment_id=np.arange(self._count, self._count + len(segments)))
        self._count += len(segments)
        self._segments.append(segment_columns(numbered, self._drift_axis))
        self._trajectories.append(_columns(trajectories, self._drift_axis))


@contextmanager
def sample_writer(path: Path | str, provenance: Provenance, drift_axis: Literal["x", "z"]) -> Iterator[SampleWriter]:
    """Write a produced sample, in edep-sim's frame, whose drift axis is `drift_axis`; whole or not at all."""
    with atomic_output(path) as temporary, h5py.File(temporary, "w") as file:
        mark(file, KIND)
        yield SampleWriter(file, drift_axis)
        write_provenance(file, provenance)


def has_trajectories(path: Path | str) -> bool:
    """Whether an HDF5 file is ours and holds trajectories: tables of that name of other programs are different."""
    with open_hdf5(path) as file:
        return "kind" in file.attrs and _TABLE in file


def read_trajectories(path: Path | str, drift_axis: Literal["x", "z"] = "x") -> Trajectories:
    """The trajectories of a produced sample, in the simulation frame; raises `FileFormatError` if there are none."""
    with open_hdf5(path) as file:
        columns = read_table(file, _TABLE, _TRAJECTORY_TYPES, _TRAJECTORY_UNITS)
        processes = str(file[_TABLE].attrs.get("processes", ""))
    if processes != ", ".join(Trajectories.PROCESSES):
        raise FileFormatError(f"{path}: its processes are not those of this version; produce it again.")
    points: dict[str, npt.NDArray[Any]] = {}
    for end in ("start", "end"):
        axes = "zyx" if drift_axis == "x" else "xyz"
        points[end] = np.stack([columns[f"{axis}_{end}"] for axis in axes], axis=1)
    return Trajectories(**{name: columns[name] for name in _COLUMNS}, **points)


def _columns(trajectories: Trajectories, drift_axis: Literal["x", "z"]) -> dict[str, npt.NDArray[Any]]:
    columns: dict[str, npt.NDArray[Any]] = {name: getattr(trajectories, name) for name in _COLUMNS}
    for name, (end, axis) in _POINTS.items():
        columns[name] = getattr(trajectories, end)[:, 2 - axis if drift_axis == "x" else axis]
    return columns
