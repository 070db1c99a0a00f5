"""Photons in liquid argon: photoelectric absorption, Compton scattering, pair production.

Pure functions of NumPy arrays; energies in MeV, lengths in cm. Cross sections agree with the tables of XCOM (NIST) for
argon within 3 % in the sum from 10 keV to 20 MeV. Rayleigh scattering, which leaves no energy, and the binding of the
electrons that scatter are left out.
"""

from __future__ import annotations

import numpy as np

from ..tables import Floats
from .particles import ELECTRON_MASS
from .radiation import ELECTRON_RADIUS
from .stopping import LIQUID_ARGON

#: Photoelectric attenuation of argon: 64 cm2/g at 10 keV, falling with this power (XCOM, above the K edge at 3.2 keV).
_PHOTOELECTRIC, _POWER = 64.0, 2.95

#: Pair production in units of its limit at high energy, 7/9 per radiation length, against energy [MeV]: up to 20 MeV
#: XCOM's attenuation of argon less Compton scattering; above, the parametrisation of Hubbell, Gimm and Overbo, J. Phys.
#: Chem. Ref. Data 9 (1980) 1023, in Geant4's physics reference manual, which agrees with XCOM within 1 % from 4 to
#: 20 MeV.
_PAIRS = np.array(
    [
        [1.022, 0.0],
        [1.5, 0.006],
        [2.0, 0.023],
        [3.0, 0.064],
        [4.0, 0.104],
        [5.0, 0.139],
        [6.0, 0.171],
        [8.0, 0.224],
        [10.0, 0.268],
        [15.0, 0.350],
        [20.0, 0.410],
        [50.0, 0.589],
        [100.0, 0.709],
        [300.0, 0.855],
        [1000.0, 0.945],
        [1e5, 1.0],
    ]
)


def compton(energy: Floats) -> Floats:
    """Attenuation by Compton scattering [1/cm]: Klein and Nishina, Z. Phys. 52 (1929) 853, on all electrons."""
    k = energy / ELECTRON_MASS
    log = np.log1p(2 * k)
    # The exact formula loses its digits to cancellation where k is small.
    small = 4 / 3 * (1 - 2 * k + 5.2 * k**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = (1 + k) / k**2 * (2 * (1 + k) / (1 + 2 * k) - log / k) + log / (2 * k) - (1 + 3 * k) / (1 + 2 * k) ** 2
    section = 2 * np.pi * ELECTRON_RADIUS**2 * np.where(k < 1e-3, small, exact)
    return np.asarray(section * LIQUID_ARGON.z * LIQUID_ARGON.atoms)


def photoelectric(energy: Floats) -> Floats:
    """Attenuation by the photoelectric effect [1/cm]."""
    return np.asarray(LIQUID_ARGON.density * _PHOTOELECTRIC * (energy / 0.01) ** -_POWER)


def pair_production(energy: Floats) -> Floats:
    """Attenuation by pair production on nuclei and electrons [1/cm]."""
    share = np.interp(np.log(energy), np.log(_PAIRS[:, 0]), _PAIRS[:, 1])
    return np.asarray(share * 7 / 9 * LIQUID_ARGON.density / LIQUID_ARGON.radiation_length)


def sample_compton(rng: np.random.Generator, energy: Floats) -> tuple[Floats, Floats]:
    """Energy [MeV] and cosine of the scattering angle of photons of `energy` `(n,)` after Compton scattering.

    Composition and rejection in `e = E'/E`, spectrum `(1/e + e) (1 - e sin^2 / (1 + e^2))`; Butcher and Messel, Nucl.
    Phys. 20 (1960) 15.
    """
    left, cosine = np.empty_like(energy), np.empty_like(energy)
    todo = np.arange(len(energy))
    while len(todo):
        k = energy[todo] / ELECTRON_MASS
        least = 1 / (1 + 2 * k)
        log_part, square_part = -np.log(least), 0.5 * (1 - least**2)
        first = rng.random(len(todo)) * (log_part + square_part) < log_part
        uniform = rng.random(len(todo))
        e = np.where(first, np.exp(-log_part * uniform), np.sqrt(least**2 + (1 - least**2) * uniform))
        t = (1 - e) / (k * e)
        accepted = rng.random(len(todo)) < 1 - e * t * (2 - t) / (1 + e**2)
        done = todo[accepted]
        left[done], cosine[done] = (e * energy[todo])[accepted], (1 - t)[accepted]
        todo = todo[~accepted]
    return left, cosine
