"""`gradcal pixels`: the constants of every pixel as configured."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write the threshold, gain and pedestal of every pixel as CSV or HDF5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal pixels`."""
    from .common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("output", metavar="OUT.csv|OUT.h5", type=Path, help="file to write")


def main(args: argparse.Namespace) -> None:
    """Read or draw the constants and write them."""
    from ..storage.atomic import check_output
    from ..storage.detector import load_geometry
    from ..storage.pixels import load_pixels, write_pixels
    from .common import config_files, config_of, say

    config = config_of(args)
    check_output(args.output, *config_files(args, config))
    geometry = load_geometry(config.detector.file)
    pixels = load_pixels(config.readout.pixels, geometry)
    write_pixels(args.output, pixels, geometry)
    say(f"{args.output}: {pixels.channels} pixels of {geometry.name}, constants {pixels.digest()[:12]}.")
