"""Mean energy loss of heavy charged particles in liquid argon by ionisation.

Pure functions of NumPy arrays; energies in MeV, lengths in cm. The formulas are those of the chapter "Passage of
particles through matter" of the Review of Particle Physics, Phys. Rev. D 110 (2024) 030001, for charge 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables import Floats
from .particles import ELECTRON_MASS

#: 4 pi N_A r_e^2 m_e c^2 [MeV cm2/mol].
K = 0.307075


@dataclass(frozen=True)
class Medium:
    """What ionisation needs to know of a medium.

    `density` [g/cm3], `z_over_a` [mol/g], mean excitation energy [MeV], and the parameters of Sternheimer's density
    effect of a non-conductor, `x = log10(beta gamma)`.
    """

    density: float
    z_over_a: float
    excitation_energy: float
    x0: float
    x1: float
    c: float
    a: float
    k: float


#: Liquid argon at its boiling point; density effect of Sternheimer, Berger and Seltzer, At. Data Nucl. Data Tables 30
#: (1984) 261, as used in the muon tables of Groom, Mokhov and Striganov, ibid. 78 (2001) 183.
LIQUID_ARGON = Medium(
    density=1.396, z_over_a=18 / 39.948, excitation_energy=188e-6, x0=0.2, x1=3.0, c=5.2146, a=0.19559, k=3.0
)


def beta_squared(kinetic_energy: Floats, mass: float) -> Floats:
    """Squared velocity over c, `T (T + 2 M) / (T + M)^2`; `kinetic_energy` any shape [MeV], `mass` [MeV]."""
    return np.asarray(kinetic_energy * (kinetic_energy + 2 * mass) / (kinetic_energy + mass) ** 2)


def largest_transfer(kinetic_energy: Floats, mass: float) -> Floats:
    """Most energy [MeV] that one collision can give to an electron at rest.

    `2 m c2 (beta gamma)^2 / (1 + 2 gamma m/M + (m/M)^2)`; `kinetic_energy` any shape [MeV], `mass` [MeV].
    """
    gamma = 1 + kinetic_energy / mass
    ratio = ELECTRON_MASS / mass
    return np.asarray(2 * ELECTRON_MASS * (gamma**2 - 1) / (1 + 2 * gamma * ratio + ratio**2))


def density_effect(beta_gamma: Floats, medium: Medium = LIQUID_ARGON) -> Floats:
    """Density-effect correction delta of Sternheimer's parametrisation.

    `2 ln(10) x - C + a (x1 - x)^k` between `x0` and `x1`, without the last term above, 0 below `x0`.
    `beta_gamma` any shape, above 0.
    """
    x = np.log10(beta_gamma)
    polarised = 2 * np.log(10) * x - medium.c + medium.a * np.maximum(medium.x1 - x, 0.0) ** medium.k
    return np.where(x < medium.x0, 0.0, polarised)


def stopping_power(kinetic_energy: Floats, mass: float, cut: float = np.inf, medium: Medium = LIQUID_ARGON) -> Floats:
    """Mean energy lost per length [MeV/cm] in collisions that transfer at most `cut`: the Bethe formula.

    `K rho Z/A / beta^2 [ln(2 m c2 (beta gamma)^2 W / I^2) / 2 - beta^2 (1 + W/Tmax) / 2 - delta / 2]` with
    `W = min(cut, Tmax)`; shell and radiative terms, below 1 % for muons of 10 MeV to 10 GeV, are left out.
    `kinetic_energy` any shape [MeV], above 0; `mass`, `cut` [MeV].
    """
    gamma = 1 + kinetic_energy / mass
    beta_gamma2 = gamma**2 - 1
    beta2 = beta_gamma2 / gamma**2
    most = largest_transfer(kinetic_energy, mass)
    w = np.minimum(cut, most)
    logarithm = np.log(2 * ELECTRON_MASS * beta_gamma2 * w / medium.excitation_energy**2)
    bracket = 0.5 * (logarithm - beta2 * (1 + w / most) - density_effect(np.sqrt(beta_gamma2), medium))
    return np.asarray(K * medium.density * medium.z_over_a / beta2 * bracket)
