"""An objective as a function of each parameter alone: how it rises, where it is lowest, and how much that scatters.

As Fig. 12 (a) and (b) of arXiv:2309.04639, without and with noise in the data. Bands go over batches of whole tracks
and, with noise, over its draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..calibrate.objective import Evaluation
from ..config.models import Config, Method
from ..config.studies import Sensitivity
from ..detector.geometry import DetectorGeometry
from ..parameters import Parameter
from ..parameters import table as parameter_table
from ..simulate.batches import divide
from ..simulate.setup import forward_model
from ..tables import Floats, Observables, Segments
from .closure import Closure, Remembered, evaluated


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Curves and lowest points of every objective along every parameter, batch by batch.

    Raises `SelectionError` where every track is longer than the configured length.
    """
    settings = config.study.sensitivity
    closure = Closure.of(config, settings, segments, geometry, "sensitivity")
    batches = _batches(closure, settings)
    curves = []
    for name in settings.parameters:
        progress(f"{name}: {len(batches)} batches")
        curves += _along(closure, settings, batches, parameter_table()[name])
    return {
        **closure.described(),
        "settings": settings.model_dump(mode="json"),
        "batches": [float(b.closure.tracks.length.sum()) for b in batches],
        "curves": curves,
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text: means and standard deviations of the lowest points, relative, in percent."""
    lines = [f"{'method':<24}{'parameter':<24}{'no noise':>22}{'noise':>22}{'whole, noise':>22}"]
    for curve in result["curves"]:
        unit = 100 / (abs(curve["truth"]) or 1)
        cells = []
        for key in ("plain", "noisy", "whole_noisy"):
            found = np.array([m for m in curve["minima"][key] if m is not None]) * unit
            cells.append(f"{found.mean():+.3g} +- {found.std():.3g} %" if len(found) else "none")
        lines.append(f"{curve['method']:<24}{curve['parameter']:<24}" + "".join(f"{c:>22}" for c in cells))
    lines.append("lowest points less the true values, over batches (and draws); whole: of the sum of all batches")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Batch:
    """A closure of some tracks and its data: without noise, then one set for each draw."""

    closure: Closure
    data: tuple[Observables, ...]


def _batches(closure: Closure, settings: Sensitivity) -> list[_Batch]:
    """Batches of whole tracks that share no pixel; the noise of a pixel is the same as in the whole sample."""
    division = divide(
        closure.tracks, closure.model.model.plan(closure.truth), settings.batch_length_cm, closure.config.seed
    )
    found = []
    for number in range(division.count):
        tracks = closure.tracks.take(division.segments == number)
        model = forward_model(tracks, closure.model.model.geometry, closure.config)
        part = replace(closure, model=Remembered(model))
        found.append(_Batch(part, (part.data(), *(part.data(draw) for draw in range(settings.draws)))))
    return found


def _along(closure: Closure, settings: Sensitivity, batches: list[_Batch], p: Parameter) -> list[dict[str, Any]]:
    """The curves of all methods along one parameter."""
    truth = closure.truth[p.name]
    half = settings.reach * (p.high - p.low)
    values = truth + half * np.linspace(-1, 1, settings.points)
    values = values[(values > p.minimum) & (values <= p.maximum)]
    close = truth + settings.window * half * np.array([-1.0, 0.0, 1.0])
    methods = {name: closure.method(name, (p.name,), {}) for name in settings.methods}
    # `[method][batch][data][value]`: values innermost but evaluated together for all data, which share the simulation.
    far = {name: _evaluations(method, batches, values, p.name) for name, method in methods.items()}
    near = {name: _evaluations(method, batches, close, p.name) for name, method in methods.items()}
    return [
        {
            "method": name,
            "objective": method.objective,
            "parameter": p.name,
            "truth": truth,
            "values": values.tolist(),
            "costs": {
                "plain": [_costs(batch[0]) for batch in far[name]],
                "noisy": [_costs(data) for batch in far[name] for data in batch[1:]],
            },
            "minima": _minima(near[name], close - truth),
        }
        for name, method in methods.items()
    ]


def _evaluations(
    method: Method, batches: list[_Batch], values: Floats, name: str
) -> list[list[list[Evaluation | None]]]:
    """`[batch][data][value]` evaluations of a method."""
    found = []
    for batch in batches:
        objectives = [batch.closure.objective(method, data) for data in batch.data]
        columns = [
            [evaluated(objective, {**batch.closure.truth, name: float(value)}, (name,)) for objective in objectives]
            for value in values
        ]
        found.append([[column[k] for column in columns] for k in range(len(objectives))])
    return found


def _costs(line: list[Evaluation | None]) -> list[float | None]:
    return [None if e is None else float(e.cost) for e in line]


def _minima(near: list[list[list[Evaluation | None]]], offsets: Floats) -> dict[str, list[float | None]]:
    """Lowest points less the true value, from gradients at three points: of every batch, and of their sum."""
    gradients = [[_slopes(line) for line in batch] for batch in near]
    draws = range(1, len(near[0]))
    return {
        "plain": [lowest(batch[0], offsets) for batch in gradients],
        "noisy": [lowest(batch[k], offsets) for batch in gradients for k in draws],
        "whole_plain": [lowest(_summed([batch[0] for batch in gradients]), offsets)],
        "whole_noisy": [lowest(_summed([batch[k] for batch in gradients]), offsets) for k in draws],
    }


def _slopes(line: list[Evaluation | None]) -> Floats:
    return np.array([np.nan if e is None else float(e.gradient[0]) for e in line])


def _summed(slopes: list[Floats]) -> Floats:
    return np.asarray(np.sum(slopes, axis=0))


def lowest(slopes: Floats, offsets: Floats) -> float | None:
    """Where the straight line through gradients `(3,)` at `offsets` `(3,)` crosses zero; None where it does not rise or
    the place lies more than twice as far out as the points.

    A parabola through the objective: noise moves the minimum by much less than the objective is bent.
    """
    if not np.isfinite(slopes).all():
        return None
    rise, level = np.polyfit(offsets, slopes, 1)
    if rise <= 0:
        return None
    place = float(-level / rise)
    return place if abs(place) <= 2 * np.abs(offsets).max() else None
