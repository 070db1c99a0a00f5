"""`gradcal contaminate`: tracks of another species under the label of the wanted one, for the data."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "replace a fraction of the wanted tracks by others under their label"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal contaminate`."""
    from .common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("input", metavar="IN", type=Path, help="file of segments: ROOT or HDF5")
    parser.add_argument("other", metavar="OTHER", type=Path, help="file of segments with the other tracks")
    parser.add_argument("output", metavar="OUT.h5", type=Path, help="file of segments to write")


def main(args: argparse.Namespace) -> None:
    """Read both, exchange tracks, write; the true species stay beside the labels."""
    from ..errors import ConfigError
    from ..perturb.contamination import contaminate
    from ..storage.atomic import check_output
    from ..storage.provenance import Provenance
    from ..storage.segments import write_segments
    from .common import config_files, config_of, read_checked, say, scenario_slice

    config = config_of(args)
    key, wanted = f"scenarios.{config.scenario}.contaminate", config.scenarios[config.scenario].contaminate
    if wanted is None:
        raise ConfigError(f"{key}: there is no contamination; give it a sample, or use the segments as they are.")
    check_output(args.output, args.input, args.other, *config_files(args))
    read, other = read_checked(args.input, config, None), read_checked(args.other, config, None)
    result = contaminate(
        read.segments, other.segments, wanted, str(args.input), str(args.other), true_pdg_id=read.true_pdg_id
    )
    settings = scenario_slice(config, "contaminate", "sample.sensitive_detectors", "sample.event_number", "checks")
    inputs = {"segments": args.input, "other": args.other}
    provenance = Provenance.of("contaminate", settings, inputs=inputs, module="pipeline.cli.contaminate")
    write_segments(args.output, result.segments, provenance, true_pdg_id=result.true_pdg_id)
    say(
        f"{args.output}: {result.replaced} of {result.wanted} tracks of PDG code {wanted.wanted} are in truth of "
        f"{wanted.species}."
    )
