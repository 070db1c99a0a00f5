"""Flight of electrons, positrons and photons through liquid argon."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..matter.decays import Products
from ..matter.electrons import LOWEST, knock_on_rate, recoil_cosine, sample_knock_on
from ..matter.particles import ELECTRON_MASS, LIGHT
from ..matter.photons import compton, pair_production, photoelectric, sample_compton
from ..matter.radiation import electron_radiation, photon_rate, sample_photons
from ..matter.ranges import electron_table
from ..matter.scattering import isotropic, leaning, mean_square_angle
from ..matter.stopping import beta_squared
from ..matter.straggling import landau_width, sample_loss
from ..tables import Bools, Floats, Ints
from .flight import Flock, Record, World, move, supply
from .rules import Rules

ELECTRON, POSITRON, PHOTON = 11, -11, 22

#: A step takes at most this share of the residual range, until that is `_LAST` [cm], which is one step; and scatters by
#: at most this mean square angle.
_SHARE, _LAST, _SQUARE_ANGLE = 0.3, 0.01, 0.6


def fly_electrons(
    rng: np.random.Generator, pdg_id: int, flock: Flock, world: World, rules: Rules, record: Record
) -> None:
    """Follow electrons (11) or positrons (-11) until they stop or leave."""
    positron = pdg_id == POSITRON
    table = electron_table(rules.cut, rules.least_photon, positron)
    while len(flock):
        kinetic = np.maximum(flock.kinetic, 0.1 * LOWEST)
        momentum = np.sqrt(kinetic * (kinetic + 2 * ELECTRON_MASS))
        beta = np.sqrt(beta_squared(kinetic, ELECTRON_MASS))
        knock = knock_on_rate(kinetic, rules.cut)
        shine = photon_rate(kinetic, electron_radiation(np.maximum(kinetic, LOWEST)), rules.least_photon)
        residual = table.range(flock.kinetic)
        bend = mean_square_angle(momentum, beta, np.full(len(flock), 0.01)) / 0.01
        longest = np.minimum(np.minimum(rules.step, _SQUARE_ANGLE / bend), _SHARE * residual)
        longest = np.maximum(longest, np.minimum(residual, _LAST))
        free = rng.standard_exponential(len(flock)) / np.maximum(knock + shine, 1e-30)
        wall, face = world.distance(flock.position, flock.direction)
        step = np.minimum(np.minimum(free, longest), wall)
        lost, path = _loss(rng, table.energy(np.maximum(residual - step, 0.0)), flock.kinetic, residual, step, rules)
        stopped = lost >= flock.kinetic
        reached = (wall <= step) & ~stopped
        happens = (free <= step) & ~reached & ~stopped
        position, direction, volume = move(rng, flock, world, path, momentum, beta, reached)
        duration = path / (LIGHT * beta)
        steps = record.step(flock, position, duration, lost, volume, path)
        flock = replace(
            flock,
            position=position,
            direction=direction,
            kinetic=np.where(stopped, 0.0, flock.kinetic - lost),
            time=flock.time + duration,
        )
        gone = flock.take(reached & face)
        record.end(gone, "left the volume", escaped=supply(gone.pdg_id, gone.kinetic))
        _stop(rng, flock.take(stopped), record, positron)
        strikes = happens & (rng.random(len(flock)) * (knock + shine) < knock)
        flock = _knock_on(rng, flock, strikes, steps, rules, record, positron)
        flock = _shine(rng, flock, happens & ~strikes, rules, record)
        flock = flock.take(~(stopped | (reached & face)))


def _loss(
    rng: np.random.Generator, after: Floats, kinetic: Floats, residual: Floats, step: Floats, rules: Rules
) -> tuple[Floats, Floats]:
    """Energy lost [MeV] and path [cm] in a step, `(n,)`, as `pipeline.matter.transport.advance` for electrons."""
    mean = np.where(step > 0, np.maximum(kinetic - after, 0.0), 0.0)
    middle = np.maximum(kinetic - 0.5 * mean, 0.5 * LOWEST)
    beta2 = beta_squared(middle, ELECTRON_MASS)
    xi = landau_width(middle, step, ELECTRON_MASS)
    loss = sample_loss(rng, mean, xi, beta2, 0.5 * middle, rules.cut)
    stops = (residual <= step * (1 + 1e-12)) | (loss >= kinetic)
    path = np.minimum(step, residual) * (kinetic / np.maximum(np.maximum(loss, kinetic), 1e-300))
    return np.where(stops, kinetic, loss), np.asarray(path)


def _stop(rng: np.random.Generator, flock: Flock, record: Record, positron: bool) -> None:
    if not positron:
        record.end(flock, "stopped")
        return
    n = len(flock)
    direction = isotropic(rng, n)
    photons = Products(
        np.tile(np.arange(n), 2),
        np.full(2 * n, PHOTON),
        np.full(2 * n, ELECTRON_MASS),
        np.concatenate([direction, -direction]),
    )
    given = record.born(flock, photons, "annihilation")
    record.end(flock, "annihilation", untracked=supply(flock.pdg_id, flock.kinetic) - given)


def _knock_on(
    rng: np.random.Generator,
    flock: Flock,
    strikes: Bools,
    steps: Ints,
    rules: Rules,
    record: Record,
    positron: bool,
) -> Flock:
    rows = np.flatnonzero(strikes & (flock.kinetic > rules.cut))
    some = flock.take(rows)
    transfer, real = sample_knock_on(rng, some.kinetic, rules.cut, np.full(len(rows), positron))
    rows, transfer, some, number = rows[real], transfer[real], some.take(real), steps[rows][real]
    m = np.asarray(ELECTRON_MASS)
    kinetic, direction = flock.kinetic.copy(), flock.direction.copy()
    # The two leave in one plane, on opposite sides of the direction before.
    struck = leaning(rng, some.direction, recoil_cosine(some.kinetic, m, transfer))
    left = np.maximum(some.kinetic - transfer, 0.0)
    p_left = np.sqrt(left * (left + 2 * ELECTRON_MASS))[:, None]
    p_in = np.sqrt(some.kinetic * (some.kinetic + 2 * ELECTRON_MASS))[:, None]
    p_struck = np.sqrt(transfer * (transfer + 2 * ELECTRON_MASS))[:, None]
    rest = p_in * some.direction - p_struck * struck
    size = np.linalg.norm(rest, axis=1, keepdims=True)
    direction[rows] = np.where((size > 1e-6) & (p_left > 0), rest / np.maximum(size, 1e-12), some.direction)
    kinetic[rows] = left
    electrons = Products(np.arange(len(rows)), np.full(len(rows), ELECTRON), transfer, struck)
    record.born(some, electrons, "knock-on", birth_step=number)
    return replace(flock, kinetic=kinetic, direction=direction)


def _shine(rng: np.random.Generator, flock: Flock, shines: Bools, rules: Rules, record: Record) -> Flock:
    rows = np.flatnonzero(shines & (flock.kinetic > rules.least_photon))
    some = flock.take(rows)
    energy = sample_photons(rng, some.kinetic, rules.least_photon)
    photons = Products(np.arange(len(rows)), np.full(len(rows), PHOTON), energy, some.direction)
    record.born(some, photons, "bremsstrahlung")
    kinetic = flock.kinetic.copy()
    kinetic[rows] = np.maximum(kinetic[rows] - energy, 0.0)
    return replace(flock, kinetic=kinetic)


def fly_photons(rng: np.random.Generator, flock: Flock, world: World, record: Record) -> None:
    """Follow photons until they are absorbed, make a pair, or leave."""
    while len(flock):
        rates = np.stack([photoelectric(flock.kinetic), compton(flock.kinetic), pair_production(flock.kinetic)], axis=1)
        free = rng.standard_exponential(len(flock)) / rates.sum(axis=1)
        wall, face = world.distance(flock.position, flock.direction)
        # Planes inside the argon mean nothing to a photon, but the way beyond them is measured anew.
        reached = wall <= free
        path = np.where(reached, wall, free)
        flock = replace(
            flock,
            position=flock.position + path[:, None] * flock.direction,
            time=flock.time + path / LIGHT,
        )
        gone = reached & face
        left = flock.take(gone)
        record.end(left, "left the volume", escaped=left.kinetic)
        bounds = np.cumsum(rates, axis=1)
        which = (rng.random(len(flock))[:, None] * bounds[:, -1:] >= bounds).sum(axis=1)
        _absorb(flock.take(~reached & (which == 0)), record)
        _pairs(rng, flock.take(~reached & (which == 2)), record)
        scattered = _compton(rng, flock.take(~reached & (which == 1)), record)
        flock = Flock.joined([flock.take(reached & ~face), scattered])


def _absorb(flock: Flock, record: Record) -> None:
    """The photoelectric effect: an electron takes the energy, binding included, which is left beside it."""
    n = len(flock)
    electrons = Products(np.arange(n), np.full(n, ELECTRON), flock.kinetic, flock.direction)
    record.born(flock, electrons, "photoelectric effect")
    record.end(flock, "photoelectric effect")


def _compton(rng: np.random.Generator, flock: Flock, record: Record) -> Flock:
    n = len(flock)
    energy, cosine = sample_compton(rng, flock.kinetic)
    direction = leaning(rng, flock.direction, cosine)
    momentum = flock.kinetic[:, None] * flock.direction - energy[:, None] * direction
    size = np.linalg.norm(momentum, axis=1, keepdims=True)
    recoil = np.where(size > 0, momentum / np.maximum(size, 1e-300), flock.direction)
    electrons = Products(np.arange(n), np.full(n, ELECTRON), flock.kinetic - energy, recoil)
    record.born(flock, electrons, "Compton scattering")
    return replace(flock, kinetic=energy, direction=direction)


def _pairs(rng: np.random.Generator, flock: Flock, record: Record) -> None:
    """Electron and positron along the photon, which share its energy uniformly."""
    n = len(flock)
    free = np.maximum(flock.kinetic - 2 * ELECTRON_MASS, 0.0)
    share = rng.random(n)
    pairs = Products(
        np.tile(np.arange(n), 2),
        np.repeat([ELECTRON, POSITRON], n),
        np.concatenate([share * free, (1 - share) * free]),
        np.tile(flock.direction, (2, 1)),
    )
    given = record.born(flock, pairs, "pair production")
    record.end(flock, "pair production", untracked=flock.kinetic - given)
