"""Files of segments: edep-sim ROOT, HDF5 with the names of 2021-2022 or since 2023, and our own.

Files hold the edep-sim frame; the tables hold the simulation frame (drift along z). The axes are swapped here, once on
reading and once on writing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from ..checks import check_segments
from ..config.models import Checks
from ..detector.geometry import DetectorGeometry
from ..errors import FileFormatError
from ..tables import CutStep, Ints, Segments
from .atomic import atomic_output
from .hdf5 import Fault, attribute, check_kind, mark, open_hdf5, refuse, write_table
from .provenance import Provenance, write_provenance

#: Kind and frame of a file of segments, and types and units of its table.
KIND = "segments"
FRAME = "edep-sim"
_POINTS = tuple(f"{axis}_{end}" for end in ("start", "end") for axis in "xyz")
_WHOLE = ("event_id", "vertex_id", "segment_id", "traj_id", "pdg_id")
_REAL = (*_POINTS, "t0", "t0_start", "t0_end", "dE", "dx", "dEdx")
TYPES = {name: "i8" for name in _WHOLE} | {name: "f8" for name in _REAL}
UNITS = (
    {name: "cm" for name in (*_POINTS, "dx")}
    | {name: "us" for name in ("t0", "t0_start", "t0_end")}
    | {"dE": "MeV", "dEdx": "MeV/cm"}
)
#: Names that a quantity has had, the present one first. Beside `t0`, files since 2023 have a `t` of another meaning.
_NAMES = {
    "vertex_id": ("vertex_id", "vertexID"),
    "event_id": ("event_id", "eventID", "spillID", "vertexID"),
    "traj_id": ("traj_id", "trackID"),
    "pdg_id": ("pdg_id", "pdgId"),
    "t0": ("t0", "t"),
    "t0_start": ("t0_start", "t_start"),
    "t0_end": ("t0_end", "t_end"),
}
#: The true species of deposits whose label is wrong (`gradcal contaminate`); other files have no such column.
_TRUE_SPECIES = "true_pdg_id"
#: Numbering that older files lack, and from which it is then made up.
_OPTIONAL = ("vertex_id", "segment_id")


@dataclass(frozen=True)
class SegmentFile:
    """Checked segments in the simulation frame, and a sentence for everything that reading or checks changed.

    `true_pdg_id` `(n,)` holds the true species where `pdg_id` may be wrong (`gradcal contaminate`), else None.
    """

    segments: Segments
    warnings: tuple[str, ...]
    true_pdg_id: Ints | None = None


def read_segments(
    path: Path | str,
    *,
    checks: Checks,
    geometry: DetectorGeometry | None,
    sensitive_detectors: Sequence[str] = (),
    event_number: Literal["EventId", "entry"] = "EventId",
) -> SegmentFile:
    """Read and check the segments of a ROOT or HDF5 file.

    `geometry` None checks format and numbers only, and takes x for the drift axis of the file's frame.
    `sensitive_detectors` and `event_number` are for ROOT files, see `pipeline.storage.edepsim`. Raises
    `FileFormatError` and `SegmentError`.
    """
    path = Path(path)
    notes: list[str] = []
    true: Ints | None = None
    if _file_type(path) == "root":
        from .edepsim import read_edepsim

        raw, notes = read_edepsim(path, sensitive_detectors, event_number)
    else:
        raw, _, true = _read_hdf5(path)
    axis: Literal["x", "z"] = "x" if geometry is None else geometry.drift_axis
    checked = check_segments(_swapped(raw, axis), checks, geometry, str(path))
    true = None if true is None else true[checked.rows]
    return SegmentFile(checked.segments, (*notes, *checked.warnings), true)


@dataclass(frozen=True)
class RawSegments:
    """Segments as they stand in a file, unchecked but in the simulation frame, and what is wrong with its form.

    `names` and `layout` say in words how the file is laid out; `faults` are the sentences for which a command would
    refuse it; `absent` are columns (of the present names) that could not be read and hold zeros here. `entries` is the
    number of events that a ROOT file counts, None elsewhere.
    """

    segments: Segments
    layout: str
    frame: str
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    absent: frozenset[str] = frozenset()
    entries: int | None = None


def examine_segments(
    path: Path | str,
    *,
    drift_axis: Literal["x", "z"] = "x",
    sensitive_detectors: Sequence[str] = (),
    event_number: Literal["EventId", "entry"] = "EventId",
) -> RawSegments:
    """Read segments past everything that does not make reading impossible; for `gradcal check`.

    Arguments as for `read_segments`. Raises `FileFormatError` where nothing can be read.
    """
    path = Path(path)
    if _file_type(path) == "root":
        found = _examine_root(path, sensitive_detectors, event_number)
    else:
        found = _examine_hdf5(path)
    return replace(found, segments=_swapped(found.segments, drift_axis))


def _examine_root(path: Path, detectors: Sequence[str], event_number: Literal["EventId", "entry"]) -> RawSegments:
    from .edepsim import layout_of, read_edepsim

    layout, entries = layout_of(path)
    faults: list[str] = []
    try:
        segments, notes = read_edepsim(path, detectors, event_number)
    except FileFormatError as error:
        # Numbers of events that repeat, and detectors that are not there, do not keep the rest from being looked at.
        faults.append(str(error))
        segments, notes = read_edepsim(path, (), "entry")
    return RawSegments(
        segments, layout, "edep-sim, as always in such a file", tuple(faults), tuple(notes), entries=entries
    )


def _examine_hdf5(path: Path) -> RawSegments:
    faults: list[str] = []
    with open_hdf5(path) as file:
        dataset = file.get("segments")
        frame = dataset.attrs.get("frame") if isinstance(dataset, h5py.Dataset) else None
        names = set(_fields(path, dataset) or ()) if isinstance(dataset, h5py.Dataset) else set()
        ours = "kind" in file.attrs
    segments, absent, _ = _read_hdf5(path, faults.append)
    present = {name for name in _NAMES if name in names}
    layout = "HDF5, " + (
        "names used since 2023" if "event_id" in present and "traj_id" in present else "names of 2021 and 2022"
    )
    if ours:
        layout += ", written by gradcal"
    frame = f"{FRAME}, assumed (the file does not tell)" if frame is None else f"{frame}, as the file tells"
    return RawSegments(segments, layout, frame, tuple(faults), (), absent)


def write_segments(
    path: Path | str,
    segments: Segments,
    provenance: Provenance,
    *,
    cut_flow: Sequence[CutStep] | None = None,
    drift_axis: Literal["x", "z"] = "x",
    true_pdg_id: Ints | None = None,
    extra: Callable[[h5py.File], None] | None = None,
) -> None:
    """Write segments in the edep-sim frame, whose drift axis is `drift_axis`, with the names since 2023.

    `cut_flow` is kept as a table, `true_pdg_id` `(n,)` as a further column; `extra` writes what else the file holds.
    Raises `FileFormatError` if the folder cannot be written.
    """
    with atomic_output(path) as temporary, h5py.File(temporary, "w") as file:
        mark(file, KIND)
        write_segment_table(file, "segments", segments, drift_axis, true_pdg_id)
        if cut_flow is not None:
            _write_cut_flow(file, cut_flow)
        if extra is not None:
            extra(file)
        write_provenance(file, provenance)


def segment_columns(segments: Segments, drift_axis: Literal["x", "z"]) -> dict[str, npt.NDArray[Any]]:
    """The columns of a file's table `segments`, in its frame."""
    turned = _swapped(segments, drift_axis)
    columns: dict[str, npt.NDArray[Any]] = {name: getattr(turned, name) for name in _WHOLE}
    for i, name in enumerate(_POINTS):
        columns[name] = (turned.start if i < 3 else turned.end)[:, i % 3]
    return columns | {name: getattr(turned, name) for name in _REAL if name not in _POINTS}


