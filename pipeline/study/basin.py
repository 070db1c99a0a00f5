"""From how far fits find the target: many starts at growing distance, with and without the cut on the anode distance.

Distances are measured in the logarithm of the parameters, where no start can be unphysical: a parameter at distance u
is at its target for u = 0 and at the upper or lower end of its range in the table for u = 1 or -1. The distance of a
point is the largest |u| of the six; beyond 1 it lies outside the ranges.

A start that does not end at the target either was not given enough steps or sits in a minimum of its own. What tells
these apart is the objective along the straight line (in u) from the end to the target: where it nowhere rises, the fit
was under way; where it rises, something stands between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.methods import Basin
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError
from ..parameters import CALIBRATED, Parameter, calibrated
from ..select.cuts import apply_cuts
from ..tables import Floats, Segments
from .basin_work import Job, LineJob, StartJob, Work
from .processes import with_threads, work_through


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Fits from many starts and objectives along lines, for the configured cuts and without `max_anode_distance_cm`.

    Data are simulated without noise at the target. Raises `ConfigError` where the target lies outside the
    ranges, and `SelectionError` where a cut leaves nothing.
    """
    settings = config.study.basin
    scale = Scale.of(settings)
    methods = _methods(config)
    samples = []
    for name, distance in _cuts(config):
        cuts = config.select.model_copy(
            update={"max_anode_distance_cm": distance, "max_total_length_cm": settings.length_cm}
        )
        samples.append((name, apply_cuts(segments, cuts, geometry, config.seed, "basin").segments))
    work = Work(
        config=with_threads(config),
        geometry=geometry,
        samples=tuple(sample for _, sample in samples),
        methods=methods,
        target=dict(zip(CALIBRATED, scale.target, strict=True)),
        scale=scale,
    )
    starts = start_points(settings, config.seed)
    jobs: list[Job] = []
    for sample in range(len(samples)):
        jobs += [LineJob(sample, tuple(map(tuple, line))) for line in _lines(settings)]
        jobs += [StartJob(sample, method, distance, u) for method in methods for distance, u in starts]
    answers = work_through(work, jobs, config.simulate.threads, progress, "fits and lines")
    return {
        "target": work.target,
        "settings": settings.model_dump(mode="json"),
        "ranges": {p.name: [p.low, p.high] for p in calibrated()},
        "methods": [{"name": n, "objective": m.objective, "optimiser": m.optimiser} for n, m in methods.items()],
        "samples": [
            {
                "name": name,
                "max_anode_distance_cm": distance,
                "length_cm": float(sample.length.sum()),
                "tracks": int(sample.track_index().max()) + 1,
                "events": len(np.unique(sample.event_id)),
                **_of_sample(number, jobs, answers, settings, list(methods)),
            }
            for number, ((name, distance), (_, sample)) in enumerate(zip(_cuts(config), samples, strict=True))
        ],
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    wanted = result["settings"]["distances"]
    lines = []
    for sample in result["samples"]:
        lines.append(f"{sample['name']}: {sample['length_cm']:.0f} cm; arrived + under way of all starts, by distance")
        lines.append(f"{'method':<24}" + "".join(f"{d:>12g}" for d in wanted) + f"{'minima':>10}")
        for method in result["methods"]:
            cells = []
            for distance in wanted:
                ends = [
                    s["outcome"] for s in sample["starts"] if (s["method"], s["distance"]) == (method["name"], distance)
                ]
                cells.append(f"{ends.count('arrived')} + {ends.count('under_way')} / {len(ends)}")
            minima = sum(len(line["minima"][method["name"]]) for line in sample["lines"])
            lines.append(f"{method['name']:<24}" + "".join(f"{c:>12}" for c in cells) + f"{minima:>10}")
    lines.append("minima: false ones of the objective along the six lines through the target")
    return "\n".join(lines)


@dataclass(frozen=True)
class Scale:
    """Distances from the target: values `(..., 6)` and coordinates u `(..., 6)` in each other's terms."""

    target: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, settings: Basin) -> Scale:
        """The scale of the configured target; raises `ConfigError` where it has no range on both sides."""
        values = [settings.target.get(p.name, p.nominal) for p in calibrated()]
        unknown = sorted(settings.target.keys() - set(CALIBRATED))
        if unknown:
            raise ConfigError(f"study.basin.target: {unknown[0]} is not one of the six that are fitted; leave it out.")
        for p, value in zip(calibrated(), values, strict=True):
            _check_inside(p, value)
        return cls(tuple(values), tuple(p.low for p in calibrated()), tuple(p.high for p in calibrated()))

    def values(self, u: Floats) -> Floats:
        """Parameter values at coordinates u."""
        target = np.array(self.target)
        edge = np.where(u > 0, self.high, self.low)
        return np.asarray(target * (edge / target) ** np.abs(u))

    def coordinates(self, values: Floats) -> Floats:
        """Coordinates u of parameter values."""
        target = np.array(self.target)
        up = np.log(values / target)
        return np.asarray(np.where(up > 0, up / np.log(self.high / target), up / np.log(target / self.low)))


