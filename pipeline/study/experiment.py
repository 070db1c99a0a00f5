"""The same deposits seen again and again with noise of their own: data of repeated experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..calibrate.methods import objective_of
from ..calibrate.objective import Objective
from ..calibrate.run import fit_hits
from ..config.methods import Method
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import FitError
from ..seeds import seed_of
from ..select.cuts import apply_cuts
from ..simulate.noise import Noise
from ..simulate.observe import PixelObservables
from ..simulate.setup import forward_model, noise_levels
from ..tables import FitResult, Floats, Hits, Observables, Segments
from .noisy import data_as_recorded, hits_as_recorded
from .processes import with_threads

#: Number of the stream of random numbers that noise draws are numbered in.
_STREAM = 11


class Experiment(Protocol):
    """Something that can be measured again and again."""

    def data(self, values: Mapping[str, float], seed: int) -> Observables:
        """Data at true parameter values, with the noise of this seed."""
        ...

    def objective(self, method: Method, data: Observables) -> Objective:
        """What a method makes small on these data."""
        ...

    def fit(self, method: Method, name: str, data: Observables, target: Mapping[str, float], seed: int) -> FitResult:
        """The fit of a method, called `name`, to data at a target, with its uncertainty."""
        ...

    def normal_scores(self, data: Observables, values: Mapping[str, float]) -> Mapping[str, Floats]:
        """How probable values were that are no larger than those found, as standard normal deviates `(hits,)` by the
        name of the value; none where the model does not know its noise.
        """
        ...


@dataclass(frozen=True)
class PixelExperiment:
    """Deposits in the pixel detector, read out with the configured noise, whether or not that is switched on."""

    segments: Segments
    geometry: DetectorGeometry
    config: Config

    @cached_property
    def model(self) -> PixelObservables:
        """The forward model, made once: what it plans does not depend on data."""
        return PixelObservables(forward_model(self.segments, self.geometry, self.config))

    def data(self, values: Mapping[str, float], seed: int) -> Observables:
        """See `Experiment.data`."""
        return data_as_recorded(self.model.model, values, Noise(noise_levels(self.config), seed), self.config)

    def hits(self, values: Mapping[str, float], seed: int) -> Hits:
        """The same data as a table of hits: all that a fit of hits alone gets."""
        return hits_as_recorded(self.model.model, values, Noise(noise_levels(self.config), seed), self.config)

    def objective(self, method: Method, data: Observables) -> Objective:
        """See `Experiment.objective`."""
        return objective_of(method, self.model, data)

    def fit(self, method: Method, name: str, data: Observables, target: Mapping[str, float], seed: int) -> FitResult:
        """See `Experiment.fit`."""
        return fit_hits(self.model, data, method, name, target=target, seed=seed, noisy=True)

    def normal_scores(self, data: Observables, values: Mapping[str, float]) -> Mapping[str, Floats]:
        """See `Experiment.normal_scores`: of times `t`, and of charges given the times `q`."""
        try:
            return dict(zip(("t", "q"), self.model.normal_scores(data, values), strict=True))
        except FitError:  # whole numbers, or noise that has no distribution in closed form
            return {}

    def __getstate__(self) -> dict[str, Any]:
        # Every process makes its own model.
        return {name: value for name, value in self.__dict__.items() if name != "model"}


def experiment_of(config: Config, segments: Segments, geometry: DetectorGeometry, length: float) -> PixelExperiment:
    """The experiment of the configured cuts with up to `length` [cm] of track, in one thread.

    Raises `SelectionError` where a cut leaves nothing.
    """
    cuts = config.select.model_copy(update={"max_total_length_cm": length})
    chosen = apply_cuts(segments, cuts, geometry, config.seed, "study").segments
    return PixelExperiment(chosen, geometry, with_threads(config))


def deposits_of(experiment: PixelExperiment) -> dict[str, Any]:
    """What the deposits are: length, tracks, events, and length by PDG code."""
    s = experiment.segments
    codes, row = np.unique(s.pdg_id, return_inverse=True)
    return {
        "length_cm": float(s.length.sum()),
        "tracks": int(s.track_index().max()) + 1,
        "events": len(np.unique(s.event_id)),
        "length_by_pdg": {str(c): float(x) for c, x in zip(codes, np.bincount(row, s.length), strict=True)},
    }


def noise_seed(seed: int, target: int, draw: int) -> int:
    """Seed of the noise of one draw at one target, by their numbers."""
    return seed_of(seed, _STREAM, target, draw)
