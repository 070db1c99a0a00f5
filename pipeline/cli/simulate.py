"""`gradcal simulate`: the hits that the detector would record."""

from __future__ import annotations

import argparse
import math
from dataclasses import astuple, replace
from pathlib import Path

HELP = "simulate the hits that segments leave at given parameter values"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal simulate`."""
    from .common import add_config_arguments, add_model_arguments

    add_config_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument("segments", metavar="SEGMENTS.h5", type=Path, help="file of segments")
    parser.add_argument("output", metavar="HITS.h5", type=Path, help="file of hits to write")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", nargs="+", action="extend", help="parameter values; others nominal"
    )
    parser.add_argument("--noise", action=argparse.BooleanOptionalAction, help="with or without electronics noise")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the noise (default: that of the configuration)")


def main(args: argparse.Namespace) -> None:
    """Read segments, simulate, write hits."""
    from ..detector.argon import scaled_drift_velocity
    from ..errors import ConfigError
    from ..parameters import nominal_values
    from ..simulate.noise import Noise
    from ..simulate.observe import hits_table
    from ..simulate.setup import forward_model, noise_levels
    from ..storage.atomic import check_output
    from ..storage.hits import write_hits
    from ..storage.provenance import Provenance
    from .common import (
        config_files,
        detector_files,
        model_config,
        model_slice,
        parse_assignments,
        progress_bar,
        read_with_detector,
        say,
        timed,
    )

    config = model_config(args)
    values = {**nominal_values(), **parse_assignments(args.set, "--set")}
    check_output(args.output, args.segments, *config_files(args, config))
    levels = config.readout.noise
    noisy = levels.enabled if args.noise is None else args.noise
    seed = config.seed if args.seed is None else args.seed
    if seed < 0:
        raise ConfigError(f"--seed: {seed} is negative; use 0 or more.")
    noise = Noise(noise_levels(config), seed)
    segments, geometry = read_with_detector(args.segments, config)
    with timed(args.output, "simulate"):
        model = forward_model(segments, geometry, config)
        plan = model.plan(values)
        with progress_bar(len(plan.blocks), "simulating, blocks done") as advance:
            simulated = model.hits(values, noise if noisy else None, advance)
    hits = hits_table(
        simulated,
        geometry,
        drift_velocity=scaled_drift_velocity(values, geometry.temperature),
        event_t0=plan.event_t0,
        integer_adc=config.readout.integer_adc,
    )
    widths = astuple(noise.levels) if noisy else (0.0, 0.0, 0.0)
    recording = replace(hits.recording, noise=widths, pixels=model.pixels.digest())
    settings = {**model_slice(config, "readout"), "set": _jsonable(values)}
    settings |= {"noise": noisy, "seed": seed if noisy else None}
    inputs = {"segments": args.segments, **detector_files(config)}
    provenance = Provenance.of("simulate", settings, inputs=inputs, module="pipeline.cli.simulate")
    write_hits(args.output, replace(hits, recording=recording), provenance, values)
    say(f"{args.output}: {len(hits)} hits from {segments.length.sum():.0f} cm of track.")


def _jsonable(values: dict[str, float]) -> dict[str, float | str]:
    """Parameter values as JSON can hold them: an infinite lifetime as text."""
    return {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
