"""Detector descriptions: YAML files of the package or of the user."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ..config.problems import describe
from ..detector.geometry import DetectorGeometry, geometry_from_mapping
from ..errors import ConfigError
from ..names import nearest
from .yaml_text import read_yaml

_FILES = Path(__file__).resolve().parents[1] / "detector" / "files"


def detector_path(name_or_path: str) -> Path:
    """The file of a detector: a name in the package, or a path that ends in .yaml or .yml.

    Raises `ConfigError`, with the nearest known name, if there is none.
    """
    if Path(name_or_path).suffix in (".yaml", ".yml"):
        return Path(name_or_path)
    known = {path.stem: path for path in _FILES.glob("*.yaml")}
    if name_or_path not in known:
        raise ConfigError(
            f"detector.file: there is no detector {name_or_path!r}; did you mean {nearest(name_or_path, known)!r}, "
            "or a file whose name ends in .yaml?"
        )
    return known[name_or_path]


def load_geometry(name_or_path: str) -> DetectorGeometry:
    """Read a detector by name or path (see `detector_path`); raises `ConfigError`."""
    text = read_yaml(detector_path(name_or_path))
    try:
        return geometry_from_mapping(text.content)
    except ValidationError as error:
        raise ConfigError(describe(error, DetectorGeometry, text.place)) from error
