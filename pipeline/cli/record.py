"""`gradcal record`: what a run of the workflow was made with."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write the whole configuration, the versions and the code's hash of a run as JSON"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal record`."""
    from .common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("output", metavar="RUN.json", type=Path, help="file to write")


def main(args: argparse.Namespace) -> None:
    """Write the record of a run."""
    from ..storage.record import write_record
    from .common import config_of

    write_record(args.output, config_of(args))
