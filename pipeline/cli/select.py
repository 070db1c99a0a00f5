"""`gradcal select`: the segments that a calibration uses."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..tables import CutStep

HELP = "apply the selection cuts and print what each of them leaves"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal select`."""
    from .common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("input", metavar="IN", type=Path, help="file of segments: ROOT or HDF5")
    parser.add_argument("output", metavar="OUT.h5", type=Path, help="file of segments to write")


def main(args: argparse.Namespace) -> None:
    """Read, check, cut, write; print the cut flow."""
    from ..config.load import config_slice
    from ..select.cuts import apply_cuts
    from ..storage.atomic import check_output
    from ..storage.detector import detector_path, load_geometry
    from ..storage.provenance import Provenance
    from ..storage.segments import write_segments
    from .common import config_files, config_of, read_checked, say

    config = config_of(args)
    check_output(args.output, args.input, *config_files(args, config))
    geometry = load_geometry(config.detector.file)
    read = read_checked(args.input, config, geometry)
    selection = apply_cuts(read.segments, config.select, geometry, config.seed, str(args.input))
    settings = config_slice(
        config, "seed", "sample.sensitive_detectors", "sample.event_number", "checks", "select", "detector.file"
    )
    inputs = {"segments": args.input, "detector": detector_path(config.detector.file)}
    provenance = Provenance.of("select", settings, inputs=inputs, module="pipeline.cli.select")
    write_segments(
        args.output,
        selection.segments,
        provenance,
        cut_flow=selection.cut_flow,
        drift_axis=geometry.drift_axis,
        true_pdg_id=None if read.true_pdg_id is None else read.true_pdg_id[selection.rows],
    )
    print(cut_flow_table(selection.cut_flow))
    left = selection.cut_flow[-1]
    say(f"{args.output}: {left.segments} segments, {left.tracks} tracks, {left.length_cm:.1f} cm.")


def cut_flow_table(cut_flow: Sequence[CutStep]) -> str:
    """The cut flow as lines of text."""
    rows = [("", "events", "tracks", "segments", "length [cm]")]
    rows += [(s.description, str(s.events), str(s.tracks), str(s.segments), f"{s.length_cm:.1f}") for s in cut_flow]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, 5))]) for row in rows
    )
