"""Many fits of measurements that differ in tracks, noise and mistakes: what the studies of unknown deposits share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..config.methods import Method
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import FitError, ModelRangeError, ReconstructionError, SegmentError, SelectionError
from ..parameters import table
from ..perturb.apply import perturb
from ..perturb.base import Perturbation
from ..seeds import seed_of
from ..select.cuts import apply_cuts
from ..tables import FitResult, Floats, Ints, Segments
from .estimators import Draw, Estimator, Trial
from .experiment import PixelExperiment, noise_seed
from .pull_fits import nothing, outcome, repeated

#: Stream of random numbers of the order of events, and of the mistakes of single fits.
STREAM = 23
#: Points of a path that are kept, at most.
_MOST_POINTS = 200


@dataclass(frozen=True)
class Job:
    """One fit by its numbers: of its series, its target and its draw."""

    series: int
    target: int
    draw: int


@dataclass(frozen=True)
class Series:
    """Fits of one kind: `free` besides the parameters of the method, `hold` as in `repeated`.

    `unknown`: parameters that have no true value here. `paths`: targets whose first fit is kept iteration by iteration.
    """

    name: str
    estimator: Estimator
    hold: Mapping[str, float]
    free: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    paths: int = 0


class Source(Protocol):
    """Where the measurements come from."""

    def trial(self, job: Job) -> Trial:
        """The measurement of one fit."""
        ...


@dataclass(frozen=True)
class Trials:
    """What all fits share (`processes.Work`)."""

    source: Source
    series: tuple[Series, ...]
    method: Method
    name: str
    targets: Mapping[str, Mapping[str, float]]
    seed: int

    def calibrated(self, series: Series) -> tuple[str, ...]:
        """Parameters of the method that a series fits."""
        return tuple(n for n in self.method.free if n not in series.hold)

    def do(self, job: Job) -> dict[str, Any]:
        """Fit from the nominal point; a fit that cannot be made is an answer, too."""
        series = self.series[job.series]
        target, values = list(self.targets.items())[job.target]
        told: dict[str, Any] = {"series": series.name, "target": target, "draw": job.draw}
        free = tuple(dict.fromkeys((*self.calibrated(series), *series.free)))
        values = {**{n: table()[n].nominal for n in free}, **values}
        method = repeated(self.method, free, series.hold, values)
        draw = Draw(values, noise_seed(self.seed, job.target, job.draw), self.seed)
        try:
            result = series.estimator.fit(self.source.trial(job), draw, method, self.name)
        except (FitError, ModelRangeError, ReconstructionError, SegmentError, SelectionError) as refused:
            return {**told, **nothing(str(refused)), "position_rms_um": None, "path": {}}
        told |= {"hits": int(result.diagnostics.get("hits_used", 0)), **outcome(result, values), "scores": {}}
        told["position_rms_um"] = result.diagnostics.get("position_rms_um")
        kept = job.target < series.paths and not job.draw
        return {**told, "path": _path(result, values) if kept else {}}


def _path(result: FitResult, truth: Mapping[str, float]) -> dict[str, list[float]]:
    """Iterations, and value over truth of every free parameter after each."""
    found = {p.name: result.history[p.name] for p in result.parameters if p.free and p.name in result.history}
    found = {n: values for n, values in found.items() if truth[n]}
    count = max(map(len, found.values()), default=0)
    chosen = np.unique(np.linspace(0, max(count - 1, 0), min(count, _MOST_POINTS)).round().astype(int))
    path = {n: (np.asarray(values)[chosen] / truth[n]).tolist() for n, values in found.items()}
    return {"iteration": chosen.tolist(), **path} if count else {}


@dataclass(frozen=True)
class Told:
    """What the data of a series are made of, and what its fits are told instead.

    `parts` are the deposits of the data, dealt out to `draws` fits at each target; `config` makes the data, `perturb`
    what fits are told.
    """

    parts: tuple[Segments, ...]
    draws: int
    config: Config
    perturb: tuple[Perturbation, ...] = ()


@dataclass(frozen=True)
class PixelTrials:
    """Measurements with the pixel detector (`Source`), of `told` by series; fits are as `config` says."""

    told: tuple[Told, ...]
    geometry: DetectorGeometry
    config: Config
    where: str

    def trial(self, job: Job) -> Trial:
        """Every draw has a part of its own, as far as there are enough, and mistakes of its own."""
        told = self.told[job.series]
        part = told.parts[part_number(job.target, job.draw, told.draws, len(told.parts))]
        truth = PixelExperiment(part, self.geometry, told.config)
        if not told.perturb and told.config is self.config:
            return Trial(truth, truth)
        steps = tuple(_drawn_anew(step, self.config.seed, job) for step in told.perturb)
        wrong = perturb(part, steps, self.geometry, where=f"target {job.target + 1}", key=self.where).segments
        return Trial(truth, PixelExperiment(wrong, self.geometry, self.config))


def part_number(target: int, draw: int, draws: int, parts: int) -> int:
    """Which part of a sample a draw at a target has, of `parts`."""
    return (target * draws + draw) % parts


def _drawn_anew(step: Perturbation, seed: int, job: Job) -> Perturbation:
    """The perturbation with random numbers of its own for a target and a draw, the same in all series."""
    if step.stream is None:
        return step
    numbers = [seed, STREAM, job.target, job.draw, getattr(step, "seed", 0)]
    return step.model_copy(update={"seed": seed_of(*numbers)})


def through_cuts(config: Config, segments: Segments, geometry: DetectorGeometry, where: str) -> Segments:
    """The whole sample after the configured cuts; raises `SelectionError` where they leave nothing."""
    cuts = config.select.model_copy(update={"max_total_length_cm": None})
    return apply_cuts(segments, cuts, geometry, config.seed, where).segments


def parts_of(segments: Segments, length: float, seed: int, at_most: int) -> list[Ints]:
    """Numbers of the events of parts of a sample, in an order fixed by the seed.

    Parts are whole events, as tracks of an event lie over the same pixels, until another one would more likely lead
    away from `length` [cm] than nearer; a last part that is shorter is not used, unless it is the only one.
    """
    events, index = np.unique(segments.event_id, return_inverse=True)
    each = np.bincount(index.reshape(-1), segments.length, len(events))
    order = np.random.default_rng([seed, STREAM]).permutation(len(events))
    parts: list[Ints] = []
    now: list[int] = []
    filled = 0.0
    for event in order:
        if len(parts) == at_most:
            break
        now.append(int(events[event]))
        filled += each[event]
        if filled + 0.5 * each.mean() >= length:
            parts.append(np.sort(np.array(now, dtype=np.int64)))
            now, filled = [], 0.0
    return parts or [np.sort(np.array(now, dtype=np.int64))]


def taken(segments: Segments, parts: Sequence[Ints]) -> tuple[Segments, ...]:
    """The segments of each part."""
    return tuple(segments.take(np.isin(segments.event_id, events)) for events in parts)


def deposits_of_parts(parts: Sequence[Segments], wanted: float) -> dict[str, Any]:
    """What the deposits of one fit are, on average over the parts: `wanted` length [cm], and what there was."""
    length: Floats = np.array([float(part.length.sum()) for part in parts])
    return {
        "wanted_cm": wanted,
        "length_cm": float(length.mean()),
        "parts": len(parts),
        "tracks": float(np.mean([len(np.unique(part.track_index())) for part in parts])),
        "segments": float(np.mean([len(part) for part in parts])),
    }
