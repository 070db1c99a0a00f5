"""Particle gun: straight muons that cross the detector, with fluctuating energy loss."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..config.models import Gun
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError
from ..matter.particles import LIGHT, mass
from ..matter.ranges import range_table
from ..matter.stopping import beta_squared
from ..matter.transport import advance
from ..tables import Floats, Ints, Segments

MUON, ANTIMUON = 13, -13

#: Kinetic energies [MeV] at which ionisation alone, by Bethe's formula, describes a muon (beta gamma 0.1 to 1000).
ENERGY_LIMITS = (1.0, 1.0e5)

#: Shortest deposit [cm] for which a Landau-Vavilov distribution is meaningful: xi is then five times I.
SHORTEST_SEGMENT = 0.01

#: More deposits than this (about 30 GB) are refused.
MOST_SEGMENTS = 2.0e8


def check_gun(gun: Gun, geometry: DetectorGeometry) -> None:
    """Refuse settings of the gun that ask for what it cannot do in a detector; raises `ConfigError`."""
    low, high, _ = _box(geometry)
    _check(gun, low, high)


@dataclass(frozen=True)
class _Tracks:
    """Straight paths through the box: `start`, `direction` `(n, 3)`, `length` `(n,)`; cm."""

    start: Floats
    direction: Floats
    length: Floats


def muon_gun(gun: Gun, geometry: DetectorGeometry, rng: np.random.Generator) -> Segments:
    """Deposits of muons that enter the detector's drift volumes isotropically from outside.

    Entry points are uniform on the surface of the box around all drift volumes and directions follow the cosine law,
    which together is an isotropic flux (mean path 4 V / S). mu- and mu+ are equally likely. Every muon loses
    energy by ionisation as `pipeline.matter.transport.advance` says and goes on in a straight line until it leaves the
    box or stops. Deposits are `gun.segment_length_cm` long, the last before a cathode face or the exit shorter (a rest
    of under 1 % joins the one before). Muons enter at time 0 of their event.

    Raises `ConfigError` where the settings cannot be simulated.
    """
    low, high, faces = _box(geometry)
    _check(gun, low, high)
    tracks = isotropic_tracks(rng, low, high, gun.events * gun.tracks_per_event)
    species = rng.choice(np.array([MUON, ANTIMUON]), size=len(tracks.length))
    energy = rng.uniform(*gun.kinetic_energy_mev, size=len(tracks.length))
    edges = [
        _edges(length, z, slope, faces, gun.segment_length_cm)
        for length, z, slope in zip(tracks.length, tracks.start[:, 2], tracks.direction[:, 2])
    ]
    return _deposit(rng, tracks, species, energy, edges, gun.tracks_per_event)


def isotropic_tracks(rng: np.random.Generator, low: Floats, high: Floats, n: int) -> _Tracks:
    """`n` straight lines of an isotropic flux through the box between the corners `low` and `high` `(3,)` [cm]."""
    size = high - low
    areas = np.prod(size) / size
    axis = rng.choice(3, size=n, p=areas / areas.sum())
    upper = rng.random(n) < 0.5
    rows = np.arange(n)
    start = low + rng.random((n, 3)) * size
    start[rows, axis] = np.where(upper, high[axis], low[axis])
    # The flux through a face goes with cos(theta): cos^2 is uniform.
    cosine = np.sqrt(1 - rng.random(n))
    angle = rng.uniform(0, 2 * np.pi, n)
    sine = np.sqrt(1 - cosine**2)
    direction = np.empty((n, 3))
    direction[rows, axis] = np.where(upper, -cosine, cosine)
    direction[rows, (axis + 1) % 3] = sine * np.cos(angle)
    direction[rows, (axis + 2) % 3] = sine * np.sin(angle)
    with np.errstate(divide="ignore"):
        exits = np.where(direction > 0, high - start, low - start) / direction
    exits[direction == 0] = np.inf
    return _Tracks(start, direction, exits.min(axis=1))


def _box(geometry: DetectorGeometry) -> tuple[Floats, Floats, list[float]]:
    """Lower and upper corner of the box around the drift volumes, and the z of the faces inside it [cm]."""
    z = [face for tpc in geometry.tpcs for face in (tpc.z_anode, tpc.z_cathode)]
    low = np.array([geometry.x_range[0], geometry.y_range[0], min(z)])
    high = np.array([geometry.x_range[1], geometry.y_range[1], max(z)])
    return low, high, sorted({face for face in z if min(z) < face < max(z)})


def _check(gun: Gun, low: Floats, high: Floats) -> None:
    """Refuse settings that ask for what the gun cannot do."""
    least, most = gun.kinetic_energy_mev
    if least > most:
        raise ConfigError(
            f"sample.gun.kinetic_energy_mev: the range [{least:g}, {most:g}] is upside down; "
            "give the lower energy first."
        )
    if least < ENERGY_LIMITS[0] or most > ENERGY_LIMITS[1]:
        raise ConfigError(
            f"sample.gun.kinetic_energy_mev: [{least:g}, {most:g}] MeV reaches beyond {ENERGY_LIMITS[0]:g} to "
            f"{ENERGY_LIMITS[1]:g} MeV, where muons lose energy by ionisation as simulated here; choose within."
        )
    step, longest = gun.segment_length_cm, float(np.linalg.norm(high - low))
    if not SHORTEST_SEGMENT <= step <= longest:
        raise ConfigError(
            f"sample.gun.segment_length_cm: {step:g} cm is not possible; choose {SHORTEST_SEGMENT:g} cm (shorter "
            f"deposits have no Landau-Vavilov distribution) to {longest:.0f} cm (the detector's diagonal)."
        )
    size = high - low
    mean_path = 2 / np.sum(1 / size)
    expected = gun.events * gun.tracks_per_event * mean_path / step
    if expected > MOST_SEGMENTS:
        raise ConfigError(
            f"sample.gun: {gun.events} events of {gun.tracks_per_event} tracks make {expected:.0e} deposits, above "
            f"{MOST_SEGMENTS:.0e}; lower events or tracks_per_event, or make segment_length_cm longer."
        )


def _edges(length: float, z: float, slope: float, faces: list[float], step: float) -> Floats:
    """Distances [cm] from the entry at which a track is cut into deposits, `(deposits + 1,)`."""
    crossings = sorted((face - z) / slope for face in faces) if slope != 0 else []
    stops = [0.0, *(c for c in crossings if 0 < c < length), length]
    pieces: list[Floats] = [np.zeros(1)]
    for near, far in pairwise(stops):
        inner: Floats = near + step * np.arange(1, int(np.ceil((far - near) / step + 1)), dtype=np.float64)
        pieces += [inner[inner < far - 0.01 * step], np.array([far])]
    return np.concatenate(pieces)


def _deposit(
    rng: np.random.Generator,
    tracks: _Tracks,
    species: Ints,
    energy: Floats,
    edges: list[Floats],
    tracks_per_event: int,
) -> Segments:
    """Lead all muons through their steps, the k-th step of all at a time, and write down what they leave."""
    ranges = range_table(mass(MUON))
    count = np.array([len(e) - 1 for e in edges])
    begin = np.full((len(edges), count.max() + 1), np.inf)
    for row, edge in zip(begin, edges):
        row[: len(edge)] = edge
    energy = energy.copy()
    clock = np.zeros(len(edges))
    columns: list[tuple[Ints, Floats, Floats, Floats, Floats, Floats]] = []
    for k in range(count.max()):
        alive = np.flatnonzero((count > k) & (energy > 0))
        before = energy[alive]
        near = begin[alive, k]
        lost, travelled = advance(rng, ranges, before, begin[alive, k + 1] - near)
        energy[alive] = before - lost
        velocity = LIGHT * np.sqrt(beta_squared(before - 0.5 * lost, ranges.mass))
        duration = travelled / velocity
        columns.append((alive, near, travelled, lost, clock[alive], duration))
        clock[alive] += duration
    number = np.concatenate([column[0] for column in columns])
    order = np.argsort(number, kind="stable")
    number = number[order]
    near, dx, dE, t0, duration = (np.concatenate([column[i] for column in columns])[order] for i in range(1, 6))
    start, direction = tracks.start[number], tracks.direction[number]
    return Segments(
        event_id=number // tracks_per_event,
        vertex_id=np.zeros_like(number),
        segment_id=np.arange(len(number)),
        traj_id=number % tracks_per_event,
        pdg_id=species[number],
        start=start + near[:, None] * direction,
        end=start + (near + dx)[:, None] * direction,
        t0=t0 + 0.5 * duration,
        t0_start=t0,
        t0_end=t0 + duration,
        dE=dE,
        dx=dx,
        dEdx=dE / dx,
    )
