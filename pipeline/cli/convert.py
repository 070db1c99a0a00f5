"""`gradcal convert`: any file of energy deposits into our own form."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "convert an edep-sim ROOT or HDF5 file into HDF5 with the present names"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal convert`."""
    from .common import add_config_arguments

    add_config_arguments(parser, required=False)
    parser.add_argument("input", metavar="IN", type=Path, help="edep-sim ROOT file, or HDF5 file with old or new names")
    parser.add_argument("output", metavar="OUT.h5", type=Path, help="file of segments to write")
    parser.add_argument(
        "--sensitive-detector",
        metavar="NAME",
        action="append",
        help="detector of a ROOT file to read (may be repeated; instead of sample.sensitive_detectors)",
    )
    parser.add_argument(
        "--event-number",
        choices=("EventId", "entry"),
        help="event number of a ROOT file: its EventId, or the entry, as the 2022 converter did (instead of "
        "sample.event_number)",
    )


def main(args: argparse.Namespace) -> None:
    """Read, check format, numbers and lengths, and write."""
    from ..config.load import config_slice
    from ..storage.atomic import check_output
    from ..storage.provenance import Provenance
    from ..storage.segments import write_segments
    from .common import config_files, config_of, read_checked, say

    config = config_of(args)
    check_output(args.output, args.input, *config_files(args))
    given: dict[str, object] = {}
    if args.sensitive_detector:
        given["sensitive_detectors"] = tuple(args.sensitive_detector)
    if args.event_number:
        given["event_number"] = args.event_number
    sample = config.sample.model_copy(update=given)
    config = config.model_copy(update={"sample": sample})
    # No detector is known here, so nothing is tested against one; the axes are swapped on reading and back on writing.
    found = read_checked(args.input, config, None)
    settings = config_slice(config, "sample.sensitive_detectors", "sample.event_number", "checks")
    provenance = Provenance.of("convert", settings, inputs={"segments": args.input}, module="pipeline.cli.convert")
    write_segments(args.output, found.segments, provenance, true_pdg_id=found.true_pdg_id)
    events = len(set(found.segments.event_id.tolist()))
    say(f"{args.output}: {len(found.segments)} segments, {events} events, {found.segments.length.sum():.1f} cm.")
