"""`gradcal study`: one study over a sample."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "run one study, such as `benchmark`, on segments"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal study`."""
    from .common import add_config_arguments, add_model_arguments

    parser.add_argument("name", metavar="NAME", help="the study: benchmark")
    add_config_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument("--dtype", choices=("float32", "float64"), help="instead of simulate.dtype")
    parser.add_argument("--segments", metavar="SEGMENTS.h5", type=Path, required=True, help="file of selected segments")
    parser.add_argument("--output", metavar="OUT.json", type=Path, help="file for the numbers; the table is printed")


def main(args: argparse.Namespace) -> None:
    """Run the study; print its table, write its numbers."""
    from ..errors import ConfigError
    from ..names import nearest
    from ..storage.atomic import atomic_output, check_output
    from ..study.registry import STUDIES
    from .common import config_files, model_config, read_with_detector, say

    if args.name not in STUDIES:
        raise ConfigError(f"there is no study {args.name!r}; did you mean {nearest(args.name, STUDIES)!r}?")
    study = STUDIES[args.name]
    config = model_config(args)
    if args.output is not None:
        check_output(args.output, args.segments, *config_files(args, config))
    segments, geometry = read_with_detector(args.segments, config)
    result = study.function("run")(config, segments, geometry, lambda step: say(f"{args.name}: {step}"))
    if args.output is not None:
        with atomic_output(args.output) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(study.function("table")(result))
