"""What identification learns from: files of examples (HDF5) and of coefficients (JSON), never of programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..config.particles import Particles
from ..errors import ConfigError, FileFormatError
from ..reconstruct.classifier import Classifier, Examples, Logistic, learn
from ..reconstruct.features import FEATURES
from ..tables import SPECIES
from .atomic import atomic_output
from .hdf5 import SCHEMA, attribute, check_kind, mark, open_hdf5, read_table, write_table
from .provenance import Provenance, write_provenance

_KIND = "examples"
#: Coefficients that come with the package: `gradcal train` with the default configuration.
_STANDARD = Path(__file__).resolve().parents[1] / "reconstruct" / "files" / "standard.json"
_TYPES = {"species": "i4", "event": "i8", "length": "f8", "contained": "i4"}
_UNITS = {"length": "cm"}
_MATRICES = ("features", "log_likelihood")
_ARRAYS = ("centre", "width", "weight", "intercept")


def load_classifier(settings: Particles) -> Classifier | None:
    """What the configured method has learned; None for the likelihood, which learns nothing.

    Raises `FileFormatError` where the file is missing, foreign, or of other features than this version computes.
    """
    if settings.method == "likelihood":
        return None
    path = _STANDARD if settings.training is None else Path(settings.training)
    if path.suffix == ".json":
        return read_coefficients(path)
    return learn(settings.method, read_examples(path))


def training_path(settings: Particles) -> Path | None:
    """The user's file that a classifier is learned from; None where there is none."""
    return None if settings.training is None or settings.method == "likelihood" else Path(settings.training)


def write_training(path: Path, examples: Examples, provenance: Provenance) -> None:
    """Write examples (.h5), or the coefficients that the logistic regression learns from them (.json).

    Raises `ConfigError` for other endings.
    """
    if path.suffix == ".json":
        found = learn("logistic", examples)
        assert isinstance(found, Logistic)
        write_coefficients(path, found, provenance)
    elif path.suffix == ".h5":
        write_examples(path, examples, provenance)
    else:
        raise ConfigError(f"{path}: the name must end in .h5 (examples) or .json (coefficients).")


def write_examples(path: Path | str, examples: Examples, provenance: Provenance) -> None:
    """Write tracks of known species."""
    with atomic_output(path) as temporary, h5py.File(temporary, "w") as file:
        mark(file, _KIND)
        columns = {name: getattr(examples, name) for name in _TYPES}
        dataset = write_table(file, "tracks", columns, _TYPES, _UNITS)
        dataset.attrs["species"] = json.dumps(list(SPECIES))
        for name in _MATRICES:
            data = getattr(examples, name).astype(np.float32)
            file.create_dataset(name, data=data, compression="gzip", shuffle=True)
        file["features"].attrs["names"] = json.dumps(list(examples.names))
        write_provenance(file, provenance)


def read_examples(path: Path | str) -> Examples:
    """Read examples; raises `FileFormatError` for anything that `write_examples` does not write."""
    with open_hdf5(path) as file:
        check_kind(file, _KIND)
        columns = read_table(file, "tracks", _TYPES, _UNITS)
        features, log = (np.asarray(file[name][()], dtype=np.float64) for name in _MATRICES)
        names = tuple(json.loads(attribute(file["features"], "names")))
    _check_names(path, names)
    species = columns["species"].astype(np.int64)
    whole = features.shape == (len(species), len(names)) and log.shape == (len(species), len(SPECIES))
    if not whole or not np.isfinite(features).all() or not np.isfinite(log).all() or not len(species):
        raise FileFormatError(f"{path}: its features are not a finite number per track and name; make it again.")
    if species.min() < 0 or species.max() >= len(SPECIES) or len(np.unique(species)) < 2:
        raise FileFormatError(f"{path}: its tracks are not of two or more of {', '.join(SPECIES)}; make it again.")
    event, length = columns["event"].astype(np.int64), columns["length"].astype(np.float64)
    return Examples(names, features, species, event, log, length, columns["contained"] > 0)


def write_coefficients(path: Path | str, model: Logistic, provenance: Provenance) -> None:
    """Write the coefficients of a logistic regression as JSON."""
    content: dict[str, Any] = {
        "kind": "coefficients",
        "schema": SCHEMA,
        "species": list(SPECIES),
        "names": list(model.names),
        "limit": model.limit,
        # Nine digits: more would only make the file longer.
        **{name: _rounded(getattr(model, name)) for name in _ARRAYS},
        "provenance": provenance.attributes(),
    }
    with atomic_output(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_coefficients(path: Path | str) -> Logistic:
    """Read coefficients; raises `FileFormatError` for anything that `write_coefficients` does not write."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FileFormatError(f"{path} cannot be read as JSON; give a file of `gradcal train`.") from error
    if not isinstance(content, dict) or content.get("kind") != "coefficients" or content.get("schema") != SCHEMA:
        raise FileFormatError(f"{path} holds no coefficients of this version; make it by `gradcal train`.")
    try:
        names = tuple(str(name) for name in content["names"])
        arrays = {name: np.array(content[name], dtype=np.float64) for name in _ARRAYS}
        limit = float(content["limit"])
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{path} lacks coefficients or holds other things than numbers; make it again."
        ) from error
    _check_names(path, names)
    k, classes = len(names), len(SPECIES)
    shapes = {"centre": (k,), "width": (k,), "weight": (2 * k, classes), "intercept": (classes,)}
    whole = all(arrays[name].shape == shape and np.isfinite(arrays[name]).all() for name, shape in shapes.items())
    if not whole or not (arrays["width"] > 0).all() or not limit > 0:
        raise FileFormatError(f"{path}: its coefficients do not fit its features; make it again.")
    return Logistic(names, **arrays, limit=limit)


def _check_names(path: Path | str, names: tuple[str, ...]) -> None:
    if names != FEATURES:
        raise FileFormatError(f"{path} was made of other features than this version has; make it by `gradcal train`.")


def _rounded(array: Any) -> Any:
    return [_rounded(row) for row in array] if np.ndim(array) > 1 else [float(f"{value:.9g}") for value in array]
