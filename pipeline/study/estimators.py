"""What a study of unknown deposits fits: one measurement, what the fit is told of it, and what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..calibrate.run import begun_at, fit_hits
from ..config.methods import STANDARD_METHODS, Method
from ..config.models import Config
from ..config.robustness import UnknownFits
from ..config.unknown import Unknown
from ..reconstruct.from_hits import from_hits
from ..simulate.observe import PixelObservables, observables_of_hits
from ..simulate.setup import forward_model, model_settings
from ..storage.identity import load_classifier
from ..storage.pixels import load_pixels
from ..tables import FitResult
from .experiment import Experiment, PixelExperiment

#: Steps that such fits may take: tracks find their places first.
_ITERATIONS = STANDARD_METHODS["unknown_segments"].max_iterations
#: Tracks of unknown places that are shorter than this [cm] are left out: two or three hits do not hold a track.
_SHORTEST = 10.0


@dataclass(frozen=True)
class Task:
    """What a fit leaves open of the deposits.

    `dedx`: one nuisance per segment; `geometry`: where the tracks are; `particles`: which ones they are. `from_hits`:
    tracks are found in the hits, and nothing of the deposits that a trial believes is used.
    """

    dedx: bool = False
    geometry: bool = False
    particles: bool = False
    from_hits: bool = False

    @property
    def known(self) -> bool:
        """Whether the fit takes the deposits that it is told for true."""
        return not (self.dedx or self.geometry or self.particles or self.from_hits)


@dataclass(frozen=True)
class Trial:
    """One measurement: data are made with the deposits of `truth`; a fit is told those of `believed`."""

    truth: Experiment
    believed: Experiment


@dataclass(frozen=True)
class Draw:
    """True `values` of all parameters, the `noise` seed of the data, and the `seed` of the run.

    What a fit simulates is of the seed of its data: errors of it that all fits shared would not average out.
    """

    values: Mapping[str, float]
    noise: int
    seed: int


class Estimator(Protocol):
    """One way to the parameters. Its result has the covariance with everything that it leaves open, and in its
    diagnostics `position_rms_um`, the rms distance of its tracks to the true ones, where it does not know these.
    """

    def fit(self, trial: Trial, draw: Draw, method: Method, name: str) -> FitResult:
        """The fit of a method, called `name`; raises `FitError` or `ModelRangeError` where there is none."""
        ...


@dataclass(frozen=True)
class KnownDeposits:
    """The fit that takes the deposits that it is told for true."""

    def fit(self, trial: Trial, draw: Draw, method: Method, name: str) -> FitResult:
        """See `Estimator.fit`."""
        data = trial.truth.data(draw.values, draw.noise)
        return trial.believed.fit(method, name, data, draw.values, draw.seed)


@dataclass(frozen=True)
class UnknownDeposits:
    """The marginal likelihood, which begins with the deposits that it is told."""

    unknown: Unknown

    def fit(self, trial: Trial, draw: Draw, method: Method, name: str) -> FitResult:
        """See `Estimator.fit`."""
        truth, believed = _pixels(trial.truth), _pixels(trial.believed)
        data = truth.data(draw.values, draw.noise)
        method = marginal(method, self.unknown)
        # Deposits that stay where they truly are need no distance.
        known = believed is truth and not self.unknown.geometry
        return fit_hits(
            believed.model, data, method, name,
            target=draw.values, seed=draw.noise, noisy=True, truth=None if known else truth.segments,
        )  # fmt: skip


@dataclass(frozen=True)
class FromHits:
    """What `gradcal reconstruct` and `gradcal fit` make of the hits: nothing of the deposits is used.

    Tracks are found with the values that the fit starts from; what hits tell of the field and of recombination before
    that, as far as the configuration asks for it, it starts from, too.
    """

    unknown: Unknown
    config: Config

    def fit(self, trial: Trial, draw: Draw, method: Method, name: str) -> FitResult:
        """See `Estimator.fit`."""
        truth = _pixels(trial.truth)
        geometry, steps = truth.geometry, self.config.reconstruct
        made = from_hits(
            truth.hits(draw.values, draw.noise), geometry, {**method.fixed, **method.initial}, steps,
            model_settings(self.config), pixels=load_pixels(self.config.readout.pixels, geometry),
            classifier=load_classifier(steps.particles), where="hits of a study",
        )  # fmt: skip
        found = made.reconstruction
        return fit_hits(
            PixelObservables(forward_model(found.segments, geometry, self.config)),
            observables_of_hits(made.hits, geometry),
            begun_at(made.assumed.values, marginal(method, self.unknown)), name,
            target=draw.values, seed=draw.noise, noisy=True, tracks=found.tracks, truth=truth.segments,
        )  # fmt: skip


def _pixels(experiment: Experiment) -> PixelExperiment:
    if not isinstance(experiment, PixelExperiment):
        raise TypeError("only segments seen by pixels have places and energies that may be unknown")
    return experiment


def marginal(method: Method, unknown: Unknown) -> Method:
    """A method as a fit of unknown deposits."""
    return method.model_copy(
        update={
            "objective": "marginal_likelihood",
            "optimiser": "fisher_scoring",
            "unknown": unknown,
            "max_iterations": max(method.max_iterations, _ITERATIONS),
        }
    )


def estimator(task: Task, method: Method, config: Config, settings: UnknownFits) -> Estimator:
    """The estimator that leaves open what `task` says, with what `method` and a study believe of deposits."""
    if task.known:
        return KnownDeposits()
    stops = any(h.kinetic_mev is None for h in settings.hypotheses)
    cut = settings.production_cut_mev
    unknown = method.unknown.model_copy(
        update={
            "geometry": task.geometry,
            "energy": "fitted" if task.dedx else "given",
            "hypotheses": settings.hypotheses if task.particles else settings.hypotheses[:1],
            # Struck electrons are no tracks where losses are fitted: what pixels get of them is simulated. Those of
            # slow particles hardly leave their track.
            "production_cut_mev": None if task.from_hits and stops else cut,
            "stray_above_mev": cut if task.dedx and not stops else None,
            "min_track_cm": _SHORTEST if task.geometry and not stops else 0.0,
        }
    )
    return FromHits(unknown, config) if task.from_hits else UnknownDeposits(unknown)
