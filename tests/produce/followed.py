"""Primaries for tests of transport, and what to check of what they leave."""

from __future__ import annotations

import numpy as np

from pipeline.matter.scattering import isotropic
from pipeline.produce.flight import World
from pipeline.produce.joining import RAW, Joining
from pipeline.produce.rules import Rules
from pipeline.produce.transport import Transported, transport
from pipeline.tables import Floats, Primaries, Trajectories

#: The box of module 0 with its cathode.
BOX = World(np.array([-31.039, -83.8626, -30.431]), np.array([31.039, 40.2154, 30.431]), np.array([-0.15875, 0.15875]))

PROCESS = {name: number for number, name in enumerate(Trajectories.PROCESSES)}


def beam(
    pdg_id: int | list[int],
    energy: float | Floats,
    n: int,
    position: tuple[float, float, float] | Floats = (0.0, 0.0, 0.0),
    direction: tuple[float, float, float] | Floats = (0.0, 0.0, 1.0),
) -> Primaries:
    """One primary in each of `n` events."""
    return Primaries(
        np.arange(n),
        np.zeros(n, dtype=np.int64),
        np.resize(np.atleast_1d(pdg_id), n),
        np.broadcast_to(np.asarray(position, dtype=np.float64), (n, 3)).copy(),
        np.broadcast_to(np.asarray(direction, dtype=np.float64), (n, 3)).copy(),
        np.broadcast_to(np.asarray(energy, dtype=np.float64), (n,)).copy(),
        np.zeros(n),
    )


def shower(pdg_id: int | list[int], energy: float, n: int, seed: int) -> Primaries:
    """Primaries everywhere in the box, in all directions."""
    rng = np.random.default_rng([seed, 1])
    return beam(pdg_id, energy, n, rng.uniform(BOX.low, BOX.high, (n, 3)), isotropic(rng, n))


def follow(
    primaries: Primaries,
    world: World | None = None,
    joining: Joining = RAW,
    seed: int = 0,
    **rules: float,
) -> Transported:
    """Through argon without end, unless `world` is given; every step a deposit, unless `joining` is given."""
    world = World.unbounded() if world is None else world
    return transport(primaries, world, Rules(**rules), joining, np.random.default_rng(seed))  # type: ignore[arg-type]