def write_segment_table(
    file: h5py.File, name: str, segments: Segments, drift_axis: Literal["x", "z"], true_pdg_id: Ints | None = None
) -> None:
    """Write one table of segments in the edep-sim frame; arguments as for `write_segments`."""
    columns = segment_columns(segments, drift_axis)
    types = dict(TYPES)
    if true_pdg_id is not None:
        columns[_TRUE_SPECIES], types[_TRUE_SPECIES] = true_pdg_id, "i8"
    write_table(file, name, columns, types, UNITS).attrs["frame"] = FRAME


def read_segment_table(
    path: Path | str, name: str, drift_axis: Literal["x", "z"] = "x"
) -> tuple[Segments, Ints | None]:
    """Read what `write_segment_table` wrote: segments in the simulation frame, unchecked, and their true species.

    Raises `FileFormatError` if there is no such table.
    """
    segments, _, true = _read_hdf5(Path(path), table=name)
    return _swapped(segments, drift_axis), true


def read_cut_flow(path: Path | str) -> list[CutStep]:
    """The cut flow of a file that a selection wrote; raises `FileFormatError` if there is none."""
    with open_hdf5(path) as file:
        check_kind(file, KIND)
        if "cut_flow" not in file:
            raise FileFormatError(f"{path} has no cut flow; it is written by `gradcal select`.")
        return [
            CutStep(row["name"].decode(), row["description"].decode(), *(row[n].item() for n in _FLOW_TYPES))
            for row in file["cut_flow"][()]
        ]


