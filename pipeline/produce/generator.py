"""Particles at the start of a simulation, drawn as the settings of the generator say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from ..config.generator import DEFAULT_PRESET, FACES, Block, Generator
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError
from ..storage.yaml_text import read_yaml
from ..tables import Bools, Floats, Ints, Primaries
from .directions import cosmic, face_weights, flat_theta, inward, isotropic, through, unit
from .dlp import dlp_blocks
from .energies import kinetic_energies
from .presets import preset

#: Events of a file of DLPGenerator or of blocks where the settings name no number.
DEFAULT_EVENTS = 100

#: Events, and about so many particles at most, that are drawn together from one stream of random numbers. Changing them
#: changes every sample.
GROUP_EVENTS, GROUP_PARTICLES = 256, 65536

#: More particles than this in a sample (a day of work, a terabyte of deposits) are refused.
MOST_IN_ALL = 10**8

#: Places [cm] by which a position may lie outside the detector, for settings written with three decimals.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class _Box:
    """Lower and upper corner `(3,)` [cm]."""

    low: Floats
    high: Floats

    @property
    def size(self) -> Floats:
        return self.high - self.low


def events_of(generator: Generator) -> int:
    """Number of events that the settings ask for."""
    if generator.events is not None:
        return generator.events
    if generator.blocks or generator.dlp_file is not None:
        return DEFAULT_EVENTS
    return preset(generator.preset or DEFAULT_PRESET).events or DEFAULT_EVENTS


def particles_in(generator: Generator) -> tuple[int, int]:
    """Least and most particles in an event of a generator that `expanded` returned."""
    blocks = generator.blocks.values()
    least = sum(block.vertices[0] * block.particles[0] for block in blocks)
    return least, sum(block.most_particles for block in blocks)


def expanded(generator: Generator, geometry: DetectorGeometry) -> Generator:
    """The same generator as blocks and a number of events: presets and files of DLPGenerator written out.

    Raises `ConfigError` for a file that cannot be used, and for what does not fit the detector.
    """
    blocks, axes, place = generator.blocks, ("x_cm", "y_cm", "z_cm"), "sample.generator.blocks."
    if generator.dlp_file is not None:
        read = dlp_blocks(read_yaml(generator.dlp_file), geometry.drift_axis, generator.dlp_direction)
        axes = ("ZRange", "YRange", "XRange") if geometry.drift_axis == "x" else ("XRange", "YRange", "ZRange")
        place = f"{generator.dlp_file}: "
        for name, block in read.items():
            _check(block, geometry, f"{place}{name}", axes)
        # The names in such a file are free, ours are not.
        blocks = {f"block_{number}": block for number, block in enumerate(read.values(), 1)}
    else:
        blocks = blocks or preset(generator.preset or DEFAULT_PRESET).blocks
        for name, block in blocks.items():
            _check(block, geometry, f"{place}{name}", axes)
    try:
        result = Generator(blocks=blocks, events=events_of(generator))
    except ValidationError as error:
        raise ConfigError(f"{place}{error.errors()[0]['ctx']['error']}.") from error
    if events_of(result) * particles_in(result)[1] > MOST_IN_ALL:
        raise ConfigError(
            f"sample.generator: {result.events} events of up to {particles_in(result)[1]} particles are more than "
            f"{MOST_IN_ALL:.0e} in all; lower events."
        )
    return result


def check_generator(generator: Generator, geometry: DetectorGeometry) -> None:
    """Refuse settings that cannot be generated in this detector; raises `ConfigError`."""
    expanded(generator, geometry)


def primaries(generator: Generator, geometry: DetectorGeometry, seed: int, first_event: int, events: int) -> Primaries:
    """Particles of `events` events from number `first_event` on, sorted by event and vertex.

    `generator` is one that `expanded` returned. Particles of a vertex start at the same place and time. An event is the
    same however the sample is cut: events are drawn in groups of fixed size, each from its own stream of the seed.
    """
    if not generator.blocks:
        raise ValueError("primaries needs a generator that went through `expanded`")
    size = _group_size(generator)
    first_group, last_group = first_event // size, -(-(first_event + events) // size)
    parts = [_group(generator, geometry, seed, group, size) for group in range(first_group, last_group)]
    kept = [part.take((part.event_id >= first_event) & (part.event_id < first_event + events)) for part in parts]
    return _joined(kept)


def _group_size(generator: Generator) -> int:
    _, most = particles_in(generator)
    return int(np.clip(GROUP_PARTICLES // most, 1, GROUP_EVENTS))


def _group(generator: Generator, geometry: DetectorGeometry, seed: int, group: int, size: int) -> Primaries:
    """All particles of one group of events."""
    # The key of a spawned stream cannot meet those of seeds that are lists, which are filled up with zeros.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, group)))
    parts: list[Primaries] = []
    vertices = np.zeros(size, dtype=np.int64)
    for block in generator.blocks.values():
        number = rng.integers(block.vertices[0], block.vertices[1], size=size, endpoint=True)
        parts.append(_thrown(block, geometry, rng, group * size, number, vertices))
        vertices += number
    joined = _joined(parts)
    return joined.take(np.lexsort((joined.vertex_id, joined.event_id)))


def _thrown(
    block: Block, geometry: DetectorGeometry, rng: np.random.Generator, first: int, number: Ints, vertices: Ints
) -> Primaries:
    """Particles of one block: `number` `(events,)` vertices in each event, which follow its first `vertices`."""
    event = np.repeat(np.arange(len(number)), number)
    vertex = vertices[event] + np.arange(len(event)) - np.repeat(np.cumsum(number) - number, number)
    box = _box(block, geometry)
    position, face = _places(block, box, rng, len(event))
    time = rng.uniform(*block.time_us, len(event))
    count = rng.integers(block.particles[0], block.particles[1], size=len(event), endpoint=True)
    kind = _kinds(block, rng, count)
    at = np.repeat(np.arange(len(event)), count)
    pdg_id, energy = np.zeros(len(at), dtype=np.int64), np.zeros(len(at))
    for i, species in enumerate(block.species):
        rows = np.flatnonzero(kind == i)
        pdg_id[rows] = rng.choice(np.array(species.pdg), size=len(rows))
        energy[rows] = kinetic_energies(rng, species, pdg_id[rows])
    return Primaries(
        event_id=first + event[at],
        vertex_id=vertex[at],
        pdg_id=pdg_id,
        position=position[at],
        direction=_directions(block, geometry, rng, face[at]),
        kinetic_energy=energy,
        time=time[at],
    )


def _kinds(block: Block, rng: np.random.Generator, count: Ints) -> Ints:
    """Index of the species of every particle at vertices of `count` `(vertices,)` particles.

    The least numbers come first; the rest is drawn by weight among the species that have not reached their most.
    """
    largest = block.particles[1]
    least = np.array([s.number[0] if s.number else 0 for s in block.species])
    most = np.array([min(s.number[1] if s.number else largest, largest) for s in block.species])
    weight = np.array([s.weight for s in block.species])
    # Weights of any size, without overflow in their sum.
    weight = weight / max(weight.max(), np.finfo(float).tiny)
    kind = np.empty((len(count), int(count.max(initial=0))), dtype=np.int64)
    needed = np.repeat(np.arange(len(least)), least)[: kind.shape[1]]
    kind[:, : len(needed)] = needed
    drawn = rng.random((len(count), kind.shape[1] - len(needed)))
    if np.all((most == largest) | (weight == 0)):  # no species can run out: all particles at once
        below = np.cumsum(weight)
        kind[:, len(needed) :] = np.searchsorted(below, drawn * below[-1], side="right")
        return kind[np.arange(kind.shape[1]) < count[:, None]]
    used = np.tile(least, (len(count), 1))
    rows = np.arange(len(count))
    for k in range(drawn.shape[1]):
        below = np.cumsum(weight * (used < most), axis=1)
        chosen = np.argmax(below > drawn[:, k, None] * below[:, -1:], axis=1)
        kind[:, len(needed) + k] = chosen
        used[rows, chosen] += 1
    return kind[np.arange(kind.shape[1]) < count[:, None]]


def _places(block: Block, box: _Box, rng: np.random.Generator, n: int) -> tuple[Floats, Ints]:
    """Positions `(n, 3)` [cm] of vertices, and the face `(n,)` at which each lies; -1: none."""
    place = box.low + rng.random((n, 3)) * box.size
    if block.position == "box":
        return np.minimum(place, box.high), np.full(n, -1)
    weights = face_weights(block.direction, box.size) * _used(block)
    face = rng.choice(6, size=n, p=weights / weights.sum())
    rows, axis, upper = np.arange(n), face // 2, face % 2 == 1
    depth = rng.random(n) * (block.shell_cm or 0.0)
    place[rows, axis] = np.where(upper, box.high[axis] - depth, box.low[axis] + depth)
    return np.clip(place, box.low, box.high), face


def _directions(block: Block, geometry: DetectorGeometry, rng: np.random.Generator, face: Ints) -> Floats:
    """Directions `(n, 3)` of particles that start at `face` `(n,)`; -1: inside."""
    law, n = block.direction, len(face)
    if not isinstance(law, str):
        return np.tile(unit(law), (n, 1))
    if law == "cosmic" and block.position == "box":
        return cosmic(rng, n)
    if law in ("cosmic", "isotropic_flux"):
        return through(rng, law, face)
    # DLPGenerator's theta is the angle to edep-sim's z axis, which is x here where the drift is along edep-sim's x.
    pole = 0 if geometry.drift_axis == "x" else 2
    direction = isotropic(rng, n) if law == "isotropic" else flat_theta(rng, n, pole)
    return inward(direction, face) if block.inward and block.position != "box" else direction


def _box(block: Block, geometry: DetectorGeometry) -> _Box:
    """The box of a block: its ranges, and the detector's less the margin where they are null."""
    detector = _detector(geometry)
    low, high = detector.low + block.margin_cm, detector.high - block.margin_cm
    for axis, ends in enumerate((block.x_cm, block.y_cm, block.z_cm)):
        if ends is not None:
            low[axis], high[axis] = np.clip(ends, detector.low[axis], detector.high[axis])
    return _Box(low, high)


