"""One step of a heavy charged particle through liquid argon."""

from __future__ import annotations

import numpy as np

from ..tables import Floats
from .ranges import RangeTable
from .stopping import beta_squared, largest_transfer
from .straggling import landau_width, sample_loss


def advance(
    rng: np.random.Generator, table: RangeTable, kinetic_energy: Floats, step: Floats, cut: float = np.inf
) -> tuple[Floats, Floats]:
    """Energy lost [MeV] and path travelled [cm] by particles in a step, each `(n,)`.

    The mean loss is that of the range table over the whole step, so it does not depend on how a path is cut; the
    fluctuations are Vavilov's at the energy in the middle. A particle whose range, or whose energy after fluctuations,
    does not suffice stops inside the step and leaves all its energy: `lost == kinetic_energy`, `travelled <= step`.

    `table` is of the losses in collisions up to `cut` [MeV]; `kinetic_energy` [MeV], above 0, `step` [cm]: `(n,)`.
    """
    residual = table.range(kinetic_energy)
    # A step of no length loses nothing, not the rounding of the table.
    mean = np.where(step > 0, kinetic_energy - table.energy(np.maximum(residual - step, 0.0)), 0.0)
    mean = np.maximum(mean, 0.0)
    middle = kinetic_energy - 0.5 * mean
    loss = sample_loss(
        rng,
        mean,
        landau_width(middle, step, table.mass),
        beta_squared(middle, table.mass),
        largest_transfer(middle, table.mass),
        cut,
    )
    stops = (residual <= step) | (loss >= kinetic_energy)
    # A loss drawn above the energy left means that the energy runs out part of the way.
    travelled = np.minimum(step, residual) * (kinetic_energy / np.maximum(loss, kinetic_energy))
    return np.where(stops, kinetic_energy, loss), np.asarray(travelled)
