"""What one dE/dx tells about A_B, k_B and the field, and what a whole sample tells.

In Birks' law the charge of a given dE/dx fixes one combination of A_B and k_B, a line; lines of different dE/dx cross
at the truth only, as Fig. 11 of arXiv:2309.04639. The field enters the law in the ratio k_B / E alone, and is known
through the drift velocity: with that free both move together, without limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..config.models import Config
from ..config.studies import RecombinationLines
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError
from ..parameters import CALIBRATED
from ..simulate.observe import PixelObservables
from ..simulate.setup import forward_model
from ..tables import Floats, Segments
from .closure import Closure, information_of, is_likelihood

#: Species whose tracks are looked at alone, by the absolute value of their PDG codes.
SPECIES = {"muons": 13, "protons": 2212}
#: Points of a line.
_POINTS = 61
#: Directions with less than this share of the largest eigenvalue are held by nothing but rounding.
_ROUNDING = 1e-13
#: What gives the drift velocity a life of its own.
_SCALE = "drift_velocity_scale"


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Lines of equal charge, and what the tracks of each species and all together tell.

    Raises `ConfigError` for another law than Birks' or an objective without information, and `SelectionError` where
    every track is longer than the configured length.
    """
    settings = config.study.recombination_lines
    if config.detector.recombination != "birks":
        raise ConfigError("the study recombination_lines is about Birks' law; set detector.recombination to birks.")
    closure = Closure.of(config, settings, segments, geometry, "recombination_lines")
    groups = []
    for name, part in _groups(closure).items():
        progress(f"information of {name}")
        groups.append({"name": name, **_group(part, settings)})
    return {
        **closure.described(),
        "settings": settings.model_dump(mode="json"),
        "lines": [{"dedx": x, **equal_charge(x, closure.truth, 0.5, 1.5)} for x in settings.dedx_mev_per_cm],
        "groups": groups,
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text: standard uncertainties in percent."""
    lines = [
        f"{'tracks':<14}{'length [cm]':>12}{'A_B [%]':>10}{'k_B [%]':>10}{'corr':>8}{'E [%]':>10}{'E, v free':>11}"
    ]
    for g in result["groups"]:
        linked, unlinked = (
            [np.nan] * 3 if g[key] is None else [100 * v for v in g[key]] for key in ("linked", "unlinked")
        )
        correlation = np.nan if g["correlation"] is None else g["correlation"]
        lines.append(
            f"{g['name']:<14}{g['length_cm']:>12.0f}{linked[0]:>10.3g}{linked[1]:>10.3g}{correlation:>8.3f}"
            f"{linked[2]:>10.3g}{unlinked[2]:>11.3g}"
        )
    return "\n".join(lines)


def equal_charge(dedx: float, truth: Mapping[str, float], low: float, high: float) -> dict[str, list[float]]:
    """Values of k_B (from `low` to `high` times the true one) and those of A_B that give the true charge at `dedx`.

    `A_B = R (1 + k_B dE/dx / (E rho))` with R the true fraction that escapes recombination.
    """
    kb = truth["birks_kb"] * np.linspace(low, high, _POINTS)
    density = dedx / (truth["electric_field"] * truth["density"])
    escape = truth["birks_ab"] / (1 + truth["birks_kb"] * density)
    return {"birks_kb": kb.tolist(), "birks_ab": (escape * (1 + kb * density)).tolist()}


def _groups(closure: Closure) -> dict[str, Closure]:
    """The tracks of each species alone, where there are others too, and all."""
    tracks = closure.tracks
    found = {}
    for name, code in SPECIES.items():
        mine = np.abs(tracks.pdg_id) == code
        if mine.any() and not mine.all():
            forward = forward_model(tracks.take(mine), closure.model.model.geometry, closure.config)
            found[name] = replace(closure, model=PixelObservables(forward))
    return {**found, "all tracks": closure}


def _group(closure: Closure, settings: RecombinationLines) -> dict[str, Any]:
    """Covariances of (A_B, k_B, E), relative to the true values, with the velocity linked to the field and not."""
    names = (*CALIBRATED, _SCALE)
    method = closure.method(settings.method, names, {})
    objective = closure.objective(method, closure.data())
    if is_likelihood(objective):
        objective = closure.objective(method, closure.data(0))
    information = information_of(objective, closure.truth, names)
    if information is None:
        raise ConfigError(
            f"study.recombination_lines.method: the objective {method.objective} is no measure of information; take a "
            "method with residuals or the likelihood."
        )
    # In relative changes of the parameters all entries are of a kind.
    true = np.array([closure.truth[name] for name in names])
    relative = information * np.outer(true, true)
    prior = np.zeros_like(relative)
    prior[-1, -1] = settings.velocity_uncertainty**-2
    wanted = [names.index(name) for name in ("birks_ab", "birks_kb", "electric_field")]
    whole = {"linked": inverted(relative[:-1, :-1]), "unlinked": inverted(relative + prior)}
    covariance = {key: None if c is None else c[np.ix_(wanted, wanted)] for key, c in whole.items()}
    standard = {key: None if c is None else np.sqrt(np.diag(c)) for key, c in covariance.items()}
    share, direction = weakest_direction(relative)
    linked, sigma = covariance["linked"], standard["linked"]
    return {
        "length_cm": float(closure.tracks.length.sum()),
        "tracks": int(closure.tracks.track_index().max()) + 1,
        **{key: None if s is None else s.tolist() for key, s in standard.items()},
        "correlation": None if linked is None or sigma is None else float(linked[0, 1] / (sigma[0] * sigma[1])),
        "covariance": {key: None if c is None else c.tolist() for key, c in covariance.items()},
        "free_velocity": {"share": share, "direction": dict(zip(names, direction.tolist(), strict=True))},
    }


def inverted(information: Floats) -> Floats | None:
    """The covariance `(P, P)`; None where the tracks do not determine all parameters."""
    scale = np.sqrt(np.maximum(np.diag(information), 0.0))
    if not (scale > 0).all():
        return None
    eigenvalues, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    if eigenvalues[0] < _ROUNDING * eigenvalues[-1]:
        return None
    return np.asarray((vectors / eigenvalues) @ vectors.T / np.outer(scale, scale))


def weakest_direction(information: Floats) -> tuple[float, Floats]:
    """The smallest over the largest eigenvalue of the information, and its eigenvector `(P,)` in relative changes."""
    eigenvalues, vectors = np.linalg.eigh(information)
    largest = np.argmax(np.abs(vectors[:, 0]))
    return float(abs(eigenvalues[0]) / eigenvalues[-1]), np.asarray(vectors[:, 0] / vectors[largest, 0])
