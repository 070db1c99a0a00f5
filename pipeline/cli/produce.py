"""`gradcal produce`: a sample of generated particles."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.models import Config
    from ..detector.geometry import DetectorGeometry
    from ..storage.provenance import Provenance

HELP = "generate particles and follow them through the argon: a sample of energy deposits with known truth"

#: Settings of edep-sim that say how it is run, not what comes out.
_HOW = ("executable", "runtime", "timeout_s", "keep_inputs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal produce`."""
    from .common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("output", metavar="OUT.h5", type=Path, help="file of segments to write")
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        default=os.cpu_count() or 1,
        help="processes that share the work (the sample does not depend on it; default: all cores)",
    )


def main(args: argparse.Namespace) -> None:
    """Write the sample that `sample.generator` describes."""
    from ..config.load import config_slice
    from ..errors import ConfigError
    from ..storage.atomic import check_output
    from ..storage.detector import detector_path, load_geometry
    from ..storage.provenance import Provenance
    from .common import config_files, config_of

    config = config_of(args)
    sample = config.sample
    inputs = {"detector": detector_path(config.detector.file)}
    if sample.generator.dlp_file is not None:
        inputs["generator"] = Path(sample.generator.dlp_file)
    check_output(args.output, *config_files(args, config), *inputs.values())
    if sample.file is not None:
        raise ConfigError(
            f"sample.file: the sample is the file {sample.file}, not generated; set it to null to generate one, or use "
            "`gradcal convert`."
        )
    if args.processes < 1:
        raise ConfigError(f"--processes: {args.processes} is less than 1.")
    used = config_slice(config, *sample.producing)
    for name in _HOW:
        used["sample"].get("edep_sim", {}).pop(name, None)
    provenance = Provenance.of("produce", used, inputs=inputs, module="pipeline.cli.produce")
    geometry = load_geometry(config.detector.file)
    if sample.engine == "edep-sim":
        _with_edepsim(args.output, config, geometry, provenance)
    else:
        _in_argon(args.output, config, geometry, provenance, args.processes)


def _in_argon(output: Path, config: Config, geometry: DetectorGeometry, provenance: Provenance, processes: int) -> None:
    """Generate and follow part by part."""
    from ..produce.sample import Recipe, parts, produce
    from ..storage.sample import sample_writer
    from .common import progress_bar, say

    recipe = Recipe.of(config.sample, geometry, config.seed)
    particles = segments = 0
    length = 0.0
    with (
        sample_writer(output, provenance, geometry.drift_axis) as writer,
        progress_bar(recipe.events, "events") as advance,
    ):
        for (_, events), part in zip(parts(recipe), produce(recipe, processes), strict=True):
            writer.add(part.segments, part.trajectories)
            particles += int((part.trajectories.parent_id < 0).sum())
            segments += len(part.segments)
            length += float(part.segments.dx.sum())
            advance(events)
        if not segments:
            from ..errors import SegmentError

            raise SegmentError(
                f"{output}: the {particles} particles of {recipe.events} events leave nothing in the detector; change "
                "where they start or where they go (sample.generator)."
            )
    say(f"{output}: {particles} particles in {recipe.events} events, {length:.0f} cm in {segments} deposits.")


def _with_edepsim(output: Path, config: Config, geometry: DetectorGeometry, provenance: Provenance) -> None:
    """Generate, and let edep-sim follow."""
    from ..checks import check_segments
    from ..produce.sample import Recipe
    from ..storage.edepsim_run import produce_with_edepsim
    from ..storage.segments import write_segments
    from .common import say

    thrown = Recipe.of(config.sample, geometry, config.seed).primaries()
    raw = produce_with_edepsim(thrown, geometry, config.sample.edep_sim, config.seed, output)
    checked = check_segments(raw.segments, config.checks, geometry, "edep-sim's output")
    for note in (*raw.notes, *checked.warnings):
        say(note)
    segments = checked.segments
    write_segments(output, segments, provenance, drift_axis=geometry.drift_axis)
    say(f"{output}: {len(thrown)} particles, {segments.dx.sum():.0f} cm in {len(segments)} deposits, by edep-sim.")
