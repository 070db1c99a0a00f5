"""Data with noise for studies, and fits to them: which draw is fixed by the seed of the run and some numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..calibrate.run import fit_hits
from ..config.models import Config
from ..detector.argon import scaled_drift_velocity
from ..errors import FitError, ModelRangeError
from ..parameters import nominal_values
from ..simulate.model import ForwardModel
from ..simulate.noise import Noise
from ..simulate.observe import PixelObservables, hits_table, observables_of_hits, observables_of_simulation
from ..simulate.setup import noise_levels
from ..tables import FitResult, Hits, Observables


def noise_draw(config: Config, *numbers: int) -> Noise:
    """The noise of one draw, whether or not targets have it: the same for the same seed of the run and numbers."""
    seed = np.random.SeedSequence([config.seed, *numbers]).generate_state(1)[0]
    return Noise(noise_levels(config), int(seed) >> 1)


def noisy_data(model: ForwardModel, values: Mapping[str, float], noise: Noise) -> Observables:
    """What the readout records at the parameter values (others nominal), with noise."""
    return observables_of_simulation(model.hits(values, noise), model.geometry)


def hits_as_recorded(model: ForwardModel, values: Mapping[str, float], noise: Noise | None, config: Config) -> Hits:
    """The file of hits that is recorded at the parameter values (others nominal); whole numbers if so configured."""
    return hits_table(
        model.hits(values, noise),
        model.geometry,
        drift_velocity=scaled_drift_velocity({**nominal_values(), **values}, model.geometry.temperature),
        event_t0=model.plan(values).event_t0,
        integer_adc=config.readout.integer_adc,
    )


def data_as_recorded(
    model: ForwardModel, values: Mapping[str, float], noise: Noise | None, config: Config
) -> Observables:
    """Data at the parameter values (others nominal) as a file of hits holds them."""
    return observables_of_hits(hits_as_recorded(model, values, noise, config), model.geometry)


def fit_noisy(
    config: Config,
    model: PixelObservables,
    data: Observables,
    name: str,
    truth: Mapping[str, float],
    start: Mapping[str, float],
) -> FitResult | str:
    """One fit of a configured method to noisy data, or the sentence why there is none.

    `start` values go before those of the method; what the method does not fit has the value that it gives, or the true
    one.
    """
    method = config.known_methods[name]
    begun = {**method.initial, **{n: v for n, v in start.items() if n in method.free}}
    held = {**{n: v for n, v in truth.items() if n not in method.free}, **method.fixed}
    method = method.model_copy(update={"initial": begun, "fixed": held, "starts": 1})
    try:
        return fit_hits(model, data, method, name, target=truth, seed=config.seed, noisy=True)
    except (FitError, ModelRangeError) as refused:
        return str(refused)