def _check_inside(p: Parameter, value: float) -> None:
    if not p.low < value < p.high:
        raise ConfigError(
            f"study.basin.target: {p.name} = {value:g} {p.unit} does not lie within its range {p.low:g} to {p.high:g}, "
            f"by which distances are measured; choose a value inside."
        )


def start_points(settings: Basin, seed: int) -> list[tuple[float, tuple[float, ...]]]:
    """Distance and coordinates u of every start: random directions, the same for all distances, methods and samples."""
    rng = np.random.default_rng([seed, 5])
    directions = rng.uniform(-1, 1, (settings.starts, len(CALIBRATED)))
    directions /= np.abs(directions).max(axis=1, keepdims=True)
    return [(d, tuple(float(v) for v in d * one)) for d in settings.distances for one in directions]


def _methods(config: Config) -> dict[str, Any]:
    """The compared methods, each from one start, with all six parameters free."""
    settings = config.study.basin
    found = {}
    for name in settings.methods:
        method = config.known_methods[name].model_copy(update={"free": CALIBRATED, "fixed": {}, "starts": 1})
        if method.optimiser == "adam":
            method = method.model_copy(update={"adam": settings.adam, "max_iterations": settings.adam_iterations})
        found[name] = method
    return found


def _cuts(config: Config) -> list[tuple[str, float | None]]:
    """Names and distances of the cut: as configured, and off."""
    distance = config.select.max_anode_distance_cm
    given = [] if distance is None else [(f"within {distance:g} cm of an anode", distance)]
    return [*given, ("the whole drift", None)]


def _lines(settings: Basin) -> list[Floats]:
    """`(points, 6)` coordinates along a line for each parameter, and of the grid of the plane, row by row."""
    reach = settings.reach
    count = len(CALIBRATED)
    along = np.linspace(-reach, reach, settings.line_points)
    lines = [along[:, None] * np.eye(count)[k] for k in range(count)]
    x, y = (CALIBRATED.index(name) for name in settings.plane)
    side = np.linspace(-reach, reach, settings.plane_points)
    grid = np.zeros((len(side) ** 2, count))
    grid[:, y], grid[:, x] = np.repeat(side, len(side)), np.tile(side, len(side))
    return [*lines, *np.split(grid, len(side))]


def _of_sample(number: int, jobs: list[Job], answers: list[Any], settings: Basin, methods: list[str]) -> dict[str, Any]:
    """What was found in one sample: starts, lines and the plane."""
    mine = [(job, answer) for job, answer in zip(jobs, answers, strict=True) if job.sample == number]
    lines = [(job, answer) for job, answer in mine if isinstance(job, LineJob)]
    along = np.linspace(-settings.reach, settings.reach, settings.line_points)
    count = len(CALIBRATED)
    return {
        "starts": [answer for job, answer in mine if isinstance(job, StartJob)],
        "lines": [
            {
                "parameter": name,
                "u": along.tolist(),
                "costs": answer,
                "minima": {method: false_minima(along, answer[method]) for method in methods},
            }
            for name, (_, answer) in zip(CALIBRATED, lines[:count], strict=True)
        ],
        "plane": {
            "parameters": list(settings.plane),
            "u": np.linspace(-settings.reach, settings.reach, settings.plane_points).tolist(),
            "costs": {method: [answer[method] for _, answer in lines[count:]] for method in methods},
        },
    }


def false_minima(u: Floats, costs: list[float | None], share: float = 0.01) -> list[float]:
    """Coordinates of minima of a curve that are not the one nearest to u = 0.

    A minimum counts if the curve rises on both sides by more than `share` of its whole height; the ends of the line are
    no minima, for what comes after them is not known.
    """
    curve = np.array([np.inf if c is None else c for c in costs])
    finite = curve[np.isfinite(curve)]
    if not len(finite):
        return []
    least = share * float(np.ptp(finite))
    found = []
    for k in range(1, len(curve) - 1):
        if not (curve[k] < curve[k - 1] and curve[k] <= curve[k + 1]):
            continue
        if min(_climb(curve[k::-1]), _climb(curve[k:])) > least:
            found.append(k)
    true = min(found, key=lambda k: abs(u[k]), default=None)
    return [float(u[k]) for k in found if k != true]


def _climb(walk: Floats) -> float:
    """How far a curve rises above its first point before it falls below it."""
    below = np.flatnonzero(walk < walk[0])
    return float(walk[: below[0] if len(below) else None].max() - walk[0])