def _detector(geometry: DetectorGeometry) -> _Box:
    """The box around all drift volumes."""
    return _Box(*geometry.bounds)


def _used(block: Block) -> Bools:
    """`(6,)` which faces a block uses."""
    return np.array([not block.faces or face in block.faces for face in FACES])


def _check(block: Block, geometry: DetectorGeometry, name: str, axes: tuple[str, str, str]) -> None:
    """Refuse a block that does not fit the detector; `axes` are what the ranges are called where they were given."""
    detector = _detector(geometry)
    ranges = (block.x_cm, block.y_cm, block.z_cm)
    for key, ends, low, high in zip(axes, ranges, detector.low, detector.high):
        if ends is not None and (ends[0] < low - TOLERANCE or ends[1] > high + TOLERANCE):
            raise ConfigError(
                f"{name}: {key} [{ends[0]:g}, {ends[1]:g}] reaches out of the detector, which is there from {low:g} "
                f"to {high:g} cm; choose within."
            )
        if ends is None and 2 * block.margin_cm >= high - low:
            raise ConfigError(
                f"{name}: margin_cm of {block.margin_cm:g} cm leaves nothing of the detector, which is "
                f"{high - low:g} cm wide (range {key}); lower it."
            )
    if block.position != "box":
        for problem in _surface_problems(block, _box(block, geometry)):
            raise ConfigError(f"{name}: {problem}.")


def _surface_problems(block: Block, box: _Box) -> Iterator[str]:
    """What is wrong with starting at the faces of `box`."""
    if np.any(box.size <= 0):
        yield f"position {block.position} needs a box that is wide in x, y and z; widen its ranges, or choose box"
    elif (block.shell_cm or 0.0) > box.size.min():
        yield f"shell_cm of {block.shell_cm:g} cm is thicker than the box, {box.size.min():g} cm; make it thinner"
    elif not np.any(face_weights(block.direction, box.size)[_used(block)]):
        yield f"no particle of direction {block.direction} enters through {', '.join(block.faces)}; name other faces"


def _joined(parts: list[Primaries]) -> Primaries:
    """Several tables, one behind the other."""
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Primaries(none, none, none, np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    return Primaries(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("event_id", "vertex_id", "pdg_id", "position", "direction", "kinetic_energy", "time")
        )
    )
