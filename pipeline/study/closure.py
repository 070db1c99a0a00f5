"""A sample with known true values, data simulated from it, and methods on these data: what studies of fits share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calibrate.methods import objective_of
from ..calibrate.objective import Evaluation, Objective
from ..calibrate.run import fit_hits
from ..calibrate.uncertainty import Informative
from ..config.methods import Method
from ..config.models import Config
from ..config.selection import Select
from ..config.studies import OnData
from ..detector.geometry import DetectorGeometry
from ..errors import FitError, ModelRangeError
from ..parameters import nominal_values
from ..select.cuts import apply_cuts
from ..simulate.model import ForwardModel
from ..simulate.noise import Noise
from ..simulate.observe import PixelObservables
from ..simulate.setup import forward_model, noise_levels
from ..tables import FitResult, Floats, Linearised, Observables, Segments
from .noisy import data_as_recorded

#: Stream of random numbers of studies.
_STREAM = 10


@dataclass(frozen=True)
class Closure:
    """The model of some tracks and the true values `truth` of all parameters."""

    config: Config
    model: PixelObservables
    truth: Mapping[str, float]

    @classmethod
    def of(
        cls, config: Config, settings: OnData, segments: Segments, geometry: DetectorGeometry, study: str
    ) -> Closure:
        """The closure that the settings of a study describe; raises `SelectionError` if every track is too long."""
        off = ("max_delay_us", "max_abs_cos_drift", "track_anode_margin_cm", "min_track_length_cm")
        cuts = Select(**dict.fromkeys((*off, "max_anode_distance_cm")), max_total_length_cm=settings.length_cm)
        tracks = apply_cuts(segments, cuts, geometry, config.seed, f"study.{study}.length_cm").segments
        truth = {**nominal_values(), **settings.target}
        return cls(config, Remembered(forward_model(tracks, geometry, config)), truth)

    @property
    def tracks(self) -> Segments:
        """The tracks."""
        return self.model.model.segments

    def data(self, draw: int | None = None) -> Observables:
        """Data at the true values as a file of hits would hold them: without noise, or with the noise of one draw."""
        return data_as_recorded(self.model.model, self.truth, None if draw is None else self._noise(draw), self.config)

    def _noise(self, draw: int) -> Noise:
        seed = int(np.random.default_rng([self.config.seed, _STREAM, draw]).integers(2**62))
        return Noise(noise_levels(self.config), seed)

    def method(self, name: str, free: Sequence[str], start: Mapping[str, float], **fixed: float) -> Method:
        """A method of the configuration with other free parameters, from one start; the others are true or `fixed`."""
        held = {**self.truth, **fixed}
        return self.config.known_methods[name].model_copy(
            update={
                "free": tuple(free),
                # An infinite value has no derivative; a fit takes none.
                "fixed": {n: v for n, v in held.items() if n not in free and math.isfinite(v)},
                "initial": {n: v for n, v in start.items() if n in free},
                "starts": 1,
                # What the data say, and nothing else.
                "priors": {},
            }
        )

    def objective(self, method: Method, data: Observables) -> Objective:
        """What a method makes small."""
        return objective_of(method, self.model, data)

    def fit(self, name: str, method: Method, data: Observables) -> FitResult | str:
        """The fit of a method, or the sentence why there is none."""
        try:
            return fit_hits(self.model, data, method, name, target=self.truth, seed=self.config.seed)
        except (FitError, ModelRangeError) as refused:
            return str(refused)

    def described(self) -> dict[str, Any]:
        """The tracks and the true values as plain numbers, for the result of a study."""
        segments = self.tracks
        return {
            "truth": {name: value for name, value in self.truth.items() if math.isfinite(value)},
            "length_cm": float(segments.length.sum()),
            "tracks": int(segments.track_index().max()) + 1,
            "events": len(np.unique(segments.event_id)),
        }


class Remembered(PixelObservables):
    """A model that knows its last answers: several objectives, and several sets of data, ask for the same hits."""

    #: Answers that are kept.
    MOST = 256

    def __init__(self, model: ForwardModel) -> None:
        super().__init__(model)
        self._known: dict[Any, Linearised] = {}

    def linearise(self, values: Mapping[str, float], names: tuple[str, ...]) -> Linearised:
        """See `PixelObservables.linearise`."""
        key = (tuple(sorted(values.items())), names)
        if key not in self._known:
            while len(self._known) >= self.MOST:
                del self._known[next(iter(self._known))]
            self._known[key] = super().linearise(values, names)
        return self._known[key]


def is_likelihood(objective: Objective) -> bool:
    """Whether differences of the objective mean probabilities: contours of a given coverage can be drawn."""
    return isinstance(objective, Informative)


def information_of(objective: Objective, values: Mapping[str, float], names: tuple[str, ...]) -> Floats | None:
    """`(P, P)` what the data of an objective are expected to tell about parameters at their true values.

    The expected information of a likelihood; for residuals the curvature, which is information as far as their units
    are standard deviations; None for objectives that are neither.
    """
    if isinstance(objective, Informative):
        return objective.information(values, names)
    return objective.evaluate(values, names).curvature


def evaluated(objective: Objective, values: Mapping[str, float], names: tuple[str, ...]) -> Evaluation | None:
    """The objective at some values; None where the model cannot go, nothing is compared or it is not a number."""
    try:
        found = objective.evaluate(values, names)
    except ModelRangeError:
        return None
    alone = not found.counts["matched"] and found.cost == 0.0
    return None if alone or not np.isfinite(found.cost) else found
