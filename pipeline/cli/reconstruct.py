"""`gradcal reconstruct`: tracks and their segments from hits alone."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.reconstruction import Reconstruct
    from ..reconstruct.from_hits import FromHits

HELP = "find tracks in hits; write their segments with charge and dE/dx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal reconstruct`."""
    from .common import add_config_arguments, add_model_arguments

    add_config_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument("hits", metavar="HITS.h5", type=Path, help="file of hits")
    parser.add_argument("output", metavar="OUT.h5", type=Path, help="file of reconstructed segments to write")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", nargs="+", action="extend", help="parameter values to assume; others nominal"
    )
    parser.add_argument(
        "--at", metavar="FIT.h5", type=Path, help="assume the values of this fit, its field too; --set goes before them"
    )
    parser.add_argument(
        "--dedx", choices=("mip", "range", "charge"), help="where dE/dx comes from (instead of reconstruct.dedx)"
    )


def main(args: argparse.Namespace) -> None:
    """Read hits, reconstruct, write."""
    import numpy as np

    from ..config.load import config_slice
    from ..parameters import nominal_values
    from ..reconstruct.cuts import cut_tracks
    from ..reconstruct.from_hits import from_hits
    from ..simulate.setup import model_settings
    from ..storage.atomic import check_output
    from ..storage.detector import load_geometry
    from ..storage.fit import read_fit
    from ..storage.hits import read_hits
    from ..storage.identity import load_classifier, training_path
    from ..storage.pixels import load_pixels
    from ..storage.provenance import Provenance
    from ..storage.reconstruction import write_reconstruction
    from .common import config_files, detector_files, model_config, parse_assignments, progress_bar, say, timed
    from .select import cut_flow_table

    config = model_config(args)
    inputs, given, steps = {"hits": args.hits}, nominal_values(), {}
    if args.dedx is not None:
        steps["dedx"] = args.dedx
    if args.at is not None:
        inputs["fit"] = args.at
        given |= {p.name: p.value for p in read_fit(args.at).parameters}
        # Tracks on both sides of the cathode told the field before the fit; it knows it better.
        steps["velocity"] = "assumed"
    given |= parse_assignments(args.set, "--set")
    config = config.model_copy(update={"reconstruct": config.reconstruct.model_copy(update=steps)})
    check_output(args.output, *inputs.values(), *config_files(args, config))
    geometry = load_geometry(config.detector.file)
    hits = read_hits(args.hits)
    particles = config.reconstruct.particles
    with timed(args.output, "reconstruct"), progress_bar(len(hits.event_t0), "reconstructing, events done") as advance:
        made = from_hits(
            hits, geometry, given, config.reconstruct, model_settings(config),
            pixels=load_pixels(config.readout.pixels, geometry), classifier=load_classifier(particles),
            where=str(args.hits), progress=advance,
        )  # fmt: skip
    for sentence in _told(made, config.reconstruct, len(np.unique(hits.event_id))):
        say(f"{args.hits}: {sentence}")
    found = made.reconstruction
    cut_flow = None
    if config.reconstruct.cuts is not None:
        found, cut_flow = cut_tracks(found, config.reconstruct.cuts, geometry, config.seed, str(args.hits))
    settings = config_slice(config, "seed", "detector", "simulate", "readout.pixels", "readout.noise", "reconstruct")
    for name in ("threads", "memory_limit_mib"):
        del settings["simulate"][name]
    settings["set"] = {name: v if math.isfinite(v) else str(v) for name, v in given.items()}
    inputs |= detector_files(config)
    learned = training_path(particles)
    if learned is not None:
        inputs["training"] = learned
    provenance = Provenance.of("reconstruct", settings, inputs=inputs, module="pipeline.cli.reconstruct")
    write_reconstruction(
        args.output, found, provenance, made.assumed, cut_flow=cut_flow, drift_axis=geometry.drift_axis
    )
    if cut_flow is not None:
        print(cut_flow_table(cut_flow))
    used = 100 * (found.hit_track >= 0).mean()
    say(
        f"{args.output}: {len(found.tracks)} tracks, {found.tracks.length.sum():.0f} cm, "
        f"{len(found.segments)} segments, {used:.0f} % of {len(hits)} hits."
    )


def _told(made: FromHits, settings: Reconstruct, events: int) -> Iterator[str]:
    """Sentences on the times and the drift velocity that the hits tell of `events`."""
    if made.assumed.times is not None:
        offsets = [offset.value for offset in made.assumed.times.values()]
        ends = sum(offset.ends for offset in made.assumed.times.values())
        text = f"the time of {len(offsets)} of {events} events is that on which {ends} ends of tracks agree, "
        text += f"{min(offsets):.2f} to {max(offsets):.2f} us later than in the file"
        yield text + ("." if len(offsets) == events else "; the others are left out.")
    if made.velocity is not None:
        v, field = made.velocity, made.assumed.values["electric_field"]
        yield (
            f"{v.crossers} tracks across the cathode meet at {v.value:.5f} +- {v.error:.5f} cm/us, "
            f"electric_field = {field:.5f} kV/cm."
        )
    elif settings.velocity == "crossers":
        yield "too few tracks cross the cathode; the drift velocity is that of the assumed values."
