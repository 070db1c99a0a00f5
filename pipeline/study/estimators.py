"""What a study of unknown deposits fits: one measurement, what the fit is told of it, and what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..calibrate.joint.parts import late_of
from ..calibrate.run import fit_hits
from ..config.methods import STANDARD_METHODS, Method
from ..config.models import Config
from ..config.robustness import UnknownFits
from ..config.unknown import Unknown
from ..parameters import nominal_values
from ..reconstruct.field import with_measured_field
from ..reconstruct.reconstruct import reconstruct
from ..reconstruct.stopping import stopping_tracks
from ..simulate.observe import PixelObservables, observables_of_hits
from ..simulate.setup import forward_model, model_settings
from ..storage.pixels import load_pixels
from ..tables import FitResult, Hits
from .experiment import Experiment, PixelExperiment

#: Steps that such fits may take: tracks find their places first.
_ITERATIONS = STANDARD_METHODS["unknown_segments"].max_iterations
#: As many hits (some 5000 cm) tell the field to a few 1e-4, which is as much as where tracks are found needs.
_ENOUGH = 10_000
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
    """The marginal likelihood of tracks that were found in the hits: nothing of the deposits is used.

    Tracks are found with the values that the fit starts from (the field by tracks across the cathode, if so
    configured), and again with the fitted ones, `rounds` times in all: which hits belong to a track, and which tracks
    stop, stays as it is during a fit. All fits but the last are of so many events as have `_ENOUGH` hits.
    """

    unknown: Unknown
    config: Config
    rounds: int = 2

    def fit(self, trial: Trial, draw: Draw, method: Method, name: str) -> FitResult:
        """See `Estimator.fit`."""
        truth = _pixels(trial.truth)
        hits, geometry = truth.hits(draw.values, draw.noise), truth.geometry
        settings, pixels = model_settings(self.config), load_pixels(self.config.readout.pixels, geometry)
        values = {**nominal_values(), **method.fixed, **method.initial}
        method, steps = marginal(method, self.unknown), self.config.reconstruct
        if steps.velocity == "crossers" and "electric_field" in method.free:
            values, _ = with_measured_field(hits, geometry, values, steps, settings)
        rough = self.unknown.model_copy(update={"determinant": False, "simulated": 0.0})
        # Nothing is simulated for these.
        late = late_of(self.unknown)
        first = tuple(n for n in method.free if n not in late)
        for left in reversed(range(self.rounds if first else 1)):
            seen = _first_events(hits, _ENOUGH) if left else hits
            found = reconstruct(seen, geometry, values, steps, settings, pixels=pixels)
            if steps.stopping is not None:
                resolution, recombination = steps.particles.charge_resolution, settings.recombination
                found, measured = stopping_tracks(
                    found, steps.stopping, geometry, resolution, values, recombination, "hits of a study"
                )
                if left:  # at nominal values the first fit would have a long way to go
                    values |= {n: measured[n] for n in method.free}
            model = PixelObservables(forward_model(found.segments, geometry, self.config))
            free, unknown = (first, rough) if left else (method.free, self.unknown)
            fixed = method.fixed | {n: values[n] for n in method.free if n not in free}
            initial = {n: values[n] for n in free}
            begun = method.model_copy(update={"free": free, "fixed": fixed, "initial": initial, "unknown": unknown})
            result = fit_hits(
                model, observables_of_hits(seen, geometry), begun, name,
                target=draw.values, seed=draw.noise, noisy=True, tracks=found.tracks,
                truth=None if left else truth.segments,
            )  # fmt: skip
            values |= {p.name: p.value for p in result.parameters if p.free}
        return result


def _first_events(hits: Hits, enough: int) -> Hits:
    """Hits of the first events that have `enough` of them; all, where there are no more."""
    last = hits.event_id[min(enough, len(hits)) - 1] if len(hits) else 0
    return hits.take(hits.event_id <= last)


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
