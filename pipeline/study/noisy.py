"""Data with noise for studies: which draw is fixed by the seed of the run and some numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..config.models import Config
from ..simulate.model import ForwardModel
from ..simulate.noise import Noise, NoiseLevels
from ..simulate.observe import observables_of_simulation
from ..tables import Observables


def noise_levels(config: Config) -> NoiseLevels:
    """Widths of the configured noise terms [electrons]; studies add noise whether or not targets have it."""
    levels = config.readout.noise
    return NoiseLevels(levels.reset_electrons, levels.sampling_electrons, levels.discriminator_electrons)


def noise_draw(config: Config, *numbers: int) -> Noise:
    """The noise of one draw: the same for the same seed of the run and the same numbers."""
    seed = np.random.SeedSequence([config.seed, *numbers]).generate_state(1)[0]
    return Noise(noise_levels(config), int(seed) >> 1)


def noisy_data(model: ForwardModel, values: Mapping[str, float], noise: Noise) -> Observables:
    """What the readout records at the parameter values (others nominal), with noise."""
    return observables_of_simulation(model.hits(values, noise), model.geometry)
