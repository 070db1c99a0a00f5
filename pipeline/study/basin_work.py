"""The fits and lines of the study `basin`, done by several processes: what each makes does not depend on how many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibrate.fit import fit
from ..calibrate.methods import objective_of
from ..calibrate.objective import Objective, ObservableModel
from ..config.methods import Method
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import FitError, ModelRangeError
from ..parameters import CALIBRATED
from ..simulate.batches import observable_batches
from ..simulate.observe import PixelObservables
from ..simulate.setup import forward_model
from ..tables import Floats, Linearised, Observables, Segments

if TYPE_CHECKING:
    from .basin import Scale

#: Places along the line from the end of a fit to the target at which its objective is looked at, both included.
PLACES = 9
#: A rise of the objective on that line counts if it is more than this share of what separates the end from the target:
#: not the start, from which most of the way is made even by a fit that ends in a minimum of its own.
LEAST_RISE = 0.1
#: A fit that ends further away than this has run off to a physical bound.
FAR = 10.0


@dataclass(frozen=True)
class StartJob:
    """One fit: coordinates `u` of its start."""

    sample: int
    method: str
    distance: float
    u: tuple[float, ...]


@dataclass(frozen=True)
class LineJob:
    """Objectives of all methods at some points."""

    sample: int
    u: tuple[tuple[float, ...], ...]


Job = StartJob | LineJob


@dataclass(frozen=True)
class Work:
    """What all jobs share; data are simulated when they are first asked for."""

    config: Config
    geometry: DetectorGeometry
    samples: Sequence[Segments]
    methods: Mapping[str, Method]
    target: Mapping[str, float]
    scale: Scale
    _made: dict[Any, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": {}}

    def do(self, job: Job) -> dict[str, Any]:
        """The answer to one job, as plain numbers."""
        return self._start(job) if isinstance(job, StartJob) else self._line(job)

    def data(self, sample: int) -> tuple[PixelObservables, Observables]:
        """The model of a sample and its data."""

        def make() -> tuple[PixelObservables, Observables]:
            model = PixelObservables(forward_model(self.samples[sample], self.geometry, self.config))
            return model, model.observe(self.target)

        return self._once(("data", sample), make)  # type: ignore[no-any-return]

    def objective(self, sample: int, method: str) -> Objective:
        """What a method makes small, on a whole sample."""

        def make() -> Objective:
            return objective_of(self.methods[method], *self.data(sample))

        return self._once(("objective", sample, method), make)  # type: ignore[no-any-return]

    def parts(self, sample: int, method: str) -> list[Objective]:
        """The same in batches; none where the method takes everything at once."""
        length = self.methods[method].batch_length_cm
        if length is None:
            return []

        def make() -> list[tuple[PixelObservables, Observables]]:
            model, data = self.data(sample)
            return list(observable_batches(model.model, data, length, self.config.seed))

        batches = self._once(("batches", sample, length), make)
        return [objective_of(self.methods[method], *batch) for batch in batches]

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _start(self, job: StartJob) -> dict[str, Any]:
        """Fit from one start and say what became of it."""
        values = self.scale.values(np.array(job.u))
        method = self.methods[job.method].model_copy(
            update={"initial": dict(zip(CALIBRATED, map(float, values), strict=True))}
        )
        objective = self.objective(job.sample, job.method)
        told = {"method": job.method, "distance": job.distance, "start_u": list(job.u)}
        try:
            result = fit(
                objective,
                method,
                job.method,
                target=self.target,
                seed=self.config.seed,
                extra={},
                batches=self.parts(job.sample, job.method),
                rounding=float(np.finfo(self.config.simulate.dtype).eps),
            )
            by_name = {p.name: p.value for p in result.parameters if p.free}
            end = np.array([by_name[name] for name in CALIBRATED])
            # A fit may end where numbers are no longer finite: that is a failure, with the sentence of the fit.
            costs = self._way(objective, values, end)
        except (FitError, ModelRangeError) as refused:
            return {**told, "outcome": "failed", "why": str(refused), "end_u": None, "error": None, "iterations": 0}
        error = float(np.abs(end / np.array(self.scale.target) - 1).max())
        found = {"end_u": self.scale.coordinates(end).tolist(), "error": error, "iterations": result.iterations}
        settings = self.config.study.basin
        tolerance = settings.adam_tolerance if method.optimiser == "adam" else settings.tolerance
        judged = outcome_of(error, tolerance, found["end_u"], costs["way_costs"])
        return {**told, "outcome": judged, "why": result.status, **found, **costs}

    def _way(self, objective: Objective, start: Floats, end: Floats) -> dict[str, Any]:
        """Cost at the start, and along the straight line from the end to the target."""
        u = self.scale.coordinates(end)
        way = [self.scale.values(u * share) for share in np.linspace(1, 0, PLACES)]
        at = [_cost(objective, values) for values in [start, *way]]
        return {"start_cost": at[0], "way_costs": at[1:]}

    def _line(self, job: LineJob) -> dict[str, Any]:
        """Costs `(points,)` of every method; None where the model cannot go or nothing is left to compare."""
        model, data = self.data(job.sample)
        costs: dict[str, list[float | None]] = {name: [] for name in self.methods}
        for u in job.u:
            values = self.scale.values(np.array(u))
            try:
                once = _Once(model.linearise(_named(values), CALIBRATED))
            except ModelRangeError:
                for found in costs.values():
                    found.append(None)
                continue
            for name, method in self.methods.items():
                costs[name].append(_cost(objective_of(method, once, data), values))
        return costs


@dataclass(frozen=True)
class _Once(ObservableModel):
    """A model that was asked already: several objectives look at the same hits."""

    at: Linearised

    def observe(self, values: Mapping[str, float]) -> Observables:
        return self.at.observables

    def linearise(self, values: Mapping[str, float], names: tuple[str, ...]) -> Linearised:
        return self.at


def outcome_of(error: float, tolerance: float, end_u: Sequence[float], way_costs: Sequence[float | None]) -> str:
    """What became of a fit that ended at `end_u` `(6,)`, with costs along the line from there to the target."""
    if error <= tolerance:
        return "arrived"
    if way_costs[0] is None or np.abs(end_u).max() > FAR:
        return "failed"
    way = np.array([np.inf if c is None else c for c in way_costs])
    return "stuck" if rise(way) > LEAST_RISE * max(way[0] - way[-1], 0.0) else "under_way"


def rise(walk: Floats) -> float:
    """The largest climb of a walk above the lowest place that it has passed."""
    return float((walk - np.minimum.accumulate(walk)).max())


def _named(values: Floats) -> dict[str, float]:
    return dict(zip(CALIBRATED, map(float, values), strict=True))


def _cost(objective: Objective, values: Floats) -> float | None:
    """The objective at some values; None where there is none."""
    try:
        e = objective.evaluate(_named(values), CALIBRATED)
    except ModelRangeError:
        return None
    alone = not e.counts["matched"] and e.cost == 0.0
    return None if alone or not np.isfinite(e.cost) else float(e.cost)
