"""Noisy data fitted by models that know the noise and by some that do not: a bias that no length of track cures.

The same deposits and the same draws of noise are fitted by several methods, from their start values. Errors are given
in units of the smallest possible standard deviation, that of the expected information, the same for all methods: an
efficient estimate without bias has pulls of mean 0 and width 1. Uncertainties fall with the square root of the length;
a bias does not, so that in these units it grows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..calibrate.likelihood import Likelihood
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..parameters import CALIBRATED, calibrated
from ..parameters import table as parameter_table
from ..select.cuts import apply_cuts
from ..simulate.observe import PixelObservables
from ..simulate.setup import forward_model
from ..tables import FittedParameter, Floats, Observables, Segments
from .information import relative_uncertainty
from .noisy import fit_noisy, noise_draw, noisy_data

#: Stream of random numbers of the noise, beside the seed of the run.
_STREAM = 16


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Errors of every method, length, target and draw.

    Raises `SelectionError` where a cut leaves nothing, and `FitError` where the model has no noise.
    """
    settings = config.study.noise_in_the_model
    samples = []
    for length in settings.lengths_cm:
        cuts = config.select.model_copy(
            update={"max_total_length_cm": length, "max_anode_distance_cm": settings.max_anode_distance_cm}
        )
        sample = apply_cuts(segments, cuts, geometry, config.seed, "noise_in_the_model").segments
        model = PixelObservables(forward_model(sample, geometry, config))
        fits: list[dict[str, Any]] = []
        for number, given in enumerate(settings.targets):
            truth = {p.name: given.get(p.name, p.nominal) for p in calibrated()}
            for draw in range(settings.draws):
                progress(f"{length:g} cm, target {number + 1}, draw {draw + 1} of {settings.draws}")
                data = noisy_data(model.model, truth, noise_draw(config, _STREAM, number, draw))
                if draw == 0:
                    unit = np.array([_unit(n, truth[n]) for n in CALIBRATED])
                    information = Likelihood(model, data).information(truth, CALIBRATED) * np.outer(unit, unit)
                fits += [
                    {"target": number, "draw": draw, **_fit(config, model, data, name, truth, information)}
                    for name in settings.methods
                ]
        samples.append(
            {
                "length_cm": float(sample.length.sum()),
                "tracks": int(sample.track_index().max()) + 1,
                "fits": fits,
                "summary": [_summary(name, fits) for name in settings.methods],
            }
        )
    return {"settings": settings.model_dump(mode="json"), "samples": samples}


def table(result: dict[str, Any]) -> str:
    """Mean and width of pulls as lines of text."""
    lines = []
    for sample in result["samples"]:
        lines.append(f"{sample['length_cm']:.0f} cm: (fit - truth) / smallest possible sigma, mean and width of draws")
        names = list(dict.fromkeys(n for row in sample["summary"] for n in row["pulls"]))
        lines.append(f"{'method':<20}{'done':>8}" + "".join(f"{parameter_table()[n].symbol:>14}" for n in names))
        for row in sample["summary"]:
            cells = "".join(f"{_cell(row['pulls'].get(n)):>14}" for n in names)
            lines.append(f"{row['method']:<20}{row['converged']:>5}/{row['tried']:<2}{cells}")
    return "\n".join(lines)


def _cell(pull: Mapping[str, float | None] | None) -> str:
    if pull is None:
        return "-"
    return f"{pull['mean']:+.1f}" + ("" if pull["width"] is None else f" ± {pull['width']:.1f}")


def _fit(
    config: Config,
    model: PixelObservables,
    data: Observables,
    name: str,
    truth: Mapping[str, float],
    information: Floats,
) -> dict[str, Any]:
    """One fit, converged or not: errors by parameter in smallest possible and, where it has some, stated sigmas."""
    free = [k for k, n in enumerate(CALIBRATED) if n in config.known_methods[name].free]
    smallest = relative_uncertainty(information[np.ix_(free, free)])
    told: dict[str, Any] = {"method": name, "converged": False, "pulls": None, "stated_pulls": None}
    result = fit_noisy(config, model, data, name, truth, {})
    if isinstance(result, str):
        return {**told, "why": result}
    by_name = {p.name: p for p in result.parameters}
    fitted = [by_name[CALIBRATED[k]] for k in free]
    errors = np.array([_error(p, truth[p.name]) for p in fitted])
    told["pulls"] = dict(zip((p.name for p in fitted), map(float, errors / smallest), strict=True))
    if all(p.uncertainty is not None for p in fitted):
        stated = np.array([float(p.uncertainty or np.nan) / _unit(p.name, p.value) for p in fitted])
        told["stated_pulls"] = dict(zip((p.name for p in fitted), map(float, errors / stated), strict=True))
    return {**told, "converged": result.converged, "why": result.status}


def _unit(name: str, value: float) -> float:
    """How far a parameter moves per unit of the coordinate that fits move in."""
    return abs(parameter_table()[name].derivative(value))


def _error(fitted: FittedParameter, truth: float) -> float:
    """Fit less truth in the coordinate that fits move in, positive where the value is too high."""
    p = parameter_table()[fitted.name]
    return (p.to_internal(fitted.value) - p.to_internal(truth)) * float(np.sign(p.derivative(truth)))


def _summary(name: str, fits: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and width of the pulls of a method, over all of its fits that gave values."""
    mine = [f for f in fits if f["method"] == name]
    valued = [f["pulls"] for f in mine if f["pulls"] is not None]
    pulls = {}
    for parameter in valued[0] if valued else ():
        found = np.array([p[parameter] for p in valued])
        pulls[parameter] = {"mean": float(found.mean()), "width": float(found.std(ddof=1)) if len(found) > 1 else None}
    return {"method": name, "tried": len(mine), "converged": sum(f["converged"] for f in mine), "pulls": pulls}
