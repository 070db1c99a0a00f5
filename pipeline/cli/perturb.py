"""`gradcal perturb`: segments with the mistakes that a scenario declares, for the fit."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "put declared mistakes into segments; the truth stays beside them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal perturb`."""
    from .common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("input", metavar="IN", type=Path, help="file of segments: ROOT or HDF5")
    parser.add_argument("output", metavar="OUT.h5", type=Path, help="file of segments to write")


def main(args: argparse.Namespace) -> None:
    """Read, perturb, write; say what each perturbation did."""
    import json

    from ..errors import ConfigError
    from ..perturb.apply import perturb
    from ..storage.atomic import check_output
    from ..storage.detector import detector_path, load_geometry
    from ..storage.perturbed import Truth, write_perturbed
    from ..storage.provenance import Provenance
    from ..storage.reconstruction import read_assumed
    from ..storage.segments import cut_flow_of
    from .common import config_files, config_of, read_checked, say, scenario_slice

    config = config_of(args)
    key, wanted = f"scenarios.{config.scenario}.perturb", config.scenarios[config.scenario].perturb
    if not wanted:
        raise ConfigError(f"{key}: there is no perturbation; name one, or fit the segments as they are.")
    check_output(args.output, args.input, *config_files(args, config))
    geometry = load_geometry(config.detector.file)
    read = read_checked(args.input, config, geometry)
    result = perturb(read.segments, wanted, geometry, where=str(args.input), key=key)
    settings = scenario_slice(
        config, "perturb", "sample.sensitive_detectors", "sample.event_number", "checks", "detector.file"
    )
    inputs = {"segments": args.input, "detector": detector_path(config.detector.file)}
    write_perturbed(
        args.output,
        result.segments,
        Truth(read.segments, read.true_pdg_id),
        result.steps,
        Provenance.of("perturb", settings, inputs=inputs, module="pipeline.cli.perturb"),
        assumed=read_assumed(args.input),
        cut_flow=cut_flow_of(args.input),
        drift_axis=geometry.drift_axis,
    )
    for step in result.steps:
        say(f"{json.loads(step.settings)['kind']}: {'; '.join(step.notes) or 'done'}.")
    say(f"{args.output}: {len(result.segments)} segments, {result.segments.dE.sum():.1f} MeV.")
