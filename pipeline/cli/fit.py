"""`gradcal fit`: the parameter values at which simulated hits agree with data."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.models import Config, Method
    from ..tables import FitResult

HELP = "fit detector parameters to hits"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal fit`."""
    from .common import add_config_arguments, add_model_arguments

    add_config_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument("--segments", metavar="SEGMENTS.h5", type=Path, required=True, help="file of segments")
    parser.add_argument("--hits", metavar="HITS.h5", type=Path, required=True, help="file of hits to fit")
    parser.add_argument("output", metavar="OUT.h5", type=Path, help="file to write; OUT.json is written beside it")
    parser.add_argument("--method", metavar="NAME", help="a configured or standard method (default: first configured)")
    parser.add_argument("--free", metavar="A,B,...", help="parameters to fit, instead of the method's")
    parser.add_argument("--initial", metavar="NAME=VALUE", nargs="+", action="extend", help="start values")


def main(args: argparse.Namespace) -> None:
    """Read segments and hits, fit, write the result."""
    from ..calibrate.comparison import compare_fit
    from ..calibrate.fit import check_method
    from ..calibrate.progress import Progress
    from ..calibrate.run import fit_hits
    from ..simulate.observe import PixelObservables, observables_of_hits
    from ..simulate.setup import forward_model
    from ..storage.checkpoint import Checkpoint
    from ..storage.detector import detector_path
    from ..storage.fit import write_fit
    from ..storage.hits import read_hits, read_hits_noise, read_hits_truth
    from ..storage.provenance import Provenance
    from .common import fit_progress, model_config, model_slice, read_with_detector, say, timed

    config = model_config(args)
    name, method = _method(args, config)
    check_method(method, name)
    _check_outputs(args, config)
    hits = read_hits(args.hits)
    # An infinite lifetime has no place in JSON, and no difference to it can be told.
    target = {n: v for n, v in read_hits_truth(args.hits).items() if math.isfinite(v)}
    segments, geometry = read_with_detector(args.segments, config)

    settings = model_slice(config, "seed", "readout")
    settings["method"] = {name: method.model_dump(mode="json")}
    settings["data"] = {"noise": read_hits_noise(args.hits)}  # as their file tells; for the page
    inputs = {"segments": args.segments, "hits": args.hits, "detector": detector_path(config.detector.file)}
    provenance = Provenance.of("fit", settings, inputs=inputs, module="pipeline.cli.fit")
    checkpoint = Checkpoint(args.output, provenance)
    resume = checkpoint.load()
    if resume is not None:
        say(f"{args.output}: going on after iteration {resume.state.iteration} of an interrupted fit.")

    complete = resume is None
    with timed(args.output, "fit", complete=complete), fit_progress(method) as show, checkpoint.kept() as keep:

        def on_iteration(progress: Progress) -> None:
            keep(progress)
            show(progress.state.iteration, progress.history["objective"][-1], progress.state.step)

        model = PixelObservables(forward_model(segments, geometry, config))
        data = observables_of_hits(hits, geometry)
        result = fit_hits(
            model,
            data,
            method,
            name,
            target=target,
            seed=config.seed,
            extra={"length_cm": float(segments.length.sum()), "hits_in_data": float(len(hits))},
            on_iteration=on_iteration,
            resume=resume,
        )
    write_fit(args.output, result, provenance, compare_fit(model, data, result))
    checkpoint.remove()
    say(f"{args.output}: {result.status}")
    for warning in result.warnings:
        say(warning)
    print(table(result))


def table(result: FitResult) -> str:
    """The fitted parameters as lines of text."""
    lines = [f"{'parameter':<24}{'initial':>13}{'fitted':>15}{'target':>15}{'difference':>12}  unit"]
    for p in result.parameters:
        if p.free:
            known = p.target is not None
            target = f"{p.target:.8g}" if known else "-"
            difference = f"{100 * (p.value / p.target - 1):.2g} %" if known and p.target else "-"
            lines.append(f"{p.name:<24}{p.initial:>13.6g}{p.value:>15.8g}{target:>15}{difference:>12}  {p.unit}")
    return "\n".join(lines)


def _check_outputs(args: argparse.Namespace, config: Config) -> None:
    """Refuse before the fit what could not be written after it."""
    from ..errors import FileFormatError
    from ..storage.atomic import check_output
    from .common import config_files

    if args.output.suffix == ".json":
        raise FileFormatError(f"{args.output} must end in .h5; the JSON is written beside it.")
    for path in (args.output, args.output.with_suffix(".json")):
        check_output(path, args.segments, args.hits, *config_files(args, config))


def _method(args: argparse.Namespace, config: Config) -> tuple[str, Method]:
    """The method asked for, with the changes of the command line."""
    from ..config.load import config_from_json
    from ..errors import ConfigError
    from ..names import nearest
    from .common import parse_assignments

    name = args.method or next(iter(config.methods))
    known = config.known_methods
    if name not in known:
        raise ConfigError(f"--method: there is no method {name!r}; did you mean {nearest(name, known)!r}?")
    changed = known[name].model_dump(mode="json")
    if args.free is not None:
        changed["free"] = _names(args.free)
    changed["initial"] |= parse_assignments(args.initial, "--initial")
    for parameter in changed["free"]:
        changed["fixed"].pop(parameter, None)
    return name, config_from_json(json.dumps({"methods": {name: changed}})).methods[name]


def _names(text: str) -> list[str]:
    """Parameter names separated by commas."""
    from ..errors import ConfigError
    from ..parameters import lookup

    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise ConfigError("--free: no parameter is named; give one or more, separated by commas.")
    for name in names:
        lookup(name, "--free")
        if names.count(name) > 1:
            raise ConfigError(f"--free: {name} is given twice; keep one.")
    return names
