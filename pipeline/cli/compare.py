"""`gradcal compare`: what two results have in common and where they differ."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..inspect.compare import Outcome

HELP = "say where two results differ: fits, hits, segments, configurations, or folders of results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal compare`."""
    for name in ("a", "b"):
        parser.add_argument(
            name, metavar=name.upper(), type=Path, help="fit.h5 or fit.json, hits, segments, configuration, or folder"
        )


def main(args: argparse.Namespace) -> None:
    """Compare, and print what was found."""
    from ..inspect.compare import compare

    print(text(args.a, args.b, compare(args.a, args.b)))


def text(a: Path, b: Path, outcome: Outcome) -> str:
    """The outcome as lines; values stand as `A | B`."""
    lines = [f"A = {a}", f"B = {b}", f"{outcome.kind}: {outcome.sentence}."]
    for title, block in outcome.blocks:
        lines += ["", title, *(f"  {line}" for line in block)]
    return "\n".join(lines)
