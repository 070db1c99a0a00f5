"""One parameter held at a wrong value at a time, the others fitted: how wrong these come out.

As Fig. 10 of arXiv:2309.04639.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..config.models import Config
from ..config.studies import Interdependence
from ..detector.geometry import DetectorGeometry
from ..parameters import Parameter
from ..parameters import table as parameter_table
from ..tables import Observables, Segments
from .closure import Closure, information_of, is_likelihood

#: A fit has converged when a step moves no parameter by more of its nominal value.
TOLERANCE = 1e-5


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Fits with each parameter held too low and too high, and one with none held wrong.

    Raises `SelectionError` where every track is longer than the configured length.
    """
    settings = config.study.interdependence
    closure = Closure.of(config, settings, segments, geometry, "interdependence")
    noise = settings.noise or is_likelihood(
        closure.objective(closure.method(settings.method, settings.parameters, {}), closure.data())
    )
    data = closure.data(0 if noise else None)
    fits = [_fit(closure, settings, data, None, 0.0)]
    for name in settings.parameters:
        for sign in (-1.0, 1.0):
            progress(f"{name} held {'too low' if sign < 0 else 'too high'}")
            fits.append(_fit(closure, settings, data, name, sign))
    return {**closure.described(), "settings": settings.model_dump(mode="json"), "noise": noise, "fits": fits}


def table(result: dict[str, Any]) -> str:
    """The result as lines of text: relative errors in percent."""
    names = result["settings"]["parameters"]
    lines = [f"{'held wrong':<36}" + "".join(f"{name[:16]:>18}" for name in names)]
    for fit in result["fits"]:
        held = "none" if fit["held"] is None else f"{fit['held']} {100 * fit['error_of_held']:+.2g} %"
        cells = [fit["errors"].get(name) for name in names]
        lines.append(f"{held:<36}" + "".join(f"{'-' if c is None else f'{100 * c:+.3g} %':>18}" for c in cells))
    return "\n".join(lines)


def _fit(
    closure: Closure, settings: Interdependence, data: Observables, held: str | None, sign: float
) -> dict[str, Any]:
    """The fit with one parameter held wrong: relative errors (differences where the true value is 0) of the others."""
    known = parameter_table()
    free = tuple(name for name in settings.parameters if name != held)
    wrong = {} if held is None else {held: _wrong(known[held], closure.truth[held], sign * settings.fraction)}
    method = closure.method(settings.method, free, closure.truth, **wrong)
    # Where nothing fits, steps get shorter slowly; biases are read to three digits.
    method = method.model_copy(update={"tolerance": max(method.tolerance, TOLERANCE)})
    result = closure.fit(settings.method, method, data)
    told: dict[str, Any] = {
        "held": held,
        "error_of_held": None if held is None else _error(closure.truth[held], wrong[held]),
        "errors": {},
        "sigmas": {},
    }
    if isinstance(result, str):
        return {**told, "converged": False, "status": result}
    values = {p.name: p.value for p in result.parameters}
    return {
        **told,
        "errors": {name: _error(closure.truth[name], values[name]) for name in free},
        "sigmas": _sigmas(closure, free, settings, data),
        "converged": result.converged,
        "status": result.status,
    }


def _wrong(p: Parameter, truth: float, fraction: float) -> float:
    """The wrong value: off by a fraction of the table range, but within the physical bounds."""
    value = truth + fraction * (p.high - p.low)
    return float(np.clip(value, 0.5 * (truth + p.minimum), p.maximum))


def _error(truth: float, value: float) -> float:
    return value / truth - 1 if truth else value


def _sigmas(closure: Closure, free: tuple[str, ...], settings: Interdependence, data: Observables) -> dict[str, float]:
    """Standard uncertainties of the free parameters, in the unit of their errors; none without a likelihood."""
    found = closure.objective(closure.method(settings.method, free, {}), data)
    if not is_likelihood(found):
        return {}
    information = information_of(found, closure.truth, free)
    assert information is not None
    standard = np.sqrt(np.diag(np.linalg.inv(information)))
    return {
        name: float(s / closure.truth[name] if closure.truth[name] else s)
        for name, s in zip(free, standard, strict=True)
    }
