"""Reconstructions made up of straight tracks."""

from __future__ import annotations

import numpy as np

from pipeline.matter.particles import mass
from pipeline.matter.ranges import range_table
from pipeline.reconstruct.classifier import Examples
from pipeline.tables import SPECIES, Floats, Ints, Reconstruction, Segments, Tracks

START = np.array([-15.0, -20.0, 15.0])


def mean_losses(species: str, length: int) -> Floats:
    """`(length,)` mean energies [MeV] that a particle leaves in the last centimetres before it stops."""
    energy = range_table(mass(SPECIES[species])).energy(np.arange(length, -1, -1, dtype=np.float64))
    return -np.diff(energy)


def examples_of(
    features: Floats, species: Ints, event: Ints | None = None, names: tuple[str, ...] | None = None
) -> Examples:
    """Examples with these features and species, each in an event of its own where none is given."""
    n = len(species)
    return Examples(
        tuple(f"x{k}" for k in range(features.shape[1])) if names is None else names,
        features,
        species,
        np.arange(n) if event is None else event,
        np.zeros((n, len(SPECIES))),
        np.full(n, 10.0),
        np.full(n, True),
    )


def line(energy: Floats, event: int = 0, start: Floats = START) -> Reconstruction:
    """One straight track along x of 1 cm segments with these energies `(n,)` [MeV]."""
    n = len(energy)
    step = np.array([1.0, 0.0, 0.0])
    edges = start + step * np.arange(n + 1)[:, None]
    zero, whole = np.zeros(n), np.zeros(n, dtype=np.int64)
    segments = Segments(
        event_id=whole + event,
        vertex_id=whole,
        segment_id=np.arange(n),
        traj_id=whole,
        pdg_id=whole + 13,
        start=edges[:-1],
        end=edges[1:],
        t0=zero,
        t0_start=zero,
        t0_end=zero,
        dE=energy,
        dx=zero + 1,
        dEdx=energy,
    )
    tracks = Tracks(
        event_id=np.array([event]),
        track_id=np.array([0]),
        hits=np.array([2 * n]),
        length=np.array([float(n)]),
        rms=np.array([0.05]),
        cathode=np.array([False]),
        anode=np.array([0]),
        contained=np.array([True]),
        start=edges[:1],
        end=edges[-1:],
        direction=step[None],
        covariance=1e-4 * np.eye(4)[None],
        probability=np.full((1, len(SPECIES)), 1 / len(SPECIES)),
    )
    return Reconstruction(
        tracks,
        segments,
        n - 0.5 - np.arange(n),
        np.full((n, 2), 0.05),
        25e3 * energy,
        zero,
        np.zeros(0, dtype=np.int64),
    )
