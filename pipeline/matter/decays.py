"""Decays of muons, pions and kaons, and what happens to those that stop in argon.

Pure functions of NumPy arrays; energies and momenta in MeV, times in us. Branching ratios and lifetimes: Review of
Particle Physics (2024), by the package `particle`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..tables import Floats, Ints
from .particles import ELECTRON_MASS, MUON_MASS, mass, masses
from .scattering import isotropic

MUON, PION, KAON, NEUTRAL_PION, ELECTRON, PHOTON, PROTON = 13, 211, 321, 111, 11, 22, 2212

#: Lifetime of a negative muon on an argon nucleus [us], Suzuki, Measday and Roalsvig, Phys. Rev. C 35 (1987) 2212, and
#: the share of its rate that is decay (Huff factor 0.98 of that in vacuum).
CAPTURED_LIFETIME, HUFF = 0.537, 0.98


@dataclass(frozen=True)
class Products:
    """Particles made in `n` decays: `owner` `(m,)` counts the decays; `pdg_id`, `kinetic_energy` [MeV] `(m,)`, and
    `direction` `(m, 3)`, of the charged ones and photons. Neutrinos are left out."""

    owner: Ints
    pdg_id: Ints
    kinetic_energy: Floats
    direction: Floats

    @staticmethod
    def of(owner: Ints, pdg_id: Ints, four: Floats) -> Products:
        """From four-momenta `(m, 4)`, energy first [MeV]."""
        momentum = np.linalg.norm(four[:, 1:], axis=1)
        kinetic = np.maximum(four[:, 0] - masses(pdg_id), 0.0)
        return Products(owner, pdg_id, kinetic, four[:, 1:] / np.maximum(momentum, 1e-300)[:, None])


@cache
def lifetime(species: int) -> float:
    """Mean life [us] of a muon, charged pion or kaon by the absolute value of its PDG code; infinite for others."""
    if species not in (MUON, PION, KAON):
        return float("inf")
    from particle import Particle

    return float(Particle.from_pdgid(species).lifetime or np.inf) / 1000  # the tables have ns


def boosted(four: Floats, direction: Floats, beta: Floats, gamma: Floats) -> Floats:
    """Four-momenta `(n, 4)` of a frame that moves with `beta` `(n,)` along `direction` `(n, 3)`, in the laboratory."""
    along = np.einsum("ij,ij->i", four[:, 1:], direction)
    energy = gamma * (four[:, 0] + beta * along)
    change = (gamma - 1) * along + gamma * beta * four[:, 0]
    return np.column_stack([energy, four[:, 1:] + change[:, None] * direction])


def two_bodies(rng: np.random.Generator, parent: Floats, one: float, two: float) -> tuple[Floats, Floats]:
    """Four-momenta `(n, 4)` of two bodies from parents at rest of mass `parent` `(n,)`, isotropic."""
    energy = (parent**2 + one**2 - two**2) / (2 * parent)
    momentum = np.sqrt(np.maximum(energy**2 - one**2, 0.0))
    direction = isotropic(rng, len(parent)) * momentum[:, None]
    return np.column_stack([energy, direction]), np.column_stack([parent - energy, -direction])


def three_bodies(rng: np.random.Generator, n: int, parent: float, masses: tuple[float, float, float]) -> list[Floats]:
    """Four-momenta `(n, 4)` of three bodies from a parent at rest, uniform in phase space."""
    one, two, three = masses
    low, high = two + three, parent - one

    def decay_momentum(m: Floats, a: Floats, b: float) -> Floats:
        return np.sqrt(np.maximum((m**2 - (a + b) ** 2) * (m**2 - (a - b) ** 2), 0.0)) / (2 * m)

    pair = rng.uniform(low, high, n)
    grid = np.linspace(low, high, 200)

    def weight(m: Floats) -> Floats:
        return decay_momentum(np.full_like(m, parent), m, one) * decay_momentum(m, np.full_like(m, two), three)

    most = 1.02 * float(weight(grid).max())
    again = np.flatnonzero(rng.random(n) * most > weight(pair))
    while len(again):
        pair[again] = rng.uniform(low, high, len(again))
        again = again[rng.random(len(again)) * most > weight(pair[again])]
    momentum = decay_momentum(np.full(n, parent), pair, one)
    direction = isotropic(rng, n)
    first = np.column_stack([np.sqrt(momentum**2 + one**2), -momentum[:, None] * direction])
    energy = np.sqrt(momentum**2 + pair**2)
    rest = two_bodies(rng, pair, two, three)
    return [first, *(boosted(four, direction, momentum / energy, energy / pair) for four in rest)]


def michel(rng: np.random.Generator, n: int) -> Floats:
    """Total energies [MeV] of electrons from muons at rest, `x^2 (3 - 2 x)` in `x = E / 52.83 MeV`, `(n,)`."""
    end = (MUON_MASS**2 + ELECTRON_MASS**2) / (2 * MUON_MASS)
    x = np.zeros(n)
    todo = np.arange(n)
    while len(todo):
        x[todo] = rng.random(len(todo))
        good = (rng.random(len(todo)) < x[todo] ** 2 * (3 - 2 * x[todo])) & (x[todo] * end > ELECTRON_MASS)
        todo = todo[~good]
    return np.asarray(x * end)


def _muon(rng: np.random.Generator, sign: Ints) -> Products:
    n = len(sign)
    energy = michel(rng, n)
    momentum = np.sqrt(energy**2 - ELECTRON_MASS**2)
    four = np.column_stack([energy, momentum[:, None] * isotropic(rng, n)])
    return Products.of(np.arange(n), sign * -ELECTRON, four)


def _pion(rng: np.random.Generator, sign: Ints) -> Products:
    n = len(sign)
    muon, _ = two_bodies(rng, np.full(n, mass(PION)), MUON_MASS, 0.0)
    return Products.of(np.arange(n), sign * -MUON, muon)


#: Decays of the positive kaon: branching ratio, products (PDG codes; 14: a neutrino).
_KAON_DECAYS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.6356, (-13, 14)),
    (0.2067, (211, 111)),
    (0.05583, (211, 211, -211)),
    (0.0507, (111, -11, 14)),
    (0.03352, (111, -13, 14)),
    (0.0176, (211, 111, 111)),
)


def _kaon(rng: np.random.Generator, sign: Ints) -> Products:
    share = np.array([ratio for ratio, _ in _KAON_DECAYS])
    mode = rng.choice(len(share), size=len(sign), p=share / share.sum())
    owners: list[Ints] = [np.zeros(0, dtype=np.int64)]
    codes: list[Ints] = [np.zeros(0, dtype=np.int64)]
    fours: list[Floats] = [np.zeros((0, 4))]
    for number, (_, products) in enumerate(_KAON_DECAYS):
        rows = np.flatnonzero(mode == number)
        if not len(rows):
            continue
        light = tuple(0.0 if code == 14 else mass(abs(code)) for code in products)
        if len(light) == 2:
            found: list[Floats] = list(two_bodies(rng, np.full(len(rows), mass(KAON)), light[0], light[1]))
        else:
            found = three_bodies(rng, len(rows), mass(KAON), (light[0], light[1], light[2]))
        for code, four in zip(products, found):
            if code != 14:
                owners.append(rows)
                codes.append(code * (np.ones_like(rows) if code == NEUTRAL_PION else sign[rows]))
                fours.append(four)
    return Products.of(np.concatenate(owners), np.concatenate(codes), np.concatenate(fours))


_DECAYS: dict[int, Callable[[np.random.Generator, Ints], Products]] = {MUON: _muon, PION: _pion, KAON: _kaon}


def decay(rng: np.random.Generator, species: int, sign: Ints, kinetic_energy: Floats, direction: Floats) -> Products:
    """What muons, pions or kaons decay into, in the laboratory; neutral pions are replaced by their photons.

    `species` absolute PDG code; `sign` `(n,)` charge, +1 or -1; `kinetic_energy` `(n,)` [MeV]; `direction` `(n, 3)`.
    """
    # PDG codes of charged leptons are negative for positive charge, which `_muon` and `_pion` undo.
    products = _DECAYS[species](rng, sign)
    moving = to_laboratory(products, mass(species), kinetic_energy, direction)
    return without_neutral_pions(rng, moving)


def to_laboratory(products: Products, parent_mass: float, kinetic_energy: Floats, direction: Floats) -> Products:
    """Products made in the rest frame of parents with `kinetic_energy` `(n,)` [MeV] and `direction` `(n, 3)`."""
    owner = products.owner
    at_rest = masses(products.pdg_id)
    energy = products.kinetic_energy + at_rest
    momentum = np.sqrt(np.maximum(energy**2 - at_rest**2, 0.0))
    gamma = 1 + kinetic_energy[owner] / parent_mass
    beta = np.sqrt(1 - 1 / gamma**2)
    four = np.column_stack([energy, momentum[:, None] * products.direction])
    return Products.of(owner, products.pdg_id, boosted(four, direction[owner], beta, gamma))


def without_neutral_pions(rng: np.random.Generator, products: Products) -> Products:
    """The same with each neutral pion, which lives 25 nm, replaced by its two photons."""
    neutral = products.pdg_id == NEUTRAL_PION
    if not neutral.any():
        return products
    rows = np.flatnonzero(neutral)
    one, two = two_bodies(rng, np.full(len(rows), mass(NEUTRAL_PION)), 0.0, 0.0)
    gamma = 1 + products.kinetic_energy[rows] / mass(NEUTRAL_PION)
    beta = np.sqrt(1 - 1 / gamma**2)
    fours = [boosted(four, products.direction[rows], beta, gamma) for four in (one, two)]
    photons = Products.of(
        np.tile(products.owner[rows], 2), np.full(2 * len(rows), PHOTON), np.concatenate(fours) if fours else one
    )
    kept = np.flatnonzero(~neutral)
    return joined([taken(products, kept), photons])


def taken(products: Products, rows: Ints) -> Products:
    """Some of the products."""
    return Products(
        products.owner[rows], products.pdg_id[rows], products.kinetic_energy[rows], products.direction[rows]
    )


def joined(parts: list[Products]) -> Products:
    """All products of `parts`, by owner."""
    owner = np.concatenate([p.owner for p in parts])
    order = np.argsort(owner, kind="stable")
    everything = Products(
        owner,
        np.concatenate([p.pdg_id for p in parts]),
        np.concatenate([p.kinetic_energy for p in parts]),
        np.concatenate([p.direction for p in parts]),
    )
    return taken(everything, order)
