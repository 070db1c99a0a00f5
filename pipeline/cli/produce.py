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
    from ..storage.atomic import check_output
    from ..storage.detector import detector_path, load_geometry
    from ..storage.provenance import Provenance
    from ..storage.segments import write_segments
    from .common import config_files, config_of, say

    config = config_of(args)
    check_output(args.output, *config_files(args, config))
    if config.sample.file is not None:
        raise ConfigError(
            f"sample.file: the sample is the file {config.sample.file}, not the particle gun; set it to null to make "
            "one, or use `gradcal convert`."
        )
    geometry = load_geometry(config.detector.file)
    # Streams of the seed: 0 gun, 1 tracks that are selected, 2 starts of a fit, 3 noise, 4 batches,
    # 5 starts of the study `basin`.
    segments = muon_gun(config.sample.gun, geometry, np.random.default_rng([config.seed, 0]))
    provenance = Provenance.of(
        "produce",
        config_slice(config, "seed", "sample.gun", "detector.file"),
        inputs={"detector": detector_path(config.detector.file)},
        module="pipeline.cli.produce",
    )
    write_segments(args.output, segments, provenance, drift_axis=geometry.drift_axis)
    muons = config.sample.gun.events * config.sample.gun.tracks_per_event
    say(f"{args.output}: {muons} muons, {segments.dx.sum():.0f} cm in {len(segments)} segments.")
