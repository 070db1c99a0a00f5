"""`gradcal draw`: the figure and the table of one study."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "draw what `gradcal study` wrote: a figure, its caption and its table"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal draw`."""
    parser.add_argument("study", metavar="STUDY.json", type=Path, help="what `gradcal study` wrote")
    parser.add_argument(
        "output", metavar="OUT.svg", type=Path, help="figure to write; caption and table go to OUT.md and OUT.csv"
    )


def main(args: argparse.Namespace) -> None:
    """Draw the study."""
    from ..errors import ConfigError
    from ..report.study import files
    from ..storage.atomic import atomic_output, check_output
    from ..storage.studies import read_study
    from .common import say

    if args.output.suffix != ".svg":
        raise ConfigError(f"{args.output}: the figure is an SVG; give it a name that ends in .svg.")
    for suffix in (".csv", ".md", ".svg"):
        check_output(args.output.with_suffix(suffix), args.study)
    made = files(read_study(args.study), args.output.stem)
    for suffix, content in made.items():
        with atomic_output(args.output.with_suffix(suffix)) as temporary:
            temporary.write_bytes(content)
    say(f"{args.output}: the figure; its caption and table stand beside it.")
