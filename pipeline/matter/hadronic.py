"""Nuclear interactions of protons and charged pions in liquid argon, in a simple form.

What is there: elastic and inelastic scattering of protons and pions, charge exchange, absorption of pions in flight and
of negative ones at rest. A struck nucleus gives nucleons by counting, not by a cascade: multiplicities and spectra are
rough. What is not: production of pions, interactions of kaons in flight, light nuclei, transport of neutrons, photons
from excited nuclei. Energies in MeV, lengths in cm, cross sections in mb.
"""

from __future__ import annotations

import numpy as np

from ..tables import Floats, Ints
from .decays import NEUTRAL_PION, PION, PROTON, Products
from .particles import mass
from .scattering import isotropic, leaning
from .stopping import LIQUID_ARGON

#: Energy that takes a nucleon out of the nucleus [MeV].
SEPARATION = 8.0
#: Slope of the elastic cross section in the squared momentum transfer [1/MeV^2], 14.5 A^0.66 / GeV^2.
_SLOPE = 14.5e-6 * 40**0.66
_ARGON_MASS = 37211.0
_PER_MB = 1e-27
#: Below this energy [MeV] the Coulomb barrier keeps protons out, and pions are left to their ends.
LOWEST = 10.0

#: Cross sections of pions on argon [mb] by kinetic energy [MeV]: absorption, charge exchange, inelastic, elastic.
#: Drawn through Ashery et al., Phys. Rev. C 23 (1981) 2173 (aluminium to iron, between their mass numbers) and, for
#: absorption, Kotlinski et al., Eur. Phys. J. A 9 (2000) 537 (argon); good to some 20 %.
_PIONS = np.array(
    [
        [10.0, 80.0, 20.0, 30.0, 200.0],
        [50.0, 200.0, 30.0, 100.0, 300.0],
        [85.0, 300.0, 50.0, 200.0, 400.0],
        [125.0, 360.0, 70.0, 300.0, 480.0],
        [165.0, 380.0, 85.0, 370.0, 500.0],
        [205.0, 340.0, 90.0, 400.0, 450.0],
        [245.0, 300.0, 90.0, 400.0, 400.0],
        [315.0, 220.0, 80.0, 350.0, 330.0],
        [400.0, 150.0, 70.0, 320.0, 280.0],
        [500.0, 110.0, 60.0, 330.0, 260.0],
        [1000.0, 60.0, 40.0, 400.0, 200.0],
    ]
)

ELASTIC, INELASTIC, CHARGE_EXCHANGE, ABSORPTION = range(4)


def cross_sections(species: int, kinetic_energy: Floats) -> Floats:
    """`(n, 4)` cross sections on argon [mb]: elastic, inelastic, charge exchange (leading neutral), absorption.

    Protons: inelastic (charge exchange is a quarter of it) from Letaw, Silberberg and Tsao, Astrophys. J. Suppl. 51
    (1983) 271, `45 A^0.7 (1 + 0.016 sin(5.3 - 2.63 ln A)) (1 - 0.62 exp(-T/200) sin(10.9 T^-0.28))`; elastic 0.6 times
    as much. Pions: see `_PIONS`. Other species have none. `kinetic_energy` `(n,)` [MeV].
    """
    found = np.zeros((len(kinetic_energy), 4))
    energy = np.maximum(kinetic_energy, LOWEST)
    if species == PROTON:
        high = 45 * 40**0.7 * (1 + 0.016 * np.sin(5.3 - 2.63 * np.log(40)))
        inelastic = high * (1 - 0.62 * np.exp(-energy / 200) * np.sin(10.9 * energy**-0.28))
        found[:, ELASTIC], found[:, INELASTIC] = 0.6 * inelastic, 0.75 * inelastic
        found[:, CHARGE_EXCHANGE] = 0.25 * inelastic
    elif species == PION:
        columns = dict(zip((ABSORPTION, CHARGE_EXCHANGE, INELASTIC, ELASTIC), _PIONS.T[1:]))
        for column, values in columns.items():
            found[:, column] = np.interp(energy, _PIONS[:, 0], values)
    found[kinetic_energy < LOWEST] = 0.0
    return found


def rates(species: int, kinetic_energy: Floats) -> Floats:
    """`(n, 4)` interactions per length [1/cm], in the order of `cross_sections`."""
    return cross_sections(species, kinetic_energy) * _PER_MB * LIQUID_ARGON.atoms


