"""Flight of muons, pions, kaons and protons through liquid argon."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..matter import hadronic
from ..matter.decays import (
    CAPTURED_LIFETIME,
    HUFF,
    KAON,
    MUON,
    PION,
    PROTON,
    Products,
    decay,
    lifetime,
    without_neutral_pions,
)
from ..matter.electrons import recoil_cosine
from ..matter.particles import ELECTRON_MASS, LIGHT, mass
from ..matter.radiation import FINE_STRUCTURE, muon_bremsstrahlung, photon_rate, sample_photons
from ..matter.ranges import RangeTable, loss_table
from ..matter.scattering import leaning
from ..matter.stopping import beta_squared, largest_transfer
from ..matter.straggling import landau_width
from ..matter.transport import advance
from ..tables import Bools, Floats, Ints
from .flight import Flock, Record, World, move, supply
from .rules import Rules

HEAVY = (MUON, PION, KAON, PROTON)

#: A step takes at most this share of the residual range, until that is the shortest step [cm].
_SHARE, _SHORTEST = 0.2, 0.02

#: The spectrum of struck electrons stays below this much of 1/W^2: radiative corrections lift it, to 100 TeV, by less.
_BOUND = 1.1

#: Columns of `_rates`: knock-on electron, photon, decay, and the four of `hadronic.cross_sections`.
_KNOCK_ON, _PHOTON, _DECAY, _NUCLEAR = 0, 1, 2, 3


def charge(species: int, pdg_id: Ints) -> Ints:
    """Charges of particles of `species`: PDG codes of leptons are negative for positive charge."""
    return np.asarray(np.sign(pdg_id) * (-1 if species == MUON else 1))


def fly(rng: np.random.Generator, species: int, flock: Flock, world: World, rules: Rules, record: Record) -> None:
    """Follow particles of `species` (absolute PDG code) until they stop, interact or leave."""
    m = mass(species)
    table = loss_table(m, rules.cut, rules.least_photon)
    while len(flock):
        rates = _rates(species, flock.kinetic, m, rules)
        total = rates.sum(axis=1)
        # Nothing happens at rate 0: a distance that no step reaches.
        free = rng.standard_exponential(len(flock)) / np.maximum(total, 1e-30)
        longest = np.minimum(rules.step, np.maximum(_SHARE * table.range(flock.kinetic), _SHORTEST))
        wall, face = world.distance(flock.position, flock.direction)
        step = np.minimum(np.minimum(free, longest), wall)
        lost, path = advance(rng, table, flock.kinetic, step, rules.cut)
        stopped = lost >= flock.kinetic
        reached = (wall <= step) & ~stopped
        happens = (free <= step) & ~reached & ~stopped
        flock, steps = _stepped(rng, flock, world, table, lost, path, reached, record)
        gone = reached & face
        # Most steps end nowhere.
        if gone.any():
            left = flock.take(gone)
            record.end(left, "left the volume", escaped=supply(left.pdg_id, left.kinetic))
        if stopped.any():
            _at_rest(rng, species, flock.take(stopped), record)
        flock = _interact(rng, species, flock, rates, happens, steps, rules, record, ~(gone | stopped))


def _rates(species: int, kinetic: Floats, m: float, rules: Rules) -> Floats:
    """`(n, 7)` upper bounds of what can happen per length [1/cm], see `_KNOCK_ON` and following."""
    found = np.zeros((len(kinetic), 7))
    most = largest_transfer(kinetic, m)
    scale = landau_width(kinetic, np.ones_like(kinetic), m)
    found[:, _KNOCK_ON] = _BOUND * scale * np.maximum(1 / rules.cut - 1 / most, 0.0)
    if species == MUON:
        found[:, _PHOTON] = photon_rate(kinetic, muon_bremsstrahlung(kinetic), rules.least_photon)
    if species != PROTON:
        momentum = np.sqrt(kinetic * (kinetic + 2 * m))
        found[:, _DECAY] = m / (momentum * LIGHT * lifetime(species))
    if rules.hadronic and species in (PION, PROTON):
        found[:, _NUCLEAR:] = hadronic.rates(species, kinetic)
    return found


def _stepped(
    rng: np.random.Generator,
    flock: Flock,
    world: World,
    table: RangeTable,
    lost: Floats,
    path: Floats,
    reached: Bools,
    record: Record,
) -> tuple[Flock, Ints]:
    """The flock after a step, which is noted, and the numbers of the steps."""
    middle = np.maximum(flock.kinetic - 0.5 * lost, 0.5 * flock.kinetic)
    beta = np.sqrt(beta_squared(middle, table.mass))
    momentum = np.sqrt(middle * (middle + 2 * table.mass))
    position, direction, volume = move(rng, flock, world, path, momentum, beta, reached)
    duration = path / (LIGHT * beta)
    steps = record.step(flock, position, duration, lost, volume, path)
    kinetic = np.where(lost >= flock.kinetic, 0.0, flock.kinetic - lost)
    return (
        replace(flock, position=position, direction=direction, kinetic=kinetic, time=flock.time + duration),
        steps,
    )


def _interact(
    rng: np.random.Generator,
    species: int,
    flock: Flock,
    rates: Floats,
    happens: Bools,
    steps: Ints,
    rules: Rules,
    record: Record,
    alive: Bools,
) -> Flock:
    """What happens at the ends of steps; returns those of the flock that go on."""
    bounds = np.cumsum(rates, axis=1)
    which = (rng.random(len(flock))[:, None] * bounds[:, -1:] >= bounds).sum(axis=1)
    kinetic, direction = flock.kinetic.copy(), flock.direction.copy()
    alive = alive.copy()
    for process in np.unique(which[happens]):
        rows = np.flatnonzero(happens & (which == process))
        some = flock.take(rows)
        if process == _KNOCK_ON:
            kinetic[rows] -= _knock_on(rng, species, some, steps[rows], rules, record)
        elif process == _PHOTON:
            energy = sample_photons(rng, some.kinetic, min(rules.least_photon, 0.5 * float(some.kinetic.min())))
            kinetic[rows] -= energy
            photons = Products(np.arange(len(rows)), np.full(len(rows), 22), energy, some.direction)
            record.born(some, photons, "bremsstrahlung")
        elif process == _DECAY:
            products = decay(rng, species, charge(species, some.pdg_id), some.kinetic, some.direction)
            _finish(some, products, "decay", record)
            alive[rows] = False
        elif process == _NUCLEAR + hadronic.ELASTIC:
            cosine, recoil = hadronic.elastic(rng, species, some.kinetic)
            record.give(some, recoil)
            kinetic[rows] -= recoil
            direction[rows] = leaning(rng, some.direction, cosine)
        else:
            _finish(some, _nuclear(rng, species, int(process) - _NUCLEAR, some), "nuclear interaction", record)
            alive[rows] = False
    after = replace(flock, kinetic=kinetic, direction=direction)
    return after if alive.all() else after.take(alive)


def _knock_on(rng: np.random.Generator, species: int, some: Flock, steps: Ints, rules: Rules, record: Record) -> Floats:
    """Energies [MeV] given to electrons above the cut `(n,)`, 0 where the collision drawn is not real.

    Spectrum `(1 - beta^2 W / Tmax + W^2 / (2 E^2)) / W^2`, the last term for spin 1/2; Review of Particle Physics
    (2024), 34.2.5. For muons times the radiative correction `1 + alpha / (2 pi) ln(1 + 2 W/m) (ln(4 E (E - W) / M^2) -
    ln(1 + 2 W/m))`, about 1 %; Kelner, Kokoulin and Petrukhin, Phys. At. Nucl. 60 (1997) 576.
    """
    m = mass(species)
    most = np.maximum(largest_transfer(some.kinetic, m), rules.cut)
    transfer = 1 / (1 / rules.cut - rng.random(len(some)) * (1 / rules.cut - 1 / most))
    energy = some.kinetic + m
    weight = 1 - beta_squared(some.kinetic, m) * transfer / most
    if species in (MUON, PROTON):
        weight += 0.5 * (transfer / energy) ** 2
    if species == MUON:
        log = np.log1p(2 * transfer / ELECTRON_MASS)
        other = np.log(np.maximum(4 * energy * (energy - transfer) / m**2, 1.0))
        weight *= 1 + FINE_STRUCTURE / (2 * np.pi) * np.maximum(log * (other - log), 0.0)
    possible = (transfer < some.kinetic) & (transfer > rules.cut)
    real = np.flatnonzero((rng.random(len(some)) * _BOUND < weight) & possible)
    direction = leaning(rng, some.direction[real], recoil_cosine(some.kinetic[real], np.asarray(m), transfer[real]))
    electrons = Products(real, np.full(len(real), 11), transfer[real], direction)
    return record.born(some, electrons, "knock-on", birth_step=steps)


def _nuclear(rng: np.random.Generator, species: int, process: int, some: Flock) -> Products:
    sign = charge(species, some.pdg_id)
    if process == hadronic.ABSORPTION:
        return hadronic.absorbed(rng, sign, some.kinetic)
    exchange = process == hadronic.CHARGE_EXCHANGE
    products = hadronic.scattered(rng, species, sign, some.kinetic, some.direction, exchange)
    return without_neutral_pions(rng, products)


def _finish(some: Flock, products: Products, process: str, record: Record) -> None:
    """End particles in a vertex: what the products do not take is not followed."""
    given = record.born(some, products, process)
    record.end(some, process, untracked=supply(some.pdg_id, some.kinetic) - given)


def _at_rest(rng: np.random.Generator, species: int, flock: Flock, record: Record) -> None:
    """Decay or capture of stopped particles."""
    sign = charge(species, flock.pdg_id)
    free = lifetime(species)
    if species == PROTON:
        record.end(flock, "stopped")
        return
    captured = np.zeros(len(flock), dtype=np.bool_)
    life = np.full(len(flock), free)
    if species == MUON:
        captured = (sign < 0) & (rng.random(len(flock)) > HUFF * CAPTURED_LIFETIME / free)
        life[sign < 0] = CAPTURED_LIFETIME
    else:
        captured = sign < 0
        life[captured] = 0.0
    late = replace(flock, time=flock.time + life * rng.standard_exponential(len(flock)))
    some = late.take(captured)
    if species == PION:
        _finish(some, hadronic.absorbed(rng, sign[captured], some.kinetic), "capture at rest", record)
    else:
        record.end(some, "capture at rest", untracked=supply(some.pdg_id, some.kinetic))
    some = late.take(~captured)
    _finish(some, decay(rng, species, sign[~captured], some.kinetic, some.direction), "decay", record)
