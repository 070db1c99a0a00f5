"""Files of hits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..checks import HIT_KEY, misplaced_hits, negative_keys
from ..errors import FileFormatError
from ..parameters import table
from ..tables import Floats, Hits, Recording
from .atomic import atomic_output
from .hdf5 import Fault, attribute, check_kind, mark, open_hdf5, read_table, refuse, write_table
from .provenance import Provenance, read_provenance, write_provenance

_KIND = "hits"
_TYPES = dict(zip(Hits.COLUMNS, ("i8", "i4", "i4", "i4", "i4", "f4", "f4", "f4", "f8", "f4", "f4"), strict=True))
_UNITS = {"x": "cm", "y": "cm", "z": "cm", "t": "us", "adc": "counts", "charge": "electrons"}
#: Attributes of the table: widths of the noise [electrons], in the order of `Recording.noise`.
_NOISE = ("reset_noise", "sampling_noise", "discriminator_noise")
_EVENT_TYPES = {"event_id": "i8", "t0": "f8"}
_EVENT_UNITS = {"t0": "us"}


def write_hits(path: Path | str, hits: Hits, provenance: Provenance, attributes: Mapping[str, float | str]) -> None:
    """Write hits, sorted by event, tpc, pixel_x, pixel_y, hit.

    How they were recorded is written as far as it is known. `attributes` that are names of calibration parameters are
    the values the hits were simulated with (see `read_hits_truth`); others are kept as attributes of the table.
    """
    columns = {name: getattr(hits, name) for name in Hits.COLUMNS}
    order = np.lexsort([columns[name] for name in reversed(HIT_KEY)])
    events = sorted(hits.event_t0)
    parameters = {name: float(value) for name, value in attributes.items() if name in table()}
    with atomic_output(path) as temporary, h5py.File(temporary, "w") as file:
        mark(file, _KIND)
        dataset = write_table(file, "hits", {n: c[order] for n, c in columns.items()}, _TYPES, _UNITS)
        dataset.attrs["drift_velocity"] = float(hits.drift_velocity)
        dataset.attrs["unit_drift_velocity"] = "cm/us"
        dataset.attrs.update(_recording_attributes(hits.recording))
        dataset.attrs.update({name: value for name, value in attributes.items() if name not in parameters})
        t0 = np.array([hits.event_t0[event] for event in events], dtype=np.float64)
        write_table(file, "events", {"event_id": np.array(events, np.int64), "t0": t0}, _EVENT_TYPES, _EVENT_UNITS)
        file.create_group("parameters").attrs.update(parameters)
        write_provenance(file, provenance)


def read_hits(path: Path | str) -> Hits:
    """Read hits; raises `FileFormatError` for anything that `write_hits` does not write."""
    with open_hdf5(path) as file:
        check_kind(file, _KIND)
        columns: dict[str, Any] = read_table(file, "hits", _TYPES, _UNITS)
        velocity = float(file["hits"].attrs.get("drift_velocity", np.nan))
        events = read_table(file, "events", _EVENT_TYPES, _EVENT_UNITS)
        recording = _recording(file, columns["adc"])
    _check_order(path, columns)
    if not (np.isfinite(velocity) and velocity > 0):
        raise FileFormatError(
            f"{path}: hits has no drift_velocity [cm/us]; the meaning of z is unknown, make it again."
        )
    event_t0 = dict(zip(events["event_id"].tolist(), events["t0"].tolist(), strict=True))
    unknown = np.setdiff1d(columns["event_id"], events["event_id"])
    if len(unknown):
        raise FileFormatError(f"{path}: event {unknown[0]} has hits but no time in events; make the file again.")
    return Hits(**columns, drift_velocity=velocity, event_t0=event_t0, recording=recording)


@dataclass(frozen=True)
class RawHits:
    """Hits as they stand in a file, unchecked, and what is wrong with its form.

    `faults` are the sentences for which a command would refuse it; `absent` are columns that could not be read and
    hold zeros here.
    """

    hits: Hits
    faults: tuple[str, ...]
    absent: frozenset[str]


def examine_hits(path: Path | str) -> RawHits:
    """Read hits past everything that does not make reading impossible; for `gradcal check`.

    Raises `FileFormatError` where nothing can be read.
    """
    faults: list[str] = []
    with open_hdf5(path) as file:
        check_kind(file, _KIND, faults.append)
        columns: dict[str, Any] = read_table(file, "hits", _TYPES, _UNITS, faults.append)
        velocity = float(file["hits"].attrs.get("drift_velocity", np.nan))
        events = {}
        if "events" in file:
            events = read_table(file, "events", _EVENT_TYPES, _EVENT_UNITS, faults.append)
        else:
            faults.append(f"{path}: the table events is missing; the file is incomplete, make it again.")
        rows = len(file["hits"])
        recording = _recording(file, columns.get("adc", np.zeros(0)), faults.append)
    if not (np.isfinite(velocity) and velocity > 0):
        faults.append(f"{path}: hits has no drift_velocity [cm/us]; the meaning of z is unknown, make it again.")
    absent = frozenset(name for name in _TYPES if name not in columns)
    columns |= {name: np.zeros(rows, dtype=np.int64 if _TYPES[name][0] == "i" else np.float64) for name in absent}
    t0 = dict(zip(*(events[name].tolist() for name in _EVENT_TYPES), strict=True)) if len(events) == 2 else {}
    hits = Hits(**columns, drift_velocity=velocity, event_t0=t0, recording=recording)
    return RawHits(hits, tuple(faults), absent)


def read_hits_truth(path: Path | str) -> dict[str, float]:
    """The parameter values that the hits were simulated with; empty if the file tells none."""
    with open_hdf5(path) as file:
        check_kind(file, _KIND)
        if "parameters" not in file:
            return {}
        return {name: float(value) for name, value in file["parameters"].attrs.items()}


def read_hits_noise(path: Path | str) -> bool | None:
    """Whether the hits were simulated with electronics noise; None where the file does not tell."""
    with open_hdf5(path) as file:
        check_kind(file, _KIND)
        known = _recording(file, np.zeros(0)).noise
        noise = read_provenance(file).get("config", {}).get("noise") if known is None else any(known)
    return noise if isinstance(noise, bool) else None


def _recording_attributes(recording: Recording) -> dict[str, bool | float | str]:
    """How hits were recorded, as attributes of their table; what is not known is left out."""
    found: dict[str, bool | float | str] = {"integer": recording.integer}
    if recording.noise is not None:
        found |= dict(zip(_NOISE, recording.noise, strict=True))
    if recording.pixels is not None:
        found["pixels"] = recording.pixels
    return found


def _recording(file: h5py.File, adc: Floats, fault: Fault = refuse) -> Recording:
    """How hits were recorded; where nothing tells whether data are integer, they are if all their counts are whole."""
    table = file["hits"]
    integer, pixels = attribute(table, "integer"), attribute(table, "pixels")
    if not isinstance(integer, bool | np.bool_):
        if integer is not None:
            fault(f"{file.filename}: the attribute integer of hits is {integer!r}, neither true nor false; mend it.")
        integer = len(adc) > 0 and np.all(adc == np.round(adc))
    return Recording(bool(integer), _noise(file, fault), None if pixels is None else str(pixels))


def _noise(file: h5py.File, fault: Fault) -> tuple[float, float, float] | None:
    widths = [attribute(file["hits"], name) for name in _NOISE]
    if all(width is None for width in widths):
        return None
    if all(isinstance(width, int | float | np.number) and 0 <= width < np.inf for width in widths):
        return float(widths[0]), float(widths[1]), float(widths[2])
    fault(f"{file.filename}: the attributes {', '.join(_NOISE)} of hits must be widths in electrons; mend them.")
    return None


def _check_order(path: Path | str, columns: Mapping[str, np.ndarray]) -> None:
    negative = negative_keys(columns)
    if len(negative):
        raise FileFormatError(f"{path}: row {negative[0]} of hits has a negative tpc, pixel or hit number.")
    wrong = np.concatenate(misplaced_hits(columns))
    if len(wrong):
        raise FileFormatError(
            f"{path}: row {wrong.min()} of hits is out of order or a repetition; sort by {', '.join(HIT_KEY)}."
        )
