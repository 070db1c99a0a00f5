"""Where the workflow finds its sample and puts its results: one folder per scenario and sample."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .config.models import Config, Sample
from .errors import ConfigError
from .targets import measured

#: What the files of a sample are.
_DEPOSITS, _PARTICLES = "ROOT or HDF5 file of energy deposits", "YAML file of DLPGenerator"
_HITS = {"hits": "file of hits in HDF5", "channels": "CSV table of channels and pixels"}
_PIXELS = "CSV or HDF5 table of the constants of pixels"


def sample_name(config: Config) -> str:
    """Name of the sample's folder: as configured, else the stem of its file, of that of hits recorded elsewhere, else
    the generator's.
    """
    if config.sample.name is not None:
        return config.sample.name
    file = config.sample.file
    if file is None and config.data is not None and measured(config):
        file = config.data.file
    if file is None:
        return config.sample.generator.name
    # Spaces and the like are kept out of result paths, which people type and scripts split.
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(file).stem).strip("._-") or "sample"


def samples(config: Config) -> dict[str, Sample]:
    """The samples of the configured scenario, by the names of their folders."""
    wanted = config.scenarios[config.scenario].samples
    return {name: config.samples[name] for name in wanted} or {sample_name(config): config.sample}


def sources(config: Config) -> dict[str, Sample]:
    """The samples of the scenario, and the one that their contamination is taken from.

    Raises `ConfigError` if that is one of the samples themselves.
    """
    wanted, scenario = samples(config), config.scenarios[config.scenario]
    if scenario.contaminate is None:
        return wanted
    other = scenario.contaminate.sample
    if other in wanted:
        raise ConfigError(
            f"scenarios.{config.scenario}.contaminate.sample: {other!r} is the name of the sample that is contaminated "
            "too; give one of them another name."
        )
    return {**wanted, other: config.samples[other]}


def hits_files(config: Config) -> dict[str, str]:
    """The files of hits recorded elsewhere that the configured scenario fits: `hits`, and the map of `channels`."""
    if config.data is None or not measured(config):
        return {}
    channels = config.data.channels
    return {"hits": config.data.file, **({} if channels is None else {"channels": channels.file})}


def check_paths(config: Config) -> None:
    """Refuse paths that a run could not use, before any work is done.

    Raises `ConfigError` if a file of the sample does not exist, the results folder cannot be made or written, or one of
    them has braces in it, which mean wildcards to the workflow.
    """
    paths = {"results": config.results, "detector.file": config.detector.file}
    pixels = config.readout.pixels.file
    place = {name: f"samples.{name}" if name in config.samples else "sample" for name in sources(config)}
    needed = {f"{place[name]}.file": (sample.file, _DEPOSITS) for name, sample in sources(config).items()}
    for name, sample in sources(config).items():
        if sample.file is None:
            needed[f"{place[name]}.generator.dlp_file"] = sample.generator.dlp_file, _PARTICLES
    needed["readout.pixels.file"] = pixels, _PIXELS
    for kind, path in hits_files(config).items():
        needed["data.file" if kind == "hits" else "data.channels.file"] = path, _HITS[kind]
    files = {key: (path, kind) for key, (path, kind) in needed.items() if path is not None}
    if measured(config):
        _check_source(config)
    for key, path in {**paths, **{key: path for key, (path, _) in files.items()}}.items():
        if "{" in path or "}" in path:
            raise ConfigError(f"{key}: the workflow cannot use the braces in {path!r}; choose another name.")
    for key, (path, kind) in files.items():
        if not Path(path).is_file():
            raise ConfigError(f"{key}: there is no file {path!r}; give a {kind}.")
    folder = Path(config.results).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"results: {config.results} cannot be made because {there} is a file; choose another folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"results: no permission to write in {there}; choose another folder.")


def _check_source(config: Config) -> None:
    """Refuse hits recorded elsewhere for which nothing tells where the particles went."""
    if getattr(config.scenarios[config.scenario], "input", "truth") != "truth":
        return
    for name, sample in samples(config).items():
        if sample.file is None:
            place = f"samples.{name}" if name in config.samples else "sample"
            raise ConfigError(
                f"{place}.file: the hits of `data` were recorded, so generated particles did not leave them; give the "
                "file of the segments that did."
            )


def pages(config: Config) -> list[Path]:
    """The pages that the workflow ends with, one per sample of the scenario."""
    return [Path(config.results) / config.scenario / name / "report.html" for name in samples(config)]


def paper_page(config: Config) -> Path:
    """The page of figures that `make paper` ends with."""
    return Path(config.results) / config.scenario / "paper" / "paper.html"


def sample_of(path: Path) -> str:
    """Name of the sample that a file belongs to: the folder's for `segments.h5` and `selected.h5`, else the stem."""
    folder = path.absolute().parent.name
    return folder if path.stem in ("segments", "selected") and folder else path.stem
