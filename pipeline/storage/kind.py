"""What kind of file a file is, from what stands in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import h5py

from ..errors import ConfigError, FileFormatError
from .hdf5 import attribute, open_hdf5
from .yaml_text import YamlText, read_yaml

Kind = Literal["segments", "hits", "fit", "summary", "record", "detector", "configuration"]
_OURS: tuple[Kind, ...] = ("segments", "hits", "fit")
#: Text files above this are no configuration, and would take long to parse.
_LONGEST_TEXT = 4_000_000


def kind_of(path: Path) -> tuple[Kind, YamlText | None]:
    """The kind of a file, and its content if it is text: `summary` is the JSON of a fit, `record` that of a run.

    Raises `FileFormatError` or `ConfigError` for files of no known kind, missing, empty or damaged.
    """
    first = _first_bytes(path)
    if first.startswith(b"root"):
        return "segments", None
    if first.startswith(b"\x89HDF\r\n\x1a\n"):
        return _hdf5_kind(path), None
    if path.stat().st_size > _LONGEST_TEXT or b"\0" in first:
        raise FileFormatError(
            f"{path} is neither ROOT, HDF5, YAML nor JSON; give a file of this program or of edep-sim."
        )
    if path.suffix == ".json":
        return _json_kind(path)
    try:
        text = read_yaml(path)
    except ConfigError:
        if path.suffix in (".yaml", ".yml"):
            raise
        raise FileFormatError(
            f"{path} is neither ROOT, HDF5, YAML nor JSON; give a file of this program or of edep-sim."
        ) from None
    return ("detector" if "tpcs" in text.content else "configuration"), text


def _first_bytes(path: Path) -> bytes:
    if not path.exists():
        raise FileFormatError(f"{path} does not exist; check the name of the file.")
    if not path.is_file():
        what = "folder" if path.is_dir() else "device, a pipe or a socket"
        raise FileFormatError(f"{path} is a {what}; give the name of a file.")
    try:
        with path.open("rb") as stream:
            first = stream.read(512)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({(error.strerror or str(error)).lower()}).") from error
    if not first:
        raise FileFormatError(f"{path} is empty (0 bytes); make or copy it again.")
    return first


def _hdf5_kind(path: Path) -> Kind:
    """By the mark of this program, else by the table in it."""
    with open_hdf5(path) as file:
        marked, there = attribute(file, "kind"), sorted(file)
        tables = {name for name in there if isinstance(file.get(name), h5py.Dataset)}
    for kind in _OURS:
        if marked == kind:
            return kind
    for kind in _OURS[:2]:
        if kind in tables:
            return kind
    raise FileFormatError(
        f"{path} is an HDF5 file, but of no kind known here (there is: {', '.join(there)[:200] or 'nothing'}); "
        "it needs a table `segments`, or to be written by gradcal."
    )


def _json_kind(path: Path) -> tuple[Kind, YamlText | None]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} is not a whole JSON file; make it again.") from error
    if isinstance(content, dict) and isinstance(content.get("parameters"), list):
        return "summary", None
    if isinstance(content, dict) and isinstance(content.get("config"), dict):
        return "record", YamlText(f"{path}, config", content["config"])
    raise FileFormatError(f"{path} is JSON, but neither a fit nor the record of a run; give a file of this program.")
