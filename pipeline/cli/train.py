"""`gradcal train`: reconstructed tracks of known species, from which particles are learned to be told apart."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "simulate and reconstruct tracks of known species, from which identification learns"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal train`."""
    from .common import add_config_arguments, add_model_arguments

    add_config_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument(
        "output",
        metavar="OUT.h5|OUT.json",
        type=Path,
        help="file to write: the examples (.h5), or what the logistic regression learns from them (.json)",
    )


def main(args: argparse.Namespace) -> None:
    """Write the examples that `reconstruct.particles.examples` describes, or their coefficients."""
    from ..config.load import config_slice
    from ..errors import ConfigError
    from ..storage.atomic import check_output
    from ..storage.detector import load_geometry
    from ..storage.identity import write_training
    from ..storage.provenance import Provenance
    from ..study.identity import configured
    from ..study.identity_examples import generated
    from ..tables import SPECIES
    from .common import config_files, detector_files, model_config, say

    config = model_config(args)
    check_output(args.output, *config_files(args, config))
    if args.output.suffix not in (".h5", ".json"):
        raise ConfigError(f"{args.output}: the name must end in .h5 (examples) or .json (coefficients).")
    geometry = load_geometry(config.detector.file)
    used = config_slice(
        config, "seed", "detector", "simulate", "readout", "reconstruct", "sample.transport", "study.identity"
    )
    provenance = Provenance.of("train", used, inputs=detector_files(config), module="pipeline.cli.train")
    least = config.study.identity.min_length_cm
    known = generated(config, geometry, configured(config, geometry), least, lambda step: say(f"train: {step}"))
    write_training(args.output, known, provenance)
    counts = ", ".join(f"{(known.species == k).sum()} {name}s" for k, name in enumerate(SPECIES))
    say(f"{args.output}: {len(known)} tracks: {counts}.")
