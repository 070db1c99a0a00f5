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
    from ..storage.atomic import check_output
    from ..storage.record import write_record
    from .common import config_files, config_of

    config = config_of(args)
    check_output(args.output, *config_files(args, config))
    write_record(args.output, config)
