"""`gradcal hits`: hits that were recorded elsewhere in our own form."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "read hits that were recorded elsewhere, as `data` in the configuration describes them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal hits`."""
    from .common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("input", metavar="IN.h5", type=Path, help="file to read (instead of data.file)")
    parser.add_argument("output", metavar="HITS.h5", type=Path, help="file of hits to write")


def main(args: argparse.Namespace) -> None:
    """Read, check and write the hits."""
    from ..acquire.hits import acquire
    from ..config.load import config_slice
    from ..errors import ConfigError
    from ..storage.atomic import check_output
    from ..storage.detector import load_geometry
    from ..storage.foreign import read_foreign_hits
    from ..storage.hits import write_hits
    from ..storage.pixels import load_pixels
    from ..storage.provenance import Provenance
    from .common import config_files, config_of, detector_files, say

    config = config_of(args)
    data = config.data
    if data is None:
        raise ConfigError("data is not set; describe there what the columns of the hits mean (docs/data.md).")
    data = data.model_copy(update={"file": str(args.input)})
    inputs = {"hits": Path(data.file), **detector_files(config)}
    if data.channels is not None:
        inputs["channels"] = Path(data.channels.file)
    check_output(args.output, *inputs.values(), *config_files(args))
    geometry = load_geometry(config.detector.file)
    pixels = load_pixels(config.readout.pixels, geometry)
    found = read_foreign_hits(data)
    acquired = acquire(found.hits, found.events, found.channels, data, geometry, pixels)
    for sentence in acquired.warnings:
        say(sentence)
    # The files count by their content.
    means = data.model_dump(mode="json", exclude={"file": True, "channels": {"file"}})
    settings = {**config_slice(config, "detector.file", "readout.pixels"), "data": means}
    provenance = Provenance.of("hits", settings, inputs=inputs, module="pipeline.cli.hits")
    write_hits(args.output, acquired.hits, provenance, {})
    events = len(acquired.hits.event_t0)
    say(f"{args.output}: {len(acquired.hits)} hits, {events} events, from {data.file}.")
