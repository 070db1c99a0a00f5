"""Where the workflow finds its sample and puts its results: one folder per scenario and sample."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .config.models import Config
from .errors import ConfigError


def sample_name(config: Config) -> str:
    """Name of the sample's folder: as configured, else the stem of its file, else `muon_gun`."""
    if config.sample.name is not None:
        return config.sample.name
    if config.sample.file is None:
        return "muon_gun"
    # Spaces and the like are kept out of result paths, which people type and scripts split.
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(config.sample.file).stem).strip("._-") or "sample"


def check_paths(config: Config) -> None:
    """Refuse paths that a run could not use, before any work is done.

    Raises `ConfigError` if the sample does not exist, the results folder cannot be made or written, or one of them
    has braces in it, which mean wildcards to the workflow.
    """
    paths = {"results": config.results, "detector.file": config.detector.file, "sample.file": config.sample.file or ""}
    for key, path in paths.items():
        if "{" in path or "}" in path:
            raise ConfigError(f"{key}: the workflow cannot use the braces in {path!r}; choose another name.")
    sample = config.sample.file
    if sample is not None and not Path(sample).is_file():
        raise ConfigError(f"sample.file: there is no file {sample!r}; give a ROOT or HDF5 file of energy deposits.")
    folder = Path(config.results).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"results: {config.results} cannot be made because {there} is a file; choose another folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"results: no permission to write in {there}; choose another folder.")


def sample_folder(config: Config) -> Path:
    """Folder of everything made from the configured sample under the configured scenario."""
    return Path(config.results) / config.scenario / sample_name(config)


def page(config: Config) -> Path:
    """The page that the workflow ends with."""
    return sample_folder(config) / "report.html"
