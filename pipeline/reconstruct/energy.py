"""dE/dx of segments by what a particle is: most probable at a momentum, or at the range that it has left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..matter.energy_prior import EnergyPrior, Layers
from ..tables import Floats, Ints

#: Newton steps from the peak of the density of the logarithm of dE/dx to that of dE/dx, which is close by.
_STEPS = 8


def most_probable(species: Ints, length: Floats, kinetic: Floats) -> Floats:
    """Most probable dE/dx `(n,)` [MeV/cm] in layers of `length` [cm] of particles (PDG codes) of `kinetic` [MeV].

    The peak of Vavilov's density (`matter.energy_prior`), all that is knocked out included; arrays `(n,)`.
    """

    def peak(prior: EnergyPrior, rows: Ints) -> Floats:
        layers = prior.layers(length[rows], kinetic[rows])
        u, width = layers.mode_and_width()
        # In its logarithm the peak lies higher by the square of the width.
        return np.exp(_peak_of_loss(layers, u - width**2))

    return _by_species(species, peak)


def mean_at_range(species: Ints, length: Floats, residual_range: Floats) -> Floats:
    """Mean dE/dx `(n,)` [MeV/cm] of particles that stop `residual_range` [cm] behind the centres of their segments.

    `(T(R + L/2) - T(R - L/2)) / L` with T the energy of range R (Bethe's formula, integrated); arrays as for
    `most_probable`.
    """

    def mean(prior: EnergyPrior, rows: Ints) -> Floats:
        layers = prior.layers_at(length[rows], residual_range[rows])
        return layers.mean / layers.length

    return _by_species(species, mean)


def _by_species(species: Ints, of: Callable[[EnergyPrior, Ints], Floats]) -> Floats:
    dedx = np.zeros(len(species))
    for code in np.unique(np.abs(species)):
        rows = np.flatnonzero(np.abs(species) == code)
        dedx[rows] = of(EnergyPrior(int(code)), rows)
    return dedx


def _peak_of_loss(layers: Layers, u: Floats) -> Floats:
    """Logarithm of the most probable dE/dx, from close by."""
    for _ in range(_STEPS):
        _, first, second = layers.log_density(u)
        # The density of dE/dx is that of u over dE/dx.
        u = u - np.clip((first - 1) / np.minimum(second, -1.0), -0.05, 0.05)
    return u
