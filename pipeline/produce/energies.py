"""Kinetic energies of generated particles."""

from __future__ import annotations

import numpy as np

from ..config.generator import Species
from ..matter.particles import mass
from ..tables import Floats, Ints

#: Spectrum of muons at sea level, `(T + SHIFT)^-POWER`: Gaisser's formula with the extension to low energies of Guan
#: et al., arXiv:1509.06176, at the vertical and far below the critical energies of pions and kaons (115 GeV).
SHIFT, POWER = 3640.0, 2.7


def kinetic_energies(rng: np.random.Generator, species: Species, pdg_id: Ints) -> Floats:
    """Kinetic energies [MeV] of particles of `species`, `(n,)`, with the PDG codes `pdg_id` `(n,)`."""
    n = len(pdg_id)
    if species.momentum_mev is not None:
        masses = np.array([mass(code) for code in species.pdg])
        m = masses[np.argmax(pdg_id[:, None] == np.array(species.pdg), axis=1)]
        p = rng.uniform(*species.momentum_mev, n)
        # sqrt(p^2 + m^2) - m without the loss of digits where p is small.
        return np.asarray(p * p / (np.sqrt(p * p + m * m) + m))
    if species.kinetic_energy_mev is None:  # refused by the settings
        raise ValueError("a species without an energy")
    low, high = species.kinetic_energy_mev
    if species.spectrum == "flat":
        return rng.uniform(low, high, n)
    # The inverse of the distribution function: (T + SHIFT)^(1 - POWER) is uniform.
    ends = (np.array([low, high]) + SHIFT) ** (1 - POWER)
    return np.asarray(np.clip(rng.uniform(ends[1], ends[0], n) ** (1 / (1 - POWER)) - SHIFT, low, high))
