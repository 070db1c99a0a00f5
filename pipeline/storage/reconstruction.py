"""Files of reconstructed tracks: segments in the layout of every file of segments, and tables beside them.

`segments` is what simulation and fits take, in the edep-sim frame as always. `tracks`, `track_segments` (row by row
with `segments`) and `hit_track` (row by row with the file of hits) are in the simulation frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from ..errors import FileFormatError
from ..tables import SPECIES, Assumed, CutStep, Reconstruction, TimeOffset, Tracks
from .hdf5 import attribute, check_kind, open_hdf5, read_table, write_table
from .provenance import Provenance
from .segments import KIND, read_segment_table, write_segments

_TABLES = ("tracks", "track_segments", "hit_track")
#: Group of the assumed parameter values, and table of the times of events, where they were found.
_VALUES = "parameters"
_OFFSETS = "event_offsets"
_OFFSET_TYPES = {"event_id": "i8", "offset": "f8", "ends": "i8"}
_OFFSET_UNITS = {"offset": "us"}
_WHOLE = ("event_id", "track_id", "hits", "cathode", "anode", "contained")
_POINTS = ("start", "end", "direction")
#: The upper triangle of the covariance of a track's line: offsets 0 and 1 [cm], slopes 2 and 3.
_PAIRS = [(i, j) for i in range(4) for j in range(i, 4)]
_COVARIANCE = {f"covariance_{i}{j}": (i, j) for i, j in _PAIRS}
_TRACK_TYPES = (
    {name: "i8" for name in _WHOLE}
    | {name: "f8" for name in ("length", "rms")}
    | {f"{point}_{axis}": "f8" for point in _POINTS for axis in "xyz"}
    | {name: "f8" for name in _COVARIANCE}
    | {f"probability_{species}": "f8" for species in SPECIES}
)
_TRACK_UNITS = (
    {name: "cm" for name in ("length", "rms")}
    | {f"{point}_{axis}": "cm" for point in ("start", "end") for axis in "xyz"}
    | {name: {0: "cm2", 1: "cm", 2: "1"}[(i > 1) + (j > 1)] for name, (i, j) in _COVARIANCE.items()}
)
_SEGMENT_TYPES = {
    "track": "i8",
    "residual_range": "f8",
    "position_error_1": "f8",
    "position_error_2": "f8",
    "charge": "f8",
    "knocked_out": "f8",
}
_SEGMENT_UNITS = {
    "residual_range": "cm", "position_error_1": "cm", "position_error_2": "cm", "charge": "electrons",
    "knocked_out": "MeV",
}  # fmt: skip


def write_reconstruction(
    path: Path | str,
    found: Reconstruction,
    provenance: Provenance,
    assumed: Assumed,
    *,
    cut_flow: Sequence[CutStep] | None = None,
    drift_axis: Literal["x", "z"] = "x",
) -> None:
    """Write tracks, and what they rest on; `cut_flow` is that of cuts on them.

    Raises `FileFormatError` if the folder cannot be written.
    """

    def beside(file: h5py.File) -> None:
        write_table(file, "tracks", _track_columns(found.tracks), _TRACK_TYPES, _TRACK_UNITS)
        columns = {
            "track": _rows_of_segments(found),
            "residual_range": found.residual_range,
            "position_error_1": found.position_error[:, 0],
            "position_error_2": found.position_error[:, 1],
            "charge": found.charge,
            "knocked_out": found.knocked_out,
        }
        write_table(file, "track_segments", columns, _SEGMENT_TYPES, _SEGMENT_UNITS)
        write_table(file, "hit_track", {"track": found.hit_track}, {"track": "i8"}, {})
        for name in _TABLES:
            file[name].attrs["frame"] = "simulation"
        write_assumed(file, assumed)

    write_segments(path, found.segments, provenance, cut_flow=cut_flow, drift_axis=drift_axis, extra=beside)


def write_assumed(file: h5py.File, assumed: Assumed) -> None:
    """Write what reconstructed segments rest on into their file, which is open."""
    values = {name: float(value) for name, value in assumed.values.items()}
    file.create_group(_VALUES).attrs.update(values)
    if assumed.times is not None:
        events = sorted(assumed.times)
        columns = {
            "event_id": np.array(events, dtype=np.int64),
            "offset": np.array([assumed.times[event].value for event in events]),
            "ends": np.array([assumed.times[event].ends for event in events], dtype=np.int64),
        }
        write_table(file, _OFFSETS, columns, _OFFSET_TYPES, _OFFSET_UNITS)


def read_assumed(path: Path | str) -> Assumed | None:
    """What the segments of a file rest on, if they were reconstructed, perturbed since or not; None for other files.

    Raises `FileFormatError` for a damaged table.
    """
    if not _holds(path, _VALUES):
        return None
    with open_hdf5(path) as file:
        values = {name: float(value) for name, value in file[_VALUES].attrs.items()}
        if _OFFSETS not in file:
            return Assumed(values)
        read = read_table(file, _OFFSETS, _OFFSET_TYPES, _OFFSET_UNITS)
    rows = zip(read["event_id"].tolist(), read["offset"].tolist(), read["ends"].tolist(), strict=True)
    return Assumed(values, {event: TimeOffset(value, ends) for event, value, ends in rows})


def read_reconstruction(path: Path | str, drift_axis: Literal["x", "z"] = "x") -> Reconstruction:
    """Read what `write_reconstruction` wrote; raises `FileFormatError` for other files."""
    with open_hdf5(path) as file:
        check_kind(file, KIND)
        if "tracks" not in file:
            raise FileFormatError(f"{path} holds no reconstructed tracks; it is written by `gradcal reconstruct`.")
        tracks = read_table(file, "tracks", _TRACK_TYPES, _TRACK_UNITS)
        beside = read_table(file, "track_segments", _SEGMENT_TYPES, _SEGMENT_UNITS)
        hit_track = read_table(file, "hit_track", {"track": "i8"}, {})["track"]
    segments, _ = read_segment_table(path, "segments", drift_axis)
    count = len(tracks["event_id"])
    rows = np.concatenate([beside["track"], hit_track])
    if len(beside["track"]) != len(segments) or (rows >= count).any() or (rows < -1).any():
        raise FileFormatError(f"{path}: its segments, tracks and hits do not belong together; make it again.")
    error = np.stack([beside["position_error_1"], beside["position_error_2"]], axis=1)
    return Reconstruction(
        _tracks(tracks), segments, beside["residual_range"], error, beside["charge"], beside["knocked_out"], hit_track
    )


def read_tracks(path: Path | str) -> Tracks | None:
    """The tracks of a file of reconstructed segments, and what they may be; None for other files.

    Raises `FileFormatError` for a damaged table.
    """
    if not _holds(path, "tracks"):
        return None
    with open_hdf5(path) as file:
        return _tracks(read_table(file, "tracks", _TRACK_TYPES, _TRACK_UNITS))


def _holds(path: Path | str, name: str) -> bool:
    """Whether a file is one of segments of this project, and `name` is in it."""
    try:
        with open_hdf5(path) as file:
            return attribute(file, "kind") == KIND and name in file
    except FileFormatError:  # a ROOT file
        return False


def _tracks(tracks: Mapping[str, np.ndarray]) -> Tracks:
    covariance = np.zeros((len(tracks["event_id"]), 4, 4))
    for name, (i, j) in _COVARIANCE.items():
        covariance[:, i, j] = covariance[:, j, i] = tracks[name]
    return Tracks(
        event_id=tracks["event_id"],
        track_id=tracks["track_id"],
        hits=tracks["hits"],
        length=tracks["length"],
        rms=tracks["rms"],
        cathode=tracks["cathode"] > 0,
        anode=tracks["anode"],
        contained=tracks["contained"] > 0,
        covariance=covariance,
        probability=np.stack([tracks[f"probability_{species}"] for species in SPECIES], axis=1),
        **{point: np.stack([tracks[f"{point}_{axis}"] for axis in "xyz"], axis=1) for point in _POINTS},
    )


def _track_columns(tracks: Tracks) -> dict[str, np.ndarray]:
    columns = {name: getattr(tracks, name) for name in (*_WHOLE, "length", "rms")}
    columns |= {f"{point}_{axis}": getattr(tracks, point)[:, i] for point in _POINTS for i, axis in enumerate("xyz")}
    columns |= {name: tracks.covariance[:, i, j] for name, (i, j) in _COVARIANCE.items()}
    return columns | {f"probability_{species}": tracks.probability[:, i] for i, species in enumerate(SPECIES)}


def _rows_of_segments(found: Reconstruction) -> np.ndarray:
    """`(n,)` row in `tracks` of the track of each segment."""
    row = {key: i for i, key in enumerate(zip(found.tracks.event_id.tolist(), found.tracks.track_id.tolist()))}
    keys = zip(found.segments.event_id.tolist(), found.segments.traj_id.tolist())
    return np.array([row[key] for key in keys], dtype=np.int64)
