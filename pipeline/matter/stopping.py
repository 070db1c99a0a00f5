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


#: Least beta gamma at which the shell correction's formula holds (8 MeV for protons).
_SHELL_LIMIT = 0.13


@dataclass(frozen=True)
class Medium:
    """What the passage of particles needs to know of a medium made of one element.

    `density` [g/cm3], atomic number `z`, atomic weight `a_weight` [g/mol], `radiation_length` [g/cm2], mean excitation
    energy [MeV], and the parameters of Sternheimer's density effect of a non-conductor, `x = log10(beta gamma)`.
    """

    density: float
    z: float
    a_weight: float
    radiation_length: float
    excitation_energy: float
    x0: float
    x1: float
    c: float
    a: float
    k: float

    @property
    def z_over_a(self) -> float:
        """Electrons per mass [mol/g]."""
        return self.z / self.a_weight

    @property
    def atoms(self) -> float:
        """Atoms per volume [1/cm3]."""
        return AVOGADRO * self.density / self.a_weight


#: Avogadro's number [1/mol] (exact).
AVOGADRO = 6.02214076e23

#: Liquid argon at its boiling point; density effect of Sternheimer, Berger and Seltzer, At. Data Nucl. Data Tables 30
#: (1984) 261, as used in the muon tables of Groom, Mokhov and Striganov, ibid. 78 (2001) 183.
LIQUID_ARGON = Medium(
    density=1.396,
    z=18.0,
    a_weight=39.948,
    radiation_length=19.55,
    excitation_energy=188e-6,
    x0=0.2,
    x1=3.0,
    c=5.2146,
    a=0.19559,
    k=3.0,
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


def shell_correction(beta_gamma: Floats, medium: Medium = LIQUID_ARGON) -> Floats:
    """Shell correction C/Z, which Bethe's bracket is lowered by: bound electrons are not at rest.

    The empirical formula of Barkas and Berger (NASA SP-3013, 1964; ICRU Report 37, 1984) in `eta = beta gamma` and the
    excitation energy; it holds above 0.13 and is kept at its value there below. `beta_gamma` any shape, above 0.
    """
    inverse2 = np.maximum(beta_gamma, _SHELL_LIMIT) ** -2
    second, third = (1e6 * medium.excitation_energy) ** 2 * 1e-6, (1e6 * medium.excitation_energy) ** 3 * 1e-9
    c = (0.422377 + (0.0304043 - 0.00038106 * inverse2) * inverse2) * inverse2 * second
    c += (3.858019 + (-0.1667989 + 0.00157955 * inverse2) * inverse2) * inverse2 * third
    return np.asarray(c / medium.z)


def stopping_power(kinetic_energy: Floats, mass: float, cut: float = np.inf, medium: Medium = LIQUID_ARGON) -> Floats:
    """Mean energy lost per length [MeV/cm] in collisions that transfer at most `cut`: the Bethe formula.

    `K rho Z/A / beta^2 [ln(2 m c2 (beta gamma)^2 W / I^2) / 2 - beta^2 (1 + W/Tmax) / 2 - delta / 2 - C/Z]` with
    `W = min(cut, Tmax)`. Radiation is in `pipeline.matter.radiation`.
    `kinetic_energy` any shape [MeV], above 0; `mass`, `cut` [MeV].
    """
    gamma = 1 + kinetic_energy / mass
    beta_gamma2 = gamma**2 - 1
    beta2 = beta_gamma2 / gamma**2
    most = largest_transfer(kinetic_energy, mass)
    w = np.minimum(cut, most)
    logarithm = np.log(2 * ELECTRON_MASS * beta_gamma2 * w / medium.excitation_energy**2)
    beta_gamma = np.sqrt(beta_gamma2)
    bracket = 0.5 * (logarithm - beta2 * (1 + w / most) - density_effect(beta_gamma, medium))
    bracket = bracket - shell_correction(beta_gamma, medium)
    return np.asarray(K * medium.density * medium.z_over_a / beta2 * bracket)
