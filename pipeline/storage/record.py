"""The record of a run: its whole configuration, the versions of what it ran with and the hash of the code."""

from __future__ import annotations

import json
import math
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import __version__
from ..config.models import Config
from ..layout import pages
from ..targets import target_values
from .atomic import atomic_output
from .provenance import code_hash

#: Commands of the workflow whose code is recorded.
STAGES = ("produce", "convert", "contaminate", "select", "simulate", "hits", "reconstruct", "perturb", "fit", "report")

#: Packages that numbers may depend on.
PACKAGES = ("awkward", "geomloss", "h5py", "numpy", "pydantic", "scipy", "snakemake", "torch", "tslearn", "uproot")


def run_record(config: Config) -> dict[str, Any]:
    """The record of a run as plain data; the same for the same configuration, code and installation.

    Raises `ConfigError` if the configuration names targets that do not exist.
    """
    return {
        "schema": 1,
        "config": config.model_dump(mode="json"),
        "targets": target_values(config),
        "pages": [str(page) for page in pages(config)],
        "code": {stage: code_hash(f"pipeline.cli.{stage}") for stage in STAGES},
        "versions": versions(),
    }


def versions() -> dict[str, str | None]:
    """Versions of gradcal, Python and the packages that numbers may depend on; None for those not installed."""
    found: dict[str, str | None] = {"gradcal": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a command runs with what it needs only
            found[package] = None
    return found


def write_record(path: Path, config: Config) -> None:
    """Write the record of a run as JSON; raises `FileFormatError` if the file cannot be written."""
    text = json.dumps(_plain(run_record(config)), indent=1, sort_keys=True, allow_nan=False)
    with atomic_output(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _plain(content: Any) -> Any:
    """`content` with infinite numbers, such as a lifetime, as text: JSON has none."""
    if isinstance(content, dict):
        return {name: _plain(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return str(content) if isinstance(content, float) and math.isinf(content) else content
