"""`gradcal report`: one HTML page about a sample and its fits."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from ..config.models import Config
    from ..detector.geometry import DetectorGeometry
    from ..report.outcome import Fit
    from ..report.page import Run, Sample, Study, Uncut

#: A page stands this many folders below the results.
_HIGHEST = 2

HELP = "draw the page: selection, event display, fits against iteration, results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal report`."""
    from .common import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("--segments", metavar="SEGMENTS.h5", type=Path, required=True, help="what the fits used")
    parser.add_argument(
        "--sample",
        metavar="SEGMENTS.h5",
        type=Path,
        help="the sample before the selection, to judge it by; without it that is done on the selected segments",
    )
    parser.add_argument(
        "--fits",
        metavar="FIT.h5",
        type=Path,
        nargs="+",
        required=True,
        help="results of `gradcal fit`; .../<target>/<method>/fit.h5 gives target and method, else the file's name",
    )
    parser.add_argument(
        "--studies",
        metavar="STUDY.svg",
        type=Path,
        nargs="*",
        default=[],
        help="figures of studies, as `gradcal draw` writes them, to be shown with caption and table",
    )
    parser.add_argument(
        "--timings",
        metavar="FILE",
        type=Path,
        nargs="*",
        default=[],
        help="benchmarks (.tsv) and .timing.json files of the run; those that are missing are left out",
    )
    parser.add_argument("--versions", metavar="JSON", help="versions of packages by name, to be shown")
    parser.add_argument("--record", metavar="RUN.json", type=Path, help="record of the run, to be linked")
    parser.add_argument("output", metavar="OUT.html", type=Path, help="page to write")


