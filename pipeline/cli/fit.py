"""`gradcal fit`: the parameter values at which simulated hits agree with data."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.methods import Method
    from ..config.models import Config
    from ..tables import Assumed, FitResult, FittedParameter

HELP = "fit detector parameters to hits"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal fit`."""
    from .common import add_config_arguments, add_model_arguments

    add_config_arguments(parser)
    add_model_arguments(parser)
    parser.add_argument("--segments", metavar="SEGMENTS.h5", type=Path, required=True, help="file of segments")
    parser.add_argument("--hits", metavar="HITS.h5", type=Path, required=True, help="file of hits to fit")
    parser.add_argument(
        "--truth", metavar="SEGMENTS.h5", type=Path, help="true segments, to tell how far fitted tracks are from them"
    )
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
    from ..errors import ConfigError
    from ..reconstruct.t0 import retimed
    from ..simulate.conditions import different_conditions
    from ..simulate.observe import PixelObservables, observables_of_hits
    from ..simulate.setup import forward_model
    from ..storage.checkpoint import Checkpoint
    from ..storage.fit import write_fit
    from ..storage.hits import read_hits, read_hits_noise, read_hits_truth
    from ..storage.provenance import Provenance
    from ..storage.reconstruction import read_assumed, read_tracks
    from .common import detector_files, fit_progress, model_config, model_slice, read_with_detector, say, timed

    config = model_config(args)
    name, method = _method(args, config)
    check_method(method, name)
    if args.truth is not None and method.objective != "marginal_likelihood":
        raise ConfigError(
            f"--truth: the method {name!r} takes the segments for the true ones, so there is no distance to tell; "
            "leave it out, or take unknown_segments."
        )
    _check_outputs(args, config)
    hits = read_hits(args.hits)
    # An infinite lifetime has no place in JSON, and no difference to it can be told.
    target = {n: v for n, v in read_hits_truth(args.hits).items() if math.isfinite(v)}
    segments, geometry = read_with_detector(args.segments, config)
    assumed = read_assumed(args.segments)
    if assumed is not None:
        method = _begun_at(assumed, method)
        if assumed.times is not None:
            hits = retimed(hits, {event: offset.value for event, offset in assumed.times.items()}, geometry)
            say(f"{args.hits}: times of {len(assumed.times)} events are those that were found with {args.segments}.")
    truth = None if args.truth is None else read_with_detector(args.truth, config)[0]

    settings = model_slice(config, "seed", "readout")
    settings["method"] = {name: method.model_dump(mode="json")}
    noise = read_hits_noise(args.hits)
    settings["data"] = {"noise": noise}  # as their file tells; for the page
    # Reconstructed segments are those of one target alone: the page does not miss them among its own.
    kind = "segments" if assumed is None else "reconstructed"
    inputs = {kind: args.segments, "hits": args.hits, **detector_files(config)}
    if args.truth is not None:
        inputs["truth"] = args.truth
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
            noisy=noise is not False,  # measured hits do not tell, and have it
            extra={"length_cm": float(segments.length.sum()), "hits_in_data": float(len(hits))},
            on_iteration=on_iteration,
            resume=resume,
            tracks=None if assumed is None else read_tracks(args.segments),
            truth=truth,
        )
    noise_assumed = model.model.settings.noise if method.for_noise else None
    notes = different_conditions(hits.recording, model.model.pixels, noise_assumed)
    torn = [] if args.truth is None else _torn(args.truth, method)
    result = replace(result, warnings=(*notes, *torn, *result.warnings))
    write_fit(args.output, result, provenance, compare_fit(model, data, result))
    checkpoint.remove()
    say(f"{args.output}: {result.status}")
    caveats = () if result.uncertainty is None else result.uncertainty.caveats
    for sentence in (*result.warnings, *(c for c in caveats if c not in result.warnings)):
        say(sentence)
    print(table(result))


def _begun_at(assumed: Assumed, method: Method) -> Method:
    """A method that starts from the values at which its segments were reconstructed, unless it names others: only there
    are hits and segments in the same place.
    """
    values = {name: assumed.values[name] for name in method.free if math.isfinite(assumed.values.get(name, math.inf))}
    return method.model_copy(update={"initial": {**values, **method.initial}})


def _torn(truth: Path, method: Method) -> list[str]:
    """A sentence where a fit expects electrons beside the tracks that struck them, and cuts may have taken these out of
    the true segments."""
    from ..select.cuts import torn_by
    from ..storage.segments import cut_flow_of

    if method.objective != "marginal_likelihood" or method.unknown.stray_above_mev is None:
        return []
    cuts = torn_by(cut_flow_of(truth) or ())
    if not cuts:
        return []
    return [
        f"{truth}: the selection took single tracks ({', '.join(f'select.{c}' for c in cuts)}), also electrons of "
        "particles that it kept; this fit expects them in the data, so switch these cuts off (null), and take fewer "
        "events for less length."
    ]


def table(result: FitResult) -> str:
    """The fitted parameters as lines of text; with their uncertainty, and the weakest direction, where there is one."""
    widths = {"parameter": -24, "initial": 13, "fitted": 15, "+-": 12, "target": 15, "difference": 12, "pull": 8}
    if result.uncertainty is None:
        del widths["+-"], widths["pull"]
    rows = [dict(zip(widths, widths, strict=True)) | {"unit": "unit"}]
    rows += [_row(p) for p in result.parameters if p.free]
    lines = [
        "".join(f"{row[name]:{'<' if width < 0 else '>'}{abs(width)}}" for name, width in widths.items())
        + f"  {row['unit']}"
        for row in rows
    ]
    return "\n".join([*lines, *(result.uncertainty.directions[:1] if result.uncertainty else ())])


def _row(p: FittedParameter) -> dict[str, str]:
    """A line of the table by its columns."""
    from ..parameters import lookup

    row = dict.fromkeys(("+-", "target", "difference", "pull"), "-")
    row |= {"parameter": p.name, "initial": f"{p.initial:.6g}", "fitted": f"{p.value:.8g}", "unit": p.unit}
    if p.target is not None:
        row["target"] = f"{p.target:.8g}"
    if p.target:
        row["difference"] = f"{100 * (p.value / p.target - 1):.2g} %"
    if p.uncertainty is not None:
        row["+-"] = f"{p.uncertainty:.2g}"
    if p.target is not None and p.uncertainty is not None:
        row["pull"] = f"{lookup(p.name, 'fit').pull(p.value, p.uncertainty, p.target):+.2f}"
    return row


def _check_outputs(args: argparse.Namespace, config: Config) -> None:
    """Refuse before the fit what could not be written after it."""
    from ..errors import FileFormatError
    from ..storage.atomic import check_output
    from .common import config_files

    if args.output.suffix == ".json":
        raise FileFormatError(f"{args.output} must end in .h5; the JSON is written beside it.")
    for path in (args.output, args.output.with_suffix(".json")):
        known = [] if args.truth is None else [args.truth]
        check_output(path, args.segments, args.hits, *known, *config_files(args, config))


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
