"""How far from a point first derivatives predict what the model says: steps of one parameter at a time.

Charge and time of every hit are predicted as `y(0) + J h`; the error is measured in the standard deviation that
electronics noise gives the hit. Half the sum of squares of residuals to the hits at the centre, `h J^T J h / 2`, is the
Gauss-Newton prediction of a cost; its error is relative to the cost itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..calibrate.residuals import match
from ..config.models import Config
from ..config.studies import Taylor
from ..detector.geometry import DetectorGeometry
from ..detector.pixels import PixelConstants
from ..errors import ModelRangeError
from ..parameters import Parameter
from ..parameters import table as parameter_table
from ..tables import Floats, Linearised, Segments
from .closure import Closure

#: Errors at which the steps are quoted [standard deviations of the noise].
MARKS = (0.1, 1.0)
#: What is predicted: the two values of a hit, and the cost.
QUANTITIES = ("charge", "time")


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Errors of predictions against step size for each parameter, up and down.

    Raises `SelectionError` where every track is longer than the configured length.
    """
    settings = config.study.taylor
    closure = Closure.of(config, settings, segments, geometry, "taylor")
    centre = closure.model.linearise(closure.truth, settings.parameters)
    unit = noise_units(centre, config, geometry)
    curves = []
    for column, name in enumerate(settings.parameters):
        progress(name)
        curves.append(_curve(closure, settings, centre, unit, column, parameter_table()[name]))
    return {
        **closure.described(),
        "settings": settings.model_dump(mode="json"),
        "hits": len(centre.observables),
        "parameters": curves,
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    heads = [f"{q} {mark:g} sd" for q in QUANTITIES for mark in MARKS]
    lines = ["largest relative step [%] before the rms error of a prediction reaches so many standard deviations"]
    lines.append(f"{'parameter':<24}" + "".join(f"{head:>16}" for head in heads))
    for entry in result["parameters"]:
        cells = [entry["reach"][q][k] for q in QUANTITIES for k in range(len(MARKS))]
        shown = ["further" if c is None else f"{100 * c / (abs(entry['truth']) or 1):.3g}" for c in cells]
        lines.append(f"{entry['name']:<24}" + "".join(f"{s:>16}" for s in shown))
    return "\n".join(lines)


def noise_units(at: Linearised, config: Config, geometry: DetectorGeometry) -> Floats:
    """`(n, 2)` standard deviations of ADC counts and times [us] of hits: noise of reset and sampling on the charge, and
    of the reset on the moment of crossing; at least the rounding of a clock tick."""
    noise, counts = config.readout.noise, PixelConstants.nominal(geometry).counts_per_electron(at.observables.channel)
    charge = np.hypot(noise.reset_electrons, noise.sampling_electrons) * counts
    time = np.hypot(noise.reset_electrons * at.softness[:, 1], geometry.readout.clock / np.sqrt(12))
    return np.stack([charge, time], axis=1)


def _curve(
    closure: Closure, settings: Taylor, centre: Linearised, unit: Floats, column: int, p: Parameter
) -> dict[str, Any]:
    """Rms errors of the predictions for one parameter at all steps, up and down."""
    truth = closure.truth[p.name]
    sizes = settings.largest * (p.high - p.low) * 0.5 ** np.arange(settings.steps)[::-1]
    found: list[dict[str, Any]] = []
    for sign in (-1.0, 1.0):
        for size in sizes:
            value = truth + sign * float(size)
            if p.minimum < value <= p.maximum:
                error = _error(closure, centre, unit, column, p.name, sign * float(size))
                found.append({"step": sign * float(size), **error})
    return {
        "name": p.name,
        "truth": truth,
        "steps": found,
        "reach": {q: [reach(found, q, mark) for mark in MARKS] for q in QUANTITIES},
    }


def _error(
    closure: Closure, centre: Linearised, unit: Floats, column: int, name: str, step: float
) -> dict[str, float | None]:
    """Rms errors of the linear prediction [standard deviations], and the cost beside its prediction."""
    nothing: dict[str, float | None] = dict.fromkeys(("charge", "time", "cost", "predicted_cost"))
    try:
        there = closure.model.observe({**closure.truth, name: closure.truth[name] + step})
    except ModelRangeError:
        return {**nothing, "matched": 0}
    pairs = match(centre.observables, there)
    if not len(pairs.model):
        return {**nothing, "matched": 0}
    change = (there.values[pairs.data] - centre.observables.values[pairs.model]) / unit[pairs.model]
    linear = step * centre.jacobian[pairs.model, :, column] / unit[pairs.model]
    charge, time = np.sqrt(np.mean((change - linear) ** 2, axis=0))
    return {
        "charge": float(charge),
        "time": float(time),
        "cost": float(0.5 * (change**2).sum()),
        "predicted_cost": float(0.5 * (linear**2).sum()),
        "matched": len(pairs.model) / max(len(centre.observables), len(there)),
    }


def reach(steps: list[dict[str, Any]], quantity: str, mark: float) -> float | None:
    """The smallest |step| at which the error of a prediction reaches `mark`, in the worse of both directions.

    Between steps the error is taken as a power of the step; None where no step reaches the mark.
    """
    found = []
    for sign in (-1, 1):
        mine = sorted((abs(s["step"]), s[quantity]) for s in steps if s["step"] * sign > 0 and s[quantity] is not None)
        for k, (size, error) in enumerate(mine):
            if error >= mark:
                found.append(_crossing(*mine[k - 1], size, error, mark) if k else size)
                break
    return min(found, default=None)


def _crossing(x0: float, y0: float, x1: float, y1: float, mark: float) -> float:
    """Where a power law through two points reaches `mark`."""
    if y0 <= 0:
        return x1
    return float(x0 * (x1 / x0) ** (np.log(mark / y0) / np.log(y1 / y0)))
