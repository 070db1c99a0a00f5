"""Masses of particles, from the tables of the Particle Data Group."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..tables import Floats, Ints

#: Mass of the electron [MeV], CODATA 2018.
ELECTRON_MASS = 0.51099895

#: Mass of the muon [MeV], CODATA 2018.
MUON_MASS = 105.6583755

#: Velocity of light [cm/us].
LIGHT = 29979.2458


@cache
def name_of(pdg_id: int) -> str | None:
    """Name of the particle with this PDG code; None where the code is unknown."""
    # Slow to import, and few commands need it.
    from particle import InvalidParticle, Particle, ParticleNotFound

    try:
        return str(Particle.from_pdgid(pdg_id).name)
    except (ParticleNotFound, InvalidParticle):
        return None


@cache
def charge(pdg_id: int) -> float | None:
    """Charge of the particle with this PDG code; None where the code is unknown."""
    from particle import InvalidParticle, Particle, ParticleNotFound

    try:
        value = Particle.from_pdgid(pdg_id).charge
    except (ParticleNotFound, InvalidParticle):
        return None
    return None if value is None else float(value)


@cache
def mass(pdg_id: int) -> float:
    """Mass [MeV] of the particle with this PDG code.

    Raises `ValueError` where the code is unknown or the particle has no mass in the tables.
    """
    # The tables are read on first use only: importing them takes as long as the rest of a small command.
    from particle import InvalidParticle, Particle, ParticleNotFound

    try:
        value = Particle.from_pdgid(pdg_id).mass
    except (ParticleNotFound, InvalidParticle):
        value = None
    if value is None:
        raise ValueError(f"no mass is known for PDG code {pdg_id}")
    return float(value)


def masses(pdg_ids: Ints) -> Floats:
    """Masses [MeV] of particles or antiparticles by their PDG codes `(n,)`; raises as `mass`."""
    known, which = np.unique(np.abs(pdg_ids), return_inverse=True)
    return np.array([mass(int(code)) for code in known], dtype=np.float64)[which.reshape(-1)]
