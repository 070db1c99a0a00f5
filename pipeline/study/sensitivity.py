"""An objective as a function of each parameter alone: how it rises, where it is lowest, and how much that scatters.

As Fig. 12 (a) and (b) of arXiv:2309.04639, without and with noise in the data. Bands go over batches of whole tracks
and, with noise, over its draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..calibrate.objective import Evaluation
from ..config.methods import Method
from ..config.models import Config
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


#: Evaluations `[batch][data][value]`; data without noise come first.
Lines = list[list[list[Evaluation | None]]]


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
    # Beyond a physical bound there is no model.
    half = min(settings.reach * (p.high - p.low), 0.9 * (truth - p.minimum), p.maximum - truth)
    values = truth + half * np.linspace(-1, 1, 2 * settings.points_beside + 1)
    methods = {name: closure.method(name, (p.name,), {}) for name in settings.methods}
    # All methods at a point before the next point: they share its simulation.
    far = _evaluations(methods, batches, values, p.name)
    found = []
    for name, method in methods.items():
        near = _near(method, batches, far[name], values, truth, p.name)
        found.append(
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
                "minima": near,
            }
        )
    return found


def _near(
    method: Method, batches: list[_Batch], far: Lines, values: Floats, truth: float, name: str
) -> dict[str, list[float | None]]:
    """Lowest points less the true value, of every batch and of the sum of batches.

    Gradients at the true value and on both sides of it tell; the sides are as far away as minima scatter, guessed from
    the gradients there and the curvature, or the slope of gradients between the next points where there is none.
    """
    centre = len(values) // 2
    middle = np.array([[_slope(line[centre]) for line in batch] for batch in far])
    step = values[centre + 1] - truth
    rise = np.array([[_rise(line[centre - 1 : centre + 2], step) for line in batch] for batch in far])
    known = np.isfinite(middle) & np.isfinite(rise)
    total = rise[known].sum()
    scatter = float(np.sqrt(known.sum() * (middle[known] ** 2).sum()) / total) if total > 0 else np.inf
    window = min(max(2 * scatter, 1e-3 * (values[-1] - truth)), step)
    offsets = window * np.array([-1.0, 0.0, 1.0])
    ends = _evaluations({"": method}, batches, truth + offsets[[0, 2]], name)[""]
    slopes = np.stack(
        [
            [[_slope(line[0]) for line in batch] for batch in ends],
            middle,
            [[_slope(line[1]) for line in batch] for batch in ends],
        ],
        axis=-1,
    )
    whole = slopes.sum(axis=0)
    return {
        "plain": [lowest(line, offsets) for line in slopes[:, 0]],
        "noisy": [lowest(line, offsets) for line in slopes[:, 1:].reshape(-1, 3)],
        "whole_plain": [lowest(whole[0], offsets)],
        "whole_noisy": [lowest(line, offsets) for line in whole[1:]],
    }


def _evaluations(methods: dict[str, Method], batches: list[_Batch], values: Floats, name: str) -> dict[str, Lines]:
    """For each method the lines of evaluations at the values of one parameter, `[batch][data][value]`."""
    found: dict[str, Lines] = {key: [[[] for _ in batch.data] for batch in batches] for key in methods}
    for number, batch in enumerate(batches):
        objectives = {key: [batch.closure.objective(m, data) for data in batch.data] for key, m in methods.items()}
        for value in values:
            at = {**batch.closure.truth, name: float(value)}
            for key, mine in objectives.items():
                for line, objective in zip(found[key][number], mine, strict=True):
                    line.append(evaluated(objective, at, (name,)))
    return found


def _costs(line: list[Evaluation | None]) -> list[float | None]:
    return [None if e is None else float(e.cost) for e in line]


def _slope(e: Evaluation | None) -> float:
    return float("nan") if e is None else float(e.gradient[0])


def _rise(around: Sequence[Evaluation | None], step: float) -> float:
    """How fast the gradient rises at the middle of three points, from its curvature or from those a `step` beside."""
    below, here, above = around
    if here is not None and here.curvature is not None:
        return float(here.curvature[0, 0])
    return (_slope(above) - _slope(below)) / (2 * step)


def lowest(slopes: Floats, offsets: Floats) -> float | None:
    """Where the parabola through gradients `(3,)` at `offsets` `(3,)`, evenly around 0, crosses zero going up.

    None where it does not, or the place lies more than three times as far out as the points.
    """
    if not np.isfinite(slopes).all():
        return None
    window = offsets[2]
    level, rise, bend = slopes[1], (slopes[2] - slopes[0]) / 2, (slopes[2] + slopes[0]) / 2 - slopes[1]
    # bend u^2 + rise u + level = 0: the root at which the gradient rises, in the form that holds for bend = 0 too.
    under = rise**2 - 4 * bend * level
    if rise <= 0 or under < 0:
        return None
    u = float(-2 * level / (rise + np.sqrt(under)))
    return u * float(window) if abs(u) <= 3 else None
