"""Uncertainties in the files of fits: a group of the HDF5 file, and the short form in the JSON."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from ..tables import Floats, Uncertainty

_TEXT = h5py.string_dtype()
_INTERVAL = np.dtype([("name", _TEXT), ("low", "f8"), ("high", "f8")])
_ARRAYS = ("covariance", "eigenvalues", "eigenvectors")
_TEXTS = ("names", "directions", "caveats")


def write_uncertainty(group: h5py.Group, uncertainty: Uncertainty) -> None:
    """Write all of it into an empty group."""
    group.attrs["kind"] = uncertainty.kind
    for name in _ARRAYS:
        group.create_dataset(name, data=np.asarray(getattr(uncertainty, name), dtype=np.float64))
    for name in _TEXTS:
        group.create_dataset(name, data=np.array(getattr(uncertainty, name), dtype=object), dtype=_TEXT)
    others = group.create_group("others")
    for name in sorted(uncertainty.others):
        others.create_dataset(name, data=np.asarray(uncertainty.others[name], dtype=np.float64))
    rows = [(name, *uncertainty.intervals[name]) for name in uncertainty.names if name in uncertainty.intervals]
    group.create_dataset("intervals", data=np.array(rows, dtype=_INTERVAL))


def read_uncertainty(group: h5py.Group) -> Uncertainty:
    """Read what `write_uncertainty` wrote; raises ValueError where shapes do not agree."""
    texts = {name: tuple(text.decode() for text in group[name][()]) for name in _TEXTS}
    arrays: dict[str, Floats] = {name: group[name][()].astype(np.float64) for name in _ARRAYS}
    others: dict[str, Floats] = {name: dataset[()].astype(np.float64) for name, dataset in group["others"].items()}
    size = len(texts["names"])
    shapes = {arrays["covariance"].shape, arrays["eigenvectors"].shape, *(other.shape for other in others.values())}
    if shapes != {(size, size)} or arrays["eigenvalues"].shape != (size,):
        raise ValueError(f"matrices of other than {size} parameters")
    return Uncertainty(
        kind=str(group.attrs["kind"]),
        others=others,
        intervals={row["name"].decode(): (float(row["low"]), float(row["high"])) for row in group["intervals"][()]},
        names=texts["names"],
        directions=texts["directions"],
        caveats=texts["caveats"],
        covariance=arrays["covariance"],
        eigenvalues=arrays["eigenvalues"],
        eigenvectors=arrays["eigenvectors"],
    )


def uncertainty_summary(uncertainty: Uncertainty) -> dict[str, Any]:
    """What the JSON of a fit says of it: null where a number is not known."""
    return {
        "uncertainty_kind": uncertainty.kind,
        "correlation": {
            "names": list(uncertainty.names),
            "matrix": [[_or_null(float(c)) for c in row] for row in uncertainty.correlation],
        },
        "condition_number": _or_null(uncertainty.condition_number),
        "weakest": list(uncertainty.directions),
        "caveats": list(uncertainty.caveats),
    }


def _or_null(number: float) -> float | None:
    return number if np.isfinite(number) else None
