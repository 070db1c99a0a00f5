"""What all kinds of particles in flight share: the volume, a step through it, and the record of what happens."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..matter.decays import KAON, MUON, PION, Products
from ..matter.particles import ELECTRON_MASS, mass
from ..matter.scattering import across, scatter, turned
from ..tables import Bools, Floats, Ints, Trajectories

PROCESS = {name: number for number, name in enumerate(Trajectories.PROCESSES)}

#: A plane closer than this [cm] ahead has been reached.
_TOUCHING = 1e-7


@dataclass(frozen=True)
class World:
    """A box of liquid argon from `low` to `high` `(3,)` [cm], cut at `planes` of constant z [cm] into volumes."""

    low: Floats
    high: Floats
    planes: Floats

    @staticmethod
    def of(geometry: DetectorGeometry) -> World:
        """The box around the drift volumes, cut at the faces inside it."""
        low, high = geometry.bounds
        faces = {face for tpc in geometry.tpcs for face in (tpc.z_anode, tpc.z_cathode)}
        return World(low, high, np.array(sorted(face for face in faces if low[2] < face < high[2])))

    @staticmethod
    def unbounded() -> World:
        """Argon without end, for ranges."""
        return World(np.full(3, -1e7), np.full(3, 1e7), np.zeros(0))

    def volume(self, position: Floats) -> Ints:
        """Number of the volume that holds each position `(n, 3)`, -1 outside."""
        inside = ((position >= self.low) & (position <= self.high)).all(axis=1)
        return np.where(inside, np.searchsorted(self.planes, position[:, 2]), -1).astype(np.int64)

    def distance(self, position: Floats, direction: Floats) -> tuple[Floats, Bools]:
        """Distance [cm] along `direction` `(n, 3)` to the next plane or face, and whether it is a face, `(n,)`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            faces = np.where(direction > 0, self.high - position, self.low - position) / direction
            faces[direction == 0] = np.inf
            out = np.maximum(faces.min(axis=1), 0.0)
            ahead = (self.planes - position[:, 2:]) / direction[:, 2:]
        ahead = np.where(ahead > _TOUCHING, ahead, np.inf)
        inner = ahead.min(axis=1, initial=np.inf)
        return np.minimum(out, inner), np.asarray(out <= inner)


@dataclass(frozen=True)
class Flock:
    """Particles in flight: `(n,)` number of the `track`, `event`, `vertex`, `pdg_id`, `kinetic` energy [MeV], `time`
    [us]; `(n, 3)` `position` [cm], `direction`."""

    track: Ints
    event: Ints
    vertex: Ints
    pdg_id: Ints
    position: Floats
    direction: Floats
    kinetic: Floats
    time: Floats

    def __len__(self) -> int:
        return len(self.track)

    def take(self, index: Ints | Bools) -> Flock:
        """Some of them."""
        return Flock(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def joined(parts: list[Flock]) -> Flock:
        """All of `parts`, which are not none."""
        return Flock(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Flock)))


def supply(pdg_id: Ints, kinetic: Floats) -> Floats:
    """Energy [MeV] that particles bring: kinetic, and what their mass can set free; `(n,)`."""
    found = kinetic.copy()
    for species in (MUON, PION, KAON):
        found[np.abs(pdg_id) == species] += mass(species)
    # A positron takes an electron with it.
    found[pdg_id == -11] += 2 * ELECTRON_MASS
    return found


@dataclass
class Record:
    """What happened: particles, steps, ends, and those still to be followed."""

    waiting: list[Flock] = field(default_factory=list)
    starts: list[tuple[Flock, Ints, Ints, int]] = field(default_factory=list)
    steps: list[tuple[Ints, Floats, Floats, Floats, Floats, Floats, Ints, Floats]] = field(default_factory=list)
    ends: list[tuple[Flock, int, Floats, Floats]] = field(default_factory=list)
    lost: list[tuple[Ints, Floats]] = field(default_factory=list)
    tracks: int = 0
    count: int = 0

    def born(self, parent: Flock, products: Products, process: str, *, birth_step: Ints | None = None) -> Floats:
        """Send off `products` of `parent` particles (owners count these); returns their supply by owner `(n,)`.

        `birth_step` `(n,)` is the number of the step at the end of which they are made, where it may take them in.
        """
        owner = products.owner
        n = len(owner)
        flock = Flock(
            np.arange(self.tracks, self.tracks + n),
            parent.event[owner],
            parent.vertex[owner],
            products.pdg_id.astype(np.int64),
            parent.position[owner],
            products.direction,
            products.kinetic_energy,
            parent.time[owner],
        )
        self.tracks += n
        step = np.full(n, -1) if birth_step is None else birth_step[owner]
        self.starts.append((flock, parent.track[owner], step, PROCESS[process]))
        self.waiting.append(flock)
        given = supply(flock.pdg_id, flock.kinetic)
        return np.bincount(owner, given, minlength=len(parent)).astype(np.float64)

    def step(self, flock: Flock, end: Floats, duration: Floats, lost: Floats, volume: Ints, path: Floats) -> Ints:
        """Note a step of each particle from where it is to `end`; returns the numbers of the steps `(n,)`."""
        self.steps.append((flock.track, flock.position, end, flock.time, flock.time + duration, lost, volume, path))
        self.count += len(flock)
        return np.arange(self.count - len(flock), self.count)

    def end(
        self, flock: Flock, process: str, *, escaped: Floats | None = None, untracked: Floats | None = None
    ) -> None:
        """Note the end of particles, with the energy that left with them or was given to what is not followed."""
        none = np.zeros(len(flock))
        self.ends.append(
            (flock, PROCESS[process], none if escaped is None else escaped, none if untracked is None else untracked)
        )

    def give(self, flock: Flock, energy: Floats) -> None:
        """Note energy given on the way to what is not followed (a recoiling nucleus)."""
        self.lost.append((flock.track, energy))


def move(
    rng: np.random.Generator, flock: Flock, world: World, step: Floats, momentum: Floats, beta: Floats, straight: Bools
) -> tuple[Floats, Floats, Ints]:
    """Positions and directions `(n, 3)` after a step with multiple scattering, and the volume it was in `(n,)`.

    `step` [cm], `momentum` [MeV], `beta`, `(n,)`; where `straight`, a step that ends on a plane, and where scattering
    would lead across one, the position is that of the straight line.
    """
    drawn = scatter(rng, momentum, beta, step)
    new = turned(flock.direction, drawn.angle)
    one, two = across(flock.direction)
    sideways = drawn.lateral[:, :1] * one + drawn.lateral[:, 1:] * two
    chord = 0.5 * (flock.direction + new) + sideways
    # True to first order in the angle: a hard scatter would make the chord of a path longer than the path.
    chord /= np.maximum(np.linalg.norm(chord, axis=1, keepdims=True), 1.0)
    bent = flock.position + step[:, None] * chord
    line = flock.position + step[:, None] * flock.direction
    volume = world.volume(0.5 * (flock.position + line))
    straight = straight | (world.volume(bent) != volume)
    return np.where(straight[:, None], line, bent), new, volume
