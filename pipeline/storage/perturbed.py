"""Files of perturbed segments: what a fit gets, with the truth and the record of what was done beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py

from ..errors import FileFormatError
from ..perturb.record import Step
from ..tables import Assumed, CutStep, Ints, Segments
from .hdf5 import attribute, check_kind, open_hdf5, write_table
from .provenance import Provenance
from .reconstruction import write_assumed
from .segments import read_segment_table, write_segment_table, write_segments

_TRUTH = "truth"
_RECORD = "perturbations"


@dataclass(frozen=True)
class Truth:
    """The segments before any perturbation (simulation frame), and their true species where labels are wrong."""

    segments: Segments
    true_pdg_id: Ints | None


def write_perturbed(
    path: Path | str,
    segments: Segments,
    truth: Truth,
    steps: Sequence[Step],
    provenance: Provenance,
    *,
    assumed: Assumed | None = None,
    cut_flow: Sequence[CutStep] | None = None,
    drift_axis: Literal["x", "z"] = "x",
) -> None:
    """Write perturbed segments, the truth in a table of the same layout, and a group with an entry for each step.

    `cut_flow` is that of the truth, and `assumed` what it rests on if it was reconstructed. Raises `FileFormatError` if
    the folder cannot be written.
    """

    def beside(file: h5py.File) -> None:
        write_segment_table(file, _TRUTH, truth.segments, drift_axis, truth.true_pdg_id)
        record = file.create_group(_RECORD)
        for number, step in enumerate(steps):
            entry = record.create_group(f"{number:03d}")
            entry.attrs["settings"] = step.settings
            entry.attrs["notes"] = json.dumps(step.notes)
            _write_drawn(entry, step)
        if assumed is not None:
            write_assumed(file, assumed)

    write_segments(path, segments, provenance, cut_flow=cut_flow, drift_axis=drift_axis, extra=beside)


def _write_drawn(entry: h5py.Group, step: Step) -> None:
    drawn = step.drawn
    if drawn is None:
        return
    ids = {"event_id": drawn.event_id} | ({} if drawn.traj_id is None else {"traj_id": drawn.traj_id})
    types = dict.fromkeys(ids, "i8") | dict.fromkeys(drawn.values, "f8")
    # Unlike the segments in a file: x, y and z of the settings are those of the simulation frame.
    write_table(entry, "drawn", {**ids, **drawn.values}, types, drawn.units).attrs["frame"] = "simulation"


def read_truth(path: Path | str, drift_axis: Literal["x", "z"] = "x") -> Truth:
    """The segments that a file of perturbed segments was made from.

    Raises `FileFormatError` for a file that `gradcal perturb` did not write.
    """
    with open_hdf5(path) as file:
        check_kind(file, "segments")
        if _TRUTH not in file:
            raise FileFormatError(f"{path} has no truth beside its segments; it is written by `gradcal perturb`.")
    return Truth(*read_segment_table(path, _TRUTH, drift_axis))


def read_perturbations(path: Path | str) -> list[dict[str, Any]]:
    """Settings of the perturbations that the segments of a file have gone through, in order; empty for other files.

    Raises `FileFormatError` if the record is damaged.
    """
    with open_hdf5(path) as file:
        record = file.get(_RECORD)
        if not isinstance(record, h5py.Group):
            return []
        texts = [attribute(record[name], "settings") for name in sorted(record)]
    try:
        settings = [json.loads(text) for text in texts]
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: the record of its perturbations is damaged; make it again.") from error
    if not all(isinstance(one, dict) and "kind" in one for one in settings):
        raise FileFormatError(f"{path}: the record of its perturbations is damaged; make it again.")
    return settings
