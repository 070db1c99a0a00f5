"""`gradcal paper`: the figures and tables of arXiv:2309.04639."""

from __future__ import annotations

import argparse

HELP = "draw the figures and tables of the paper"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal paper`."""


def main(args: argparse.Namespace) -> None:
    """Draw the figures."""
