"""Energy that electrons and muons radiate in liquid argon: bremsstrahlung, and for muons pairs and nuclear collisions.

Pure functions of NumPy arrays; energies in MeV, lengths in cm.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.integrate import quad

from ..tables import Floats
from .particles import ELECTRON_MASS, MUON_MASS
from .stopping import AVOGADRO, LIQUID_ARGON

#: Fine-structure constant and classical radius of the electron [cm], CODATA 2018.
FINE_STRUCTURE, ELECTRON_RADIUS = 7.2973525693e-3, 2.8179403262e-13

#: Scale of an electron's radiation, from no screening of the nucleus at low energy to complete screening at high:
#: kinetic energy [MeV] and the factor B of `electron_radiation`, from the radiative stopping powers of argon in ESTAR
#: (NIST; Seltzer and Berger, 1985) up to 1 GeV, and Tsai, Rev. Mod. Phys. 46 (1974) 815, for the highest. Between,
#: linear in log T.
_SCREENING = np.array(
    [
        [0.01, 5.247],
        [0.02, 5.627],
        [0.05, 5.692],
        [0.1, 5.478],
        [0.2, 5.240],
        [0.3, 5.192],
        [0.5, 5.350],
        [1.0, 6.088],
        [2.0, 7.440],
        [5.0, 9.718],
        [10.0, 11.448],
        [20.0, 12.972],
        [50.0, 14.526],
        [100.0, 15.366],
        [200.0, 15.981],
        [500.0, 16.512],
        [1000.0, 16.751],
        [1e5, 17.2],
    ]
)

#: Loss to pairs over loss to bremsstrahlung of a muon against log10 of its energy in MeV, read off the tables of Groom,
#: Mokhov and Striganov, At. Data Nucl. Data Tables 78 (2001) 183; and its loss to nuclear collisions over its energy
#: [cm2/g]. They are known here to some 20 %, which is 0.04 % of the loss of a muon of 1 GeV.
_PAIRS_OVER_BREMSSTRAHLUNG = np.array([[3.0, 0.5], [4.0, 0.9], [5.0, 1.2], [6.0, 1.3]])
_NUCLEAR = 4e-7


def electron_radiation(kinetic_energy: Floats) -> Floats:
    """Mean energy radiated by an electron per length [MeV/cm].

    `alpha r_e^2 Z (Z + 1) n (T + m c2) B`, B between 16/3 at low and `4 (ln(183 Z^-1/3) + 1/18)` at high energy.
    `kinetic_energy` any shape [MeV], above 0.
    """
    scale = FINE_STRUCTURE * ELECTRON_RADIUS**2 * LIQUID_ARGON.z * (LIQUID_ARGON.z + 1) * LIQUID_ARGON.atoms
    b = np.interp(np.log(kinetic_energy), np.log(_SCREENING[:, 0]), _SCREENING[:, 1])
    return np.asarray(scale * (kinetic_energy + ELECTRON_MASS) * b)


def photon_shape(y: Floats) -> Floats:
    """Spectrum of bremsstrahlung photons times their energy, `4/3 - 4/3 y + y^2`, whose integral over y is 1.

    `y` is the photon's share of the energy; complete screening, Review of Particle Physics (2024), eq. 34.30.
    """
    return np.asarray(4 / 3 - 4 / 3 * y + y**2)


def photon_rate(kinetic_energy: Floats, radiated: Floats, least: float) -> Floats:
    """Photons above `least` [MeV] per length [1/cm] of a particle that radiates `radiated` [MeV/cm] in all."""
    y = np.minimum(least / kinetic_energy, 1.0)
    number = -4 / 3 * np.log(y) - 4 / 3 * (1 - y) + 0.5 * (1 - y**2)
    return np.asarray(radiated / kinetic_energy * number)


def soft_radiation(kinetic_energy: Floats, radiated: Floats, least: float) -> Floats:
    """Energy [MeV/cm] radiated in photons below `least` [MeV]."""
    y = np.minimum(least / kinetic_energy, 1.0)
    return np.asarray(radiated * y * (4 / 3 - 2 / 3 * y + y**2 / 3))


def sample_photons(rng: np.random.Generator, kinetic_energy: Floats, least: float) -> Floats:
    """Energies [MeV] of bremsstrahlung photons above `least`, one for each particle `(n,)`."""
    lowest = np.log(np.minimum(least / kinetic_energy, 1.0))
    y = np.exp(lowest * (1 - rng.random(len(kinetic_energy))))
    again = np.flatnonzero(rng.random(len(y)) * 4 / 3 > photon_shape(y))
    while len(again):
        y[again] = np.exp(lowest[again] * (1 - rng.random(len(again))))
        again = again[rng.random(len(again)) * 4 / 3 > photon_shape(y[again])]
    return np.asarray(y * kinetic_energy)


def _muon_bremsstrahlung(energy: float) -> float:
    """Share of the energy that a muon of total `energy` [MeV] radiates per mass [cm2/g].

    Petrukhin and Shestakov, Can. J. Phys. 46 (1968) S377, with elastic form factor and screening for Z > 10.
    """
    ratio, root = MUON_MASS / ELECTRON_MASS, LIQUID_ARGON.z ** (-1 / 3)

    def loss(v: float) -> float:
        least_transfer = MUON_MASS**2 * v / (2 * energy * (1 - v))
        screened = 1 + 189 * np.sqrt(np.e) * least_transfer / ELECTRON_MASS * root
        return float((4 / 3 * (1 - v) + v**2) * max(0.0, np.log(2 / 3 * 189 * ratio * root**2 / screened)))

    z = LIQUID_ARGON.z
    scale = FINE_STRUCTURE * (2 * ELECTRON_RADIUS / ratio) ** 2 * z * (z + 1) * AVOGADRO / LIQUID_ARGON.a_weight
    return float(scale * quad(loss, 0, 1 - MUON_MASS / energy, limit=200)[0])


@cache
def _muon_table() -> tuple[Floats, Floats, Floats]:
    """log of kinetic energy [MeV], and loss by bremsstrahlung and by all radiation over kinetic energy [1/cm]."""
    kinetic = np.geomspace(1.0, 1e6, 61)
    bremsstrahlung = np.array([_muon_bremsstrahlung(t + MUON_MASS) * (1 + MUON_MASS / t) for t in kinetic])
    pairs = np.interp(np.log10(kinetic), *_PAIRS_OVER_BREMSSTRAHLUNG.T) * bremsstrahlung
    everything = bremsstrahlung + pairs + _NUCLEAR
    return np.log(kinetic), bremsstrahlung * LIQUID_ARGON.density, everything * LIQUID_ARGON.density


def muon_bremsstrahlung(kinetic_energy: Floats) -> Floats:
    """Mean energy [MeV/cm] that a muon of `kinetic_energy` (any shape) [MeV] loses to bremsstrahlung."""
    log_energy, bremsstrahlung, _ = _muon_table()
    return np.asarray(kinetic_energy * np.interp(np.log(kinetic_energy), log_energy, bremsstrahlung))


def muon_radiation(kinetic_energy: Floats) -> Floats:
    """Mean energy [MeV/cm] that a muon loses to bremsstrahlung, electron pairs and nuclear collisions."""
    log_energy, _, everything = _muon_table()
    return np.asarray(kinetic_energy * np.interp(np.log(kinetic_energy), log_energy, everything))
