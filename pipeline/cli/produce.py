"""`gradcal produce`: the sample of the particle gun."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "simulate the energy deposits of through-going muons (particle gun)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal produce`."""
    from .common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("output", metavar="OUT.h5", type=Path, help="file of segments to write")


def main(args: argparse.Namespace) -> None:
    """Write the sample that `sample.gun` describes."""
    import numpy as np

    from ..config.load import config_slice
    from ..errors import ConfigError
    from ..produce.gun import muon_gun
    from ..storage.detector import load_geometry
    from ..storage.provenance import Provenance
    from ..storage.segments import write_segments
    from .common import config_of, say

    config = config_of(args)
    if config.sample.file is not None:
        raise ConfigError(
            f"sample.file: the sample is the file {config.sample.file}, not the particle gun; set it to null "
            "to produce a sample, or convert the file with `gradcal convert`."
        )
    geometry = load_geometry(config.detector.file)
    segments = muon_gun(config.sample.gun, geometry, np.random.default_rng([config.seed, 0]))
    inputs = config_slice(config, "seed", "sample", "detector")
    write_segments(args.output, segments, Provenance.of("produce", inputs, inputs={}, module="pipeline.cli.produce"))
    tracks = config.sample.gun.events * config.sample.gun.tracks_per_event
    say(f"{args.output}: {tracks} muons, {segments.dx.sum():.0f} cm, {len(segments)} segments.")
