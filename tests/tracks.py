"""Made-up tracks for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.config.generator import Block, Generator, Species
from pipeline.detector.geometry import DetectorGeometry
from pipeline.matter.particles import mass
from pipeline.matter.ranges import range_table
from pipeline.produce.flight import World
from pipeline.produce.generator import primaries
from pipeline.produce.joining import RAW
from pipeline.produce.rules import Rules
from pipeline.produce.transport import transport
from pipeline.tables import Floats, Segments

#: `sample` of the configuration: two events of one muon each, from the border.
TWO_MUONS: dict[str, object] = {
    "generator": {
        "events": 2,
        "blocks": {
            "muons": {
                "species": [{"pdg": [13, -13], "kinetic_energy_mev": [800.0, 5000.0]}],
                "position": "border",
                "direction": "isotropic_flux",
            }
        },
    },
    "transport": {"step_cm": 1.0},
}


def straight_track(
    *,
    event: int = 0,
    traj: int = 0,
    start: Sequence[float] = (0.0, 0.0, 20.0),
    direction: Sequence[float] = (1.0, 0.0, 0.0),
    segments: int = 10,
    step: float = 1.0,
    pdg: int = 13,
) -> Segments:
    """A straight track of equal segments of `step` cm and 2.1 MeV/cm, simulation frame."""
    unit = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
    edges = np.asarray(start, dtype=np.float64) + unit * step * np.arange(segments + 1)[:, None]
    whole = {
        name: np.full(segments, value) for name, value in (("event_id", event), ("traj_id", traj), ("pdg_id", pdg))
    }
    length = np.linalg.norm(np.diff(edges, axis=0), axis=1)
    zero = np.zeros(segments)
    return Segments(
        **whole,
        vertex_id=np.zeros(segments, dtype=np.int64),
        segment_id=np.arange(segments),
        start=edges[:-1],
        end=edges[1:],
        t0=zero,
        t0_start=zero,
        t0_end=zero,
        dE=2.1 * length,
        dx=length,
        dEdx=np.full(segments, 2.1),
    )


def random_tracks(seed: int, tracks: int, events: int = 5) -> Segments:
    """Tracks of random length in module 0, some within the margins of an anode."""
    rng = np.random.default_rng(seed)
    return Segments.concatenate(
        [
            straight_track(
                event=int(i % events),
                traj=i,
                start=rng.uniform([-20, -60, -28], [20, 20, 28]),
                direction=rng.normal(size=3) * [1, 1, 0.2],
                segments=int(rng.integers(1, 30)),
                step=0.5,
                pdg=int(rng.choice([13, 211, 2212])),
            )
            for i in range(tracks)
        ]
    )


def muons(events: int, each: int, geometry: DetectorGeometry, seed: int, step: float = 1.0) -> Segments:
    """Muons of 0.8 to 5 GeV through the detector in deposits of `step` cm, `each` per event; struck electrons stay."""
    block = Block(
        vertices=(each, each),
        species=(Species(pdg=(13, -13), kinetic_energy_mev=(800.0, 5000.0)),),
        position="border",
        direction="isotropic_flux",
    )
    thrown = primaries(Generator(blocks={"muons": block}, events=events), geometry, seed, 0, events)
    everything_on_the_spot = Rules(step=step, cut=1e6, least_photon=1e6)
    return transport(thrown, World.of(geometry), everything_on_the_spot, RAW, np.random.default_rng(seed)).segments


def stopping_track(code: int, path: float, *, step: float = 0.5, traj: int = 0, share: float = 1.0) -> Segments:
    """A straight track that leaves on every step what the range table says, times `share`, and stops at z = 15 cm."""
    count = round(path / step)
    track = straight_track(
        pdg=code, traj=traj, start=(0.0, -20.0, 15.0 - count * step), direction=(0, 0, 1), segments=count, step=step
    )
    table = range_table(mass(code))
    left = step * np.arange(count, -1.0, -1.0)
    energy = share * -np.diff(table.energy(left))
    return track.replace(dE=energy, dEdx=energy / track.dx)


def polyline(points: Sequence[Sequence[float]] | Floats, **more: int) -> Segments:
    """A track along these points."""
    edges = np.asarray(points, dtype=np.float64)
    track = straight_track(segments=len(edges) - 1, **more)
    length = np.linalg.norm(np.diff(edges, axis=0), axis=1)
    return track.replace(start=edges[:-1], end=edges[1:], dx=length, dE=2.0 * length)


def no_segments() -> Segments:
    """A table without rows."""
    return straight_track().take(np.zeros(0, dtype=np.int64))


def random_walk(rng: np.random.Generator, width: float, step: float, count: int, traj: int) -> Segments:
    """A track that turns at the end of every step by Gaussian angles, which over 10 cm add up to `width` [rad]."""
    direction = np.array([1.0, 0.0, 0.0])
    points = [np.zeros(3)]
    for _ in range(count):
        points.append(points[-1] + step * direction)
        kick = rng.normal(0.0, width * np.sqrt(step / 10.0), 3)
        direction = direction + kick - (kick @ direction) * direction
        direction /= np.linalg.norm(direction)
    return polyline(np.array(points), traj=traj)