def main(args: argparse.Namespace) -> None:
    """Draw the page."""
    from ..report.page import render_page
    from ..storage.atomic import atomic_output, check_output
    from ..storage.detector import load_geometry
    from .common import config_files, config_of, say

    config = config_of(args)
    uncut = [] if args.sample is None else [args.sample]
    read = [args.segments, *uncut, *args.fits, *args.studies, *args.timings]
    check_output(args.output, *read, *config_files(args, config))
    geometry = load_geometry(config.detector.file)
    sample = read_sample(args.segments, config, geometry, args.output)
    if args.sample is not None:
        uncut_sample = read_uncut(args.sample, config, geometry)
        more = {args.sample.name: args.sample}
        if uncut_sample.mislabelled:
            more["contaminate.log"] = args.sample.parent / "logs" / "contaminate.log"
        sample = replace(sample, uncut=uncut_sample, files={**sample.files, **links(more, args.output)})
    page = render_page(
        config.report.title,
        sample,
        read_fits(args.fits, args.output),
        geometry,
        display_event=config.report.display_event,
        run=read_run(args),
        studies=read_studies(args.studies, args.output),
    )
    with atomic_output(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    say(f"{args.output}: open it in a browser.")


def read_sample(path: Path, config: Config, geometry: DetectorGeometry, output: Path) -> Sample:
    """Read segments with the record of their selection, empty for a file that no selection wrote.

    Links are relative to the page `output`.
    """
    from ..errors import FileFormatError
    from ..report.page import Sample
    from ..storage.hdf5 import open_hdf5
    from ..storage.perturbed import read_perturbations
    from ..storage.provenance import file_hash, read_provenance
    from ..storage.segments import read_cut_flow, read_segments

    read = read_segments(path, checks=config.checks, geometry=geometry)
    try:
        cut_flow = read_cut_flow(path)
        with open_hdf5(path) as file:
            provenance = read_provenance(file)
    except FileFormatError:
        cut_flow, provenance = [], {}
    try:
        perturbations = read_perturbations(path)
    except FileFormatError:  # a ROOT file
        perturbations = []
    # Where the file lies is of no interest on the page, and would make equal work give unequal bytes.
    warnings = [warning.removeprefix(f"{path}: ") for warning in read.warnings]
    files = {path.name: path, "segments.h5": path.with_name("segments.h5")}
    if perturbations:
        files["selected.h5"] = path.with_name("selected.h5")
    stages = ("produce", "convert", "select", *(["perturb"] if perturbations else []))
    files |= {f"{s}.log": path.parent / "logs" / f"{s}.log" for s in stages}
    return Sample(
        read.segments,
        cut_flow,
        warnings,
        provenance,
        links(files, output),
        file_hash(path),
        perturbations=perturbations,
    )


def read_uncut(path: Path, config: Config, geometry: DetectorGeometry) -> Uncut:
    """Read the sample before its selection, and the energies at the start of its tracks where the file tells them."""
    import numpy as np

    from ..errors import FileFormatError
    from ..report.page import Uncut
    from ..storage.sample import has_trajectories, read_trajectories
    from ..storage.segments import read_segments

    read = read_segments(path, checks=config.checks, geometry=geometry)
    warnings = [warning.removeprefix(f"{path}: ") for warning in read.warnings]
    try:
        told = has_trajectories(path)
    except FileFormatError:  # a ROOT file
        told = False
    if not told:
        wrong = 0
        if read.true_pdg_id is not None:
            wrong = len(np.unique(read.segments.track_index()[read.true_pdg_id != read.segments.pdg_id]))
        return Uncut(read.segments, None, warnings, wrong)
    keys = np.unique(np.stack([read.segments.event_id, read.segments.traj_id], axis=1), axis=0)
    known = read_trajectories(path, geometry.drift_axis)
    return Uncut(read.segments, known.kinetic_of(keys[:, 0], keys[:, 1]), warnings)


def read_fits(paths: Sequence[Path], output: Path) -> list[Fit]:
    """Read fits, named by their paths; links are relative to the page `output`.

    Raises `FileFormatError` for files that are not fits or whose history is of unequal lengths.
    """
    from ..errors import FileFormatError
    from ..report.outcome import Fit, names_from_path
    from ..storage.fit import read_comparisons, read_fit
    from ..storage.hdf5 import open_hdf5
    from ..storage.provenance import read_provenance

    fits = []
    for path in paths:
        result = read_fit(path)
        shapes = {name: values.shape for name, values in result.history.items()}
        if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
            raise FileFormatError(f"{path}: the entries of its history are of unequal lengths ({shapes}); fit again.")
        target, method = names_from_path(path)
        with open_hdf5(path) as file:
            provenance = read_provenance(file)
        fit = Fit(target, method, result, provenance, comparison=read_comparisons(path))
        fits.append(replace(fit, files=links(_files_of_fit(path, target, method), output)))
    return fits


def _files_of_fit(path: Path, target: str, method: str) -> dict[str, Path]:
    """Files about a fit, by what the page calls them; where the workflow lays them out, those that it was made from."""
    files = {"fit.h5": path, "fit.json": path.with_suffix(".json"), "fit.timing.json": path.with_suffix(".timing.json")}
    if path.name != "fit.h5" or not method:
        return files
    sample = path.absolute().parents[2]
    logs = sample / "logs" / target
    return {
        **files,
        "hits.h5": sample / target / "hits.h5",
        "reconstructed.h5": sample / target / "reconstructed.h5",
        "selected.h5": sample / "selected.h5",
        "fit.log": logs / method / "fit.log",
        "simulate.log": logs / "simulate.log",
        "hits.log": logs / "hits.log",
        "reconstruct.log": logs / "reconstruct.log",
    }


def read_studies(paths: Sequence[Path], output: Path) -> list[Study]:
    """Read figures of studies with their captions and tables; links are relative to the page `output`."""
    from ..report.page import Study
    from ..storage.studies import read_drawn_study

    found = []
    for path in paths:
        files = [path.with_suffix(suffix) for suffix in (".svg", ".csv", ".md", ".json")]
        found.append(Study(read_drawn_study(path), links({file.name: file for file in files}, output)))
    return found


def read_run(args: argparse.Namespace) -> Run:
    """Times of jobs as far as they are there, versions of packages, and the address of the record of the run.

    Raises `ConfigError` for versions that are not a JSON object.
    """
    from ..errors import ConfigError
    from ..report.page import Run
    from ..storage.timings import read_timings

    try:
        versions = json.loads(args.versions or "{}")
    except ValueError as error:
        raise ConfigError(f"--versions: {args.versions!r} is not JSON.") from error
    if not isinstance(versions, dict):
        raise ConfigError(f"--versions: {args.versions!r} is not a JSON object of names and versions.")
    return Run(
        read_timings(args.timings),
        links({str(path): path for path in args.timings}, args.output),
        versions,
        # The record may be written after the page.
        "" if args.record is None else address(args.record, args.output),
    )


def links(paths: Mapping[str, Path], output: Path) -> dict[str, str]:
    """Addresses of those of the files that exist, relative to the page `output`.

    Files outside the folder of results have none: the page would tell where they lie, and could not move with them.
    """
    found = {name: address(path, output) for name, path in paths.items() if path.is_file()}
    return {name: link for name, link in found.items() if link}


def address(path: Path, output: Path) -> str:
    """Address of a file relative to the page `output`; empty outside the folder of results."""
    parts = os.path.relpath(path.absolute(), output.absolute().parent).split(os.sep)
    return quote("/".join(parts)) if parts.count(os.pardir) <= _HIGHEST else ""
