"""`gradcal report`: one HTML page about a sample and its fits."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.models import Config
    from ..detector.geometry import DetectorGeometry
    from ..report.outcome import Fit
    from ..report.page import Sample

HELP = "draw the page: selection, event display, fits against iteration, results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal report`."""
    from .common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("--segments", metavar="SEGMENTS.h5", type=Path, required=True, help="what the fits used")
    parser.add_argument(
        "--fits",
        metavar="FIT.h5",
        type=Path,
        nargs="+",
        required=True,
        help="results of `gradcal fit`; .../<target>/<method>/fit.h5 gives target and method, else the file's name",
    )
    parser.add_argument("output", metavar="OUT.html", type=Path, help="page to write")


def main(args: argparse.Namespace) -> None:
    """Draw the page."""
    from ..report.page import render_page
    from ..storage.atomic import atomic_output, check_output
    from ..storage.detector import load_geometry
    from .common import config_files, config_of, say

    config = config_of(args)
    check_output(args.output, args.segments, *args.fits, *config_files(args, config))
    geometry = load_geometry(config.detector.file)
    sample = read_sample(args.segments, config, geometry)
    page = render_page(
        config.report.title, sample, read_fits(args.fits), geometry, display_event=config.report.display_event
    )
    with atomic_output(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    say(f"{args.output}: open it in a browser.")


def read_sample(path: Path, config: Config, geometry: DetectorGeometry) -> Sample:
    """Read segments with the record of their selection, empty for a file that no selection wrote."""
    from ..errors import FileFormatError
    from ..report.page import Sample
    from ..storage.hdf5 import open_hdf5
    from ..storage.provenance import read_provenance
    from ..storage.segments import read_cut_flow, read_segments

    read = read_segments(path, checks=config.checks, geometry=geometry)
    try:
        cut_flow = read_cut_flow(path)
        with open_hdf5(path) as file:
            provenance = read_provenance(file)
    except FileFormatError:
        cut_flow, provenance = [], {}
    # Where the file lies is of no interest on the page, and would make equal work give unequal bytes.
    warnings = [warning.removeprefix(f"{path}: ") for warning in read.warnings]
    return Sample(read.segments, cut_flow, warnings, provenance)


def read_fits(paths: Sequence[Path]) -> list[Fit]:
    """Read fits, named by their paths.

    Raises `FileFormatError` for files that are not fits or whose history is of unequal lengths.
    """
    from ..errors import FileFormatError
    from ..report.outcome import Fit, names_from_path
    from ..storage.fit import read_fit
    from ..storage.hdf5 import open_hdf5
    from ..storage.provenance import read_provenance

    fits = []
    for path in paths:
        result = read_fit(path)
        shapes = {name: values.shape for name, values in result.history.items()}
        if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
            raise FileFormatError(f"{path}: the entries of its history are of unequal lengths ({shapes}); fit again.")
        with open_hdf5(path) as file:
            fits.append(Fit(*names_from_path(path), result, read_provenance(file)))
    return fits
