"""gradcal config: print the default configuration, or its JSON schema."""

from __future__ import annotations

import argparse

HELP = "print the default configuration with its explanations, or its JSON schema"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `gradcal config`."""
    parser.add_argument("--schema", action="store_true", help="print the JSON schema instead")


def main(args: argparse.Namespace) -> None:
    """Print the configuration or its schema on standard output."""
    from ..config.generate import config_schema, config_yaml

    print(config_schema() if args.schema else config_yaml(), end="")
