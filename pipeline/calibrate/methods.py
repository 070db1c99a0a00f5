"""Which objective and optimiser a configured method means: one line for each that there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from ..config.methods import Method
from ..tables import Floats, Observables
from . import adam, fisher_scoring, levenberg_marquardt
from .levenberg_marquardt import Outcome
from .likelihood import Likelihood, ProbabilityModel
from .mask import well_above_threshold
from .objective import Evaluation, MatchedResiduals, Objective, ObservableModel
from .priors import with_priors
from .progress import State


def matched_residuals(method: Method, model: ObservableModel, data: Observables) -> Objective:
    """Charge and time residuals of hits, in the units of the method.

    Which hits are looked at is decided at the start values, once.
    """
    scales = np.array([method.charge_scale_adc, method.time_scale_us])
    start, lowest = {**method.fixed, **method.initial}, method.min_charge_electrons
    kept = well_above_threshold(model, start, lowest) if lowest else None
    return MatchedResiduals(
        model,
        data,
        scales,
        method.fair_scale,
        method.threshold_noise_electrons,
        kept,
        method.reset_noise_electrons,
    )


def mean_event_loss(method: Method, model: ObservableModel, data: Observables) -> Objective:
    """The loss that the objective is named after, event by event."""
    from .loss_objective import MeanEventLoss
    from .losses import LOSSES

    return MeanEventLoss(model, data, LOSSES[method.objective], method.loss)


def likelihood(method: Method, model: ObservableModel, data: Observables) -> Objective:
    """The likelihood of data, for models that know their noise."""
    return Likelihood(cast(ProbabilityModel, model), data)


#: Objectives by the names that the config uses; every other name is that of a loss of hits.
OBJECTIVES: dict[str, Callable[[Method, ObservableModel, Observables], Objective]] = {
    "matched_residuals": matched_residuals,
    "likelihood": likelihood,
}


def objective_of(method: Method, model: ObservableModel, data: Observables) -> Objective:
    """The objective of a method on some data, with its priors."""
    return with_priors(OBJECTIVES.get(method.objective, mean_event_loss)(method, model, data), method.priors)


class Search(Protocol):
    """What an optimiser works on: an objective in the coordinates of its free parameters, `(P,)` each."""

    @property
    def method(self) -> Method:
        """The settings."""
        ...

    @property
    def batches(self) -> int:
        """Number of batches that `evaluate` knows."""
        ...

    @property
    def start(self) -> Floats:
        """Where to begin."""
        ...

    @property
    def rounding(self) -> float:
        """Relative precision of the arithmetic of the model."""
        ...

    def evaluate(self, x: Floats, batch: int | None = None) -> Evaluation:
        """The objective of a batch, or of everything, with derivatives to the coordinates."""
        ...

    def approach(self, x: Floats) -> Evaluation:
        """The objective by which an optimiser comes near, with derivatives to the coordinates."""
        ...

    def room(self, x: Floats) -> tuple[Floats, Floats]:
        """Lowest and highest step of every coordinate."""
        ...

    def path(self) -> Floats:
        """`(iterations + 1, P)` coordinates of all recorded iterations."""
        ...


Record = Callable[[State, Evaluation], None]


def _levenberg_marquardt(search: Search, record: Record, resume: State | None) -> Outcome:
    return levenberg_marquardt.minimise(
        search.evaluate,
        search.room,
        search.start,
        tolerance=max(search.method.tolerance, 100 * search.rounding),
        precision=30 * search.rounding,
        max_iterations=search.method.max_iterations,
        record=record,
        resume=resume,
    )


def _fisher_scoring(search: Search, record: Record, resume: State | None) -> Outcome:
    return fisher_scoring.maximise(
        search.approach,
        search.evaluate,
        search.room,
        search.start,
        rounding=search.rounding,
        max_iterations=search.method.max_iterations,
        record=record,
        resume=resume,
    )


def _adam(search: Search, record: Record, resume: State | None) -> Outcome:
    return adam.minimise(
        search.evaluate,
        search.batches,
        search.room,
        search.start,
        search.path,
        search.method.adam,
        iterations=search.method.max_iterations,
        record=record,
        resume=resume,
    )


@dataclass(frozen=True)
class Optimiser:
    """How an objective is made small: `run`, what its `control` is called in the history, and whether parameters that
    are better fitted as their inverse are (`inverse`), or as multiples of their nominal values like all others.
    """

    run: Callable[[Search, Record, State | None], Outcome]
    control: str
    inverse: bool


#: Optimisers by the names that the config uses.
OPTIMISERS: dict[str, Optimiser] = {
    "levenberg_marquardt": Optimiser(_levenberg_marquardt, "damping", inverse=True),
    "fisher_scoring": Optimiser(_fisher_scoring, "damping", inverse=True),
    "adam": Optimiser(_adam, "learning_rate", inverse=False),
}