def cut_flow_of(path: Path | str) -> list[CutStep] | None:
    """The cut flow of a file of segments, None where no selection wrote it."""
    try:
        return read_cut_flow(path)
    except FileFormatError:
        return None


_FLOW_TYPES = {"events": "i8", "tracks": "i8", "segments": "i8", "length_cm": "f8"}


def _write_cut_flow(file: h5py.File, cut_flow: Sequence[CutStep]) -> None:
    texts = {name: [getattr(step, name).encode() for step in cut_flow] for name in ("name", "description")}
    # Text of fixed length: HDF5 leaves no trace of the heap that text of variable length would live in.
    types = {name: f"S{max(map(len, values), default=1)}" for name, values in texts.items()} | _FLOW_TYPES
    numbers = {name: np.array([getattr(step, name) for step in cut_flow]) for name in _FLOW_TYPES}
    write_table(file, "cut_flow", {n: np.array(v) for n, v in texts.items()} | numbers, types, {"length_cm": "cm"})


def _file_type(path: Path) -> Literal["root", "hdf5"]:
    """What the first bytes of a file say it is."""
    if not path.exists():
        raise FileFormatError(f"{path} does not exist; check the name of the file.")
    if path.is_dir():
        raise FileFormatError(f"{path} is a folder; give the name of a ROOT or HDF5 file.")
    try:
        with path.open("rb") as stream:
            first = stream.read(8)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({(error.strerror or str(error)).lower()}).") from error
    if not first:
        raise FileFormatError(f"{path} is empty (0 bytes); make or copy it again.")
    if first.startswith(b"root"):
        return "root"
    if first == b"\x89HDF\r\n\x1a\n":
        return "hdf5"
    raise FileFormatError(f"{path} is neither a ROOT nor an HDF5 file; give what edep-sim or a converter wrote.")


def _swapped(segments: Segments, drift_axis: Literal["x", "z"]) -> Segments:
    """x and z exchanged where the drift is along x: from either frame to the other."""
    if drift_axis == "z":
        return segments
    # Contiguous copies: a reversed view has negative strides, which torch does not take.
    return segments.replace(start=segments.start[:, ::-1].copy(), end=segments.end[:, ::-1].copy())