def elastic(rng: np.random.Generator, species: int, kinetic_energy: Floats) -> tuple[Floats, Floats]:
    """Cosine of the angle and energy [MeV] given to the nucleus in elastic scattering, `exp(-slope q^2)`, `(n,)`."""
    m = mass(species)
    momentum2 = kinetic_energy * (kinetic_energy + 2 * m)
    most = 4 * momentum2
    q2 = -np.log1p(-rng.random(len(kinetic_energy)) * -np.expm1(-_SLOPE * most)) / _SLOPE
    return np.asarray(1 - q2 / (2 * momentum2)), np.minimum(q2 / (2 * _ARGON_MASS), 0.1 * kinetic_energy)


def nucleons(
    rng: np.random.Generator, available: Floats, mean_number: Floats, proton_share: Floats
) -> tuple[Products, Floats]:
    """Nucleons that a nucleus with `available` energy `(n,)` [MeV] sends out, isotropic; and the energy not given to
    protons `(n,)`.

    About `mean_number` `(n,)` of them, as far as the energy suffices for their separation, share a part of the energy
    (uniform, 40 to 90 %) at random; `proton_share` `(n,)` of them are protons, the only ones returned.
    """
    n = len(available)
    number = np.minimum(1 + rng.poisson(np.maximum(mean_number - 1, 0)), (available / (2 * SEPARATION)).astype(int))
    owner = np.repeat(np.arange(n), number)
    free = np.maximum(available - number * SEPARATION, 0.0) * rng.uniform(0.4, 0.9, n)
    part = rng.standard_exponential(len(owner))
    total = np.bincount(owner, part, minlength=n)
    energy = part / np.maximum(total[owner], 1e-300) * free[owner]
    charged = np.flatnonzero((rng.random(len(owner)) < proton_share[owner]) & (energy > 0))
    direction = isotropic(rng, len(owner))
    products = Products(owner[charged], np.full(len(charged), PROTON), energy[charged], direction[charged])
    return products, np.asarray(available - np.bincount(products.owner, products.kinetic_energy, minlength=n))


def absorbed(rng: np.random.Generator, sign: Ints, kinetic_energy: Floats) -> Products:
    """Protons from the absorption of pions of charge `sign` `(n,)` on pairs and triples of nucleons."""
    n = len(sign)
    share = np.where(sign > 0, 0.75, 0.25)
    return nucleons(rng, kinetic_energy + mass(PION), np.full(n, 3.0), share)[0]


def scattered(
    rng: np.random.Generator, species: int, sign: Ints, kinetic_energy: Floats, direction: Floats, exchange: bool
) -> Products:
    """The leading particle and protons of inelastic scattering, for `(n,)` particles.

    The particle meets one nucleon at rest, isotropic in their centre of mass, and both leave; the nucleon's separation
    energy stays, and so does the particle where too little is left for it. With `exchange` it leaves neutral: pions as
    neutral pions, protons as neutrons, which are not followed.
    """
    n, m, nucleon = len(kinetic_energy), mass(species), mass(PROTON)
    energy = kinetic_energy + m
    momentum = np.sqrt(energy**2 - m**2)
    s = m**2 + nucleon**2 + 2 * energy * nucleon
    centre2 = (momentum * nucleon) ** 2 / s
    # The struck nucleon's energy is uniform between 0 and the most that kinematics allows.
    struck = rng.random(n) * 2 * centre2 / nucleon
    left = np.maximum(kinetic_energy - struck - SEPARATION, 0.0)
    out = np.sqrt(left * (left + 2 * m))
    cosine = (momentum**2 + out**2 - struck * (struck + 2 * nucleon)) / np.maximum(2 * momentum * out, 1e-9)
    new = leaning(rng, direction, cosine)
    recoil = momentum[:, None] * direction - out[:, None] * new
    recoil /= np.maximum(np.linalg.norm(recoil, axis=1, keepdims=True), 1e-9)
    # Half of the nucleons are protons; of those struck by positive pions three quarters, charge exchange aside.
    chance = np.where(sign > 0, 0.75, 0.25) if species == PION and not exchange else np.full(n, 0.5)
    proton = np.flatnonzero((rng.random(n) < chance) & (struck > SEPARATION))
    followed = np.flatnonzero(left > 0) if not (exchange and species == PROTON) else np.zeros(0, dtype=np.int64)
    code = np.full(n, NEUTRAL_PION) if exchange else sign * species
    return Products(
        np.concatenate([followed, proton]),
        np.concatenate([code[followed], np.full(len(proton), PROTON)]),
        np.concatenate([left[followed], np.minimum(struck, kinetic_energy - SEPARATION)[proton]]),
        np.concatenate([new[followed], recoil[proton]]),
    )
