"""Transport of particles through liquid argon: primaries in, energy deposits and trajectories out."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..matter.decays import PROTON, Products
from ..tables import Floats, Ints, Primaries, Segments, Trajectories
from .flight import PROCESS, Flock, Record, World, supply
from .heavy import HEAVY, fly
from .joining import Joining, join_steps
from .light import ELECTRON, PHOTON, POSITRON, fly_electrons, fly_photons
from .rules import Rules

#: PDG codes of the particles that can be followed.
FOLLOWED = (*HEAVY, *(-code for code in HEAVY if code != PROTON), ELECTRON, POSITRON, PHOTON)


@dataclass(frozen=True)
class Transported:
    """What a simulation leaves: `segments`, sorted by event, trajectory and time, and `trajectories`."""

    segments: Segments
    trajectories: Trajectories


def transport(
    primaries: Primaries, world: World, rules: Rules, joining: Joining, rng: np.random.Generator
) -> Transported:
    """Follow primaries and all that they make until everything has stopped, left, or is not followed.

    Particles are followed one kind after the other, all of a kind at once, each the k-th step of all at a time, so that
    the work is done on arrays. Muons, pions, kaons and protons: `pipeline.produce.heavy`; electrons, positrons and
    photons: `pipeline.produce.light`. Random numbers are drawn in this order from `rng`: equal primaries and equal
    state of `rng` give equal results. `joining` says how steps become deposits.
    Raises `ValueError` for primaries of another kind.
    """
    unknown = np.setdiff1d(primaries.pdg_id, FOLLOWED)
    if len(unknown):
        raise ValueError(f"particles of PDG code {unknown[0]} cannot be followed")
    record = Record()
    _start(primaries, record)
    while record.waiting:
        waiting = Flock.joined(record.waiting)
        record.waiting.clear()
        for species in HEAVY:
            mine = np.abs(waiting.pdg_id) == species
            if mine.any():
                fly(rng, species, waiting.take(mine), world, rules, record)
        for code in (ELECTRON, POSITRON):
            mine = waiting.pdg_id == code
            if mine.any():
                fly_electrons(rng, code, waiting.take(mine), world, rules, record)
        mine = waiting.pdg_id == PHOTON
        if mine.any():
            fly_photons(rng, waiting.take(mine), world, record)
    return _assembled(record, joining)


def _start(primaries: Primaries, record: Record) -> None:
    n = len(primaries)
    here = Flock(
        np.full(n, -1),
        primaries.event_id,
        primaries.vertex_id,
        primaries.pdg_id,
        primaries.position,
        primaries.direction,
        primaries.kinetic_energy,
        primaries.time,
    )
    products = Products(np.arange(n), primaries.pdg_id, primaries.kinetic_energy, primaries.direction)
    record.born(here, products, "primary")


def _assembled(record: Record, joining: Joining) -> Transported:
    """Number the particles within their events, and put steps and particles in order."""
    born = Flock.joined([flock for flock, *_ in record.starts])
    parent, birth = (np.concatenate([start[i] for start in record.starts]) for i in (1, 2))
    process = np.concatenate([np.full(len(s[0]), s[3]) for s in record.starts])
    # Tracks are numbered in the order of birth, primaries first: within an event this order stays.
    order = np.argsort(born.event, kind="stable")
    first = np.unique(born.event[order], return_index=True, return_inverse=True)
    number = np.empty(len(born), dtype=np.int64)
    number[order] = np.arange(len(born)) - first[1][first[2].reshape(-1)]
    steps = _steps(record)
    segments = join_steps(steps, born, number, parent, birth, joining)
    return Transported(segments, _trajectories(record, born, number, parent, process, order, steps))


@dataclass(frozen=True)
class Steps:
    """Steps in the order in which they were made: `(n,)` `track`, `t0`, `t1` [us], `energy` [MeV], `volume`, `path`
    [cm]; `(n, 3)` `start`, `end` [cm]."""

    track: Ints
    start: Floats
    end: Floats
    t0: Floats
    t1: Floats
    energy: Floats
    volume: Ints
    path: Floats


def _steps(record: Record) -> Steps:
    if not record.steps:
        none, points, whole = np.zeros(0), np.zeros((0, 3)), np.zeros(0, dtype=np.int64)
        return Steps(whole, points, points, none, none, none, whole, none)
    return Steps(*(np.concatenate([step[i] for step in record.steps]) for i in range(len(fields(Steps)))))


def _trajectories(
    record: Record, born: Flock, number: Ints, parent: Ints, process: Ints, order: Ints, steps: Steps
) -> Trajectories:
    n = len(born)
    if not n:
        record.end(born, "stopped")
    ended = Flock.joined([flock for flock, *_ in record.ends])
    # Every particle ends once.
    place = np.empty(n, dtype=np.int64)
    place[ended.track] = np.arange(n)
    end_process = np.concatenate([np.full(len(end[0]), end[1]) for end in record.ends])[place]
    escaped, untracked = (np.concatenate([end[i] for end in record.ends])[place] for i in (2, 3))
    for track, energy in record.lost:
        untracked = untracked + np.bincount(track, energy, minlength=n)
    last = ended.take(place)
    everything = Trajectories(
        event_id=born.event,
        vertex_id=born.vertex,
        traj_id=number,
        parent_id=np.where(parent >= 0, number[parent], -1),
        pdg_id=born.pdg_id,
        start=born.position,
        end=last.position,
        t_start=born.time,
        t_end=last.time,
        path=np.bincount(steps.track, steps.path, minlength=n).astype(np.float64),
        start_process=process,
        end_process=end_process,
        kinetic_start=born.kinetic,
        kinetic_end=np.where(end_process == PROCESS["left the volume"], last.kinetic, 0.0),
        supply=supply(born.pdg_id, born.kinetic),
        deposited=np.bincount(steps.track, steps.energy, minlength=n).astype(np.float64),
        escaped=escaped,
        untracked=untracked,
    )
    return everything.take(order)