def _read_hdf5(
    path: Path, fault: Fault = refuse, table: str = "segments"
) -> tuple[Segments, frozenset[str], Ints | None]:
    """Segments in the file's frame, the columns that it lacks, and the true species where the file has them.

    Columns that are missing or hold no numbers go to `fault`; where that returns, they are filled with zeros.
    """
    with open_hdf5(path) as file:
        if "kind" in file.attrs:
            check_kind(file, KIND, fault)
        dataset = file.get(table)
        fields = _fields(path, dataset) if isinstance(dataset, h5py.Dataset) else None
        if fields is None or dataset.ndim != 1:
            there = ", ".join(sorted(file)) or "nothing"
            raise FileFormatError(f"{path}: there is no table `{table}` in this file (there is: {there}).")
        _check_attributes(path, dataset, fault)
        sources = _sources(path, fields, fault)
        rows = dataset[()]
    read = {name: _column(path, rows, source, TYPES[name], fault) for name, source in sources.items()}
    columns = {name: values for name, values in read.items() if values is not None}
    absent = frozenset(name for name in TYPES if name not in columns and name not in _OPTIONAL)
    columns |= {name: np.zeros(len(rows), dtype=TYPES[name]) for name in absent}
    columns.setdefault("vertex_id", np.zeros(len(rows), dtype=np.int64))
    columns.setdefault("segment_id", np.arange(len(rows), dtype=np.int64))
    points = np.stack([columns.pop(name) for name in _POINTS], axis=1)
    true = _column(path, rows, _TRUE_SPECIES, "i8", fault) if _TRUE_SPECIES in fields else None
    return Segments(start=points[:, :3].copy(), end=points[:, 3:].copy(), **columns), absent, true


def _fields(path: Path, dataset: h5py.Dataset) -> Sequence[str] | None:
    """The fields of a table; None if it is a plain array."""
    try:
        names: Sequence[str] | None = dataset.dtype.names
    except (UnicodeError, TypeError) as error:  # what h5py raises for damaged or exotic types
        raise FileFormatError(f"{path}: the fields of segments cannot be read ({error}); make it again.") from error
    return names


def _check_attributes(path: Path, dataset: h5py.Dataset, fault: Fault) -> None:
    """Believe what a file says of its frame and units; silence means the edep-sim frame, cm, us and MeV."""
    frame = dataset.attrs.get("frame", FRAME)
    if not str(frame).startswith(FRAME):
        fault(f"{path}: segments are in the frame {frame!r}; files must hold the {FRAME} frame.")
    for name, unit in UNITS.items():
        found = attribute(dataset, f"unit_{name}")
        if found not in (None, unit):
            fault(f"{path}: {name} of segments is in {found}, not in {unit}; convert it.")


def _sources(path: Path, there: Sequence[str], fault: Fault) -> dict[str, str]:
    """The name in the file of each quantity; a list of those that are missing goes to `fault`."""
    sources: dict[str, str] = {}
    missing: list[str] = []
    for name in TYPES:
        known = [n for n in _NAMES.get(name, (name,)) if n in there]
        if known:
            sources[name] = known[0]
        elif name not in _OPTIONAL:
            missing.append(" or ".join(_NAMES.get(name, (name,))[:2]))
    if missing:
        fault(f"{path}: segments lack the field{'s' * (len(missing) > 1)} {', '.join(missing)}.")
    return sources


def _column(path: Path, rows: npt.NDArray[Any], source: str, kind: str, fault: Fault) -> npt.NDArray[Any] | None:
    """One field as i8 or f8; None, after `fault`, where it holds something else."""
    values = rows[source]
    if values.ndim != 1 or values.dtype.kind not in ("iu" if kind == "i8" else "iuf"):
        whole = "whole " if kind == "i8" else ""
        fault(f"{path}: field {source} of segments holds {values.dtype}, not {whole}numbers.")
        return None
    with np.errstate(invalid="ignore"):  # signalling NaNs; the checks refuse every NaN with its row
        return values.astype(kind)
