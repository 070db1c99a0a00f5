"""The pseudo-correlation of parameters, as shown in talks, beside the correlation that fits have.

Second derivatives of a loss to the parameters in units of their nominal values, averaged over batches of tracks, scaled
to unit diagonal, inverted with a small ridge, and scaled to unit diagonal again. That is the correlation of a fit only
if the loss is half a chi2 or a minus log-likelihood in the units of the noise, and only as far as the ridge lets it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..calibrate.methods import objective_of
from ..calibrate.objective import Objective
from ..calibrate.uncertainty import Informative
from ..config.cross_check import PseudoCorrelation
from ..config.methods import Method
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError, FitError
from ..parameters import nominal_values
from ..parameters import table as parameter_table
from ..select.cuts import apply_cuts
from ..simulate.batches import observable_batches
from ..simulate.observe import PixelObservables
from ..simulate.setup import forward_model
from ..tables import Floats, Segments


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """The matrix of each method, its spread over batches, and the correlation of a fit of all batches.

    Data are simulated without noise at the nominal values, where second derivatives are taken. Raises `ConfigError` for
    methods of different free parameters, and `SelectionError` where a cut leaves nothing.
    """
    settings = config.study.pseudo_correlation
    methods = {name: _plain(config.known_methods[name]) for name in (*settings.methods, settings.method)}
    free = methods[settings.method].free
    for name, method in methods.items():
        if method.free != free:
            raise ConfigError(
                f"study.pseudo_correlation: {name} and {settings.method} do not fit the same parameters; compare "
                f"methods that do."
            )
    cuts = config.select.model_copy(update={"max_total_length_cm": settings.batch_length_cm * settings.batches})
    tracks = apply_cuts(segments, cuts, geometry, config.seed, "pseudo_correlation").segments
    model = PixelObservables(forward_model(tracks, geometry, config))
    truth = nominal_values()
    found: dict[str, list[Floats]] = {name: [] for name in methods}
    parts = observable_batches(model.model, model.observe(truth), settings.batch_length_cm, config.seed)
    for number, part in enumerate(parts, start=1):
        if number % 10 == 1:
            progress(f"batch {number}")
        for name, method in methods.items():
            found[name].append(hessian(objective_of(method, *part), truth, free, settings.step))
    together = np.sum(found[settings.method], axis=0)
    return {
        "settings": settings.model_dump(mode="json"),
        "length_cm": float(tracks.length.sum()),
        "tracks": int(tracks.track_index().max()) + 1,
        "names": list(free),
        "batches": len(found[settings.method]),
        "methods": [
            {"name": name, "objective": methods[name].objective, **_of_batches(found[name], settings)}
            for name in settings.methods
        ],
        "fit": {"method": settings.method, **_correlation(together)},
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    names = result["names"]
    lines = [f"{result['batches']} batches, {result['length_cm']:.0f} cm"]
    for entry in (*result["methods"], {"name": f"fit by {result['fit']['method']}", **result["fit"]}):
        lines.append(entry["name"])
        if entry["matrix"] is None:
            lines.append(entry["why"])
            continue
        spread = entry.get("spread")
        for k, name in enumerate(names):
            cells = [
                f"{entry['matrix'][k][n]:>+8.3f}" + (f" ± {spread[k][n]:<5.3f}" if spread else "") for n in range(k)
            ]
            lines.append(f"  {name:<24}" + " ".join(cells))
    return "\n".join(lines)


def pseudo_correlation(hessian: Floats, ridge: float) -> Floats:
    """`(P, P)` second derivatives scaled to unit diagonal, plus `ridge` on the diagonal, inverted, scaled again.

    Raises `FitError` where a parameter has no curvature or the matrix is not positive definite.
    """
    curvature = np.diag(hessian)
    if not (np.isfinite(hessian).all() and (curvature > 0).all()):
        raise FitError("the loss is not curved upwards in every parameter, so that its matrix cannot be scaled.")
    scale = np.sqrt(curvature)
    eigenvalues, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    if eigenvalues[0] + ridge <= 0:
        raise FitError("the matrix of second derivatives is not positive definite: this is no minimum of the loss.")
    inverse = (vectors / (eigenvalues + ridge)) @ vectors.T
    scale = np.sqrt(np.diag(inverse))
    return np.asarray(inverse / np.outer(scale, scale))


def hessian(objective: Objective, values: Mapping[str, float], names: tuple[str, ...], step: float) -> Floats:
    """`(P, P)` second derivatives to the parameters in units of their nominal values.

    The expected information of a likelihood, the curvature of residuals, or, of other losses, central differences
    of the gradient over +- `step`.
    """
    known = parameter_table()
    unit = np.array([known[n].nominal or 1.0 for n in names])
    if isinstance(objective, Informative):
        return np.asarray(objective.information(values, names) * np.outer(unit, unit))
    curvature = objective.evaluate(values, names).curvature
    if curvature is not None:
        return np.asarray(curvature * np.outer(unit, unit))
    rows = []
    for k, name in enumerate(names):
        up, down = (
            objective.evaluate({**values, name: values[name] + sign * step * unit[k]}, names).gradient
            for sign in (1, -1)
        )
        rows.append((up - down) * unit / (2 * step))
    differences = np.array(rows)
    return np.asarray(0.5 * (differences + differences.T))


def _plain(method: Method) -> Method:
    """A method without priors, which would count once for every batch."""
    return method.model_copy(update={"priors": {}})


def _of_batches(found: list[Floats], settings: PseudoCorrelation) -> dict[str, Any]:
    """The matrix of the mean, and how those of single batches scatter; `left_out` are batches that have none."""
    single = []
    for one in found:
        try:
            single.append(pseudo_correlation(one, settings.ridge))
        except FitError:
            continue
    spread = np.std(single, axis=0, ddof=1).tolist() if len(single) > 1 else None
    told: dict[str, Any] = {"matrix": None, "why": "", "spread": spread, "left_out": len(found) - len(single)}
    try:
        return {**told, "matrix": pseudo_correlation(np.mean(found, axis=0), settings.ridge).tolist()}
    except FitError as refused:
        return {**told, "why": str(refused)}


def _correlation(information: Floats) -> dict[str, Any]:
    """Correlation of a fit with this information, and its condition number."""
    try:
        matrix = pseudo_correlation(information, 0.0)
    except FitError as refused:
        return {"matrix": None, "why": str(refused), "condition_number": None}
    scale = np.sqrt(np.diag(information))
    eigenvalues = np.linalg.eigvalsh(information / np.outer(scale, scale))
    return {"matrix": matrix.tolist(), "why": "", "condition_number": float(eigenvalues[-1] / eigenvalues[0])}
